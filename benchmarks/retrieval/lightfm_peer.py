"""Run by an environment that has LightFM: from interactions and settings to vectors and biases."""

from __future__ import annotations

import json
import sys

import numpy as np
from lightfm import LightFM
from scipy import sparse


def main() -> None:
    asked, order, found = sys.argv[1:]
    interactions = sparse.load_npz(asked).tocoo()
    settings = json.loads(order)
    epochs, alpha = settings.pop("epochs"), settings.pop("alpha")
    model = LightFM(loss="warp", user_alpha=alpha, item_alpha=alpha, random_state=settings.pop("seed"), **settings)
    model.fit(interactions, epochs=epochs, num_threads=1)  # more threads race, and no seed repeats what they do
    item_biases, candidates = model.get_item_representations()
    _, queries = model.get_user_representations()
    np.savez(found, queries=queries, candidates=candidates, biases=item_biases)


if __name__ == "__main__":
    main()
