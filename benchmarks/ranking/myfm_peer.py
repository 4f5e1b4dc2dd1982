"""Run by an environment that has myFM: from features and ratings in a folder to predicted ratings in it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from myfm import MyFMRegressor, RelationBlock
from scipy import sparse


def main() -> None:
    folder, order = Path(sys.argv[1]), json.loads(sys.argv[2])
    blocks = {"learned": [], "asked": []}
    for column in order["columns"]:
        features = sparse.load_npz(folder / f"{column}.npz")
        with np.load(folder / f"{column}-rows.npz") as rows:
            for part, found in blocks.items():
                found.append(RelationBlock(rows[part], features))
    model = MyFMRegressor(rank=order["rank"], random_seed=order["seed"])
    iterations = order["iterations"]
    model.fit(
        None,
        np.load(folder / "stars.npy"),
        X_rel=blocks["learned"],
        n_iter=iterations,
        n_kept_samples=iterations * 9 // 10,
    )
    np.save(folder / "predicted.npy", model.predict(None, blocks["asked"]))


if __name__ == "__main__":
    main()
