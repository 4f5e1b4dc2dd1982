"""The artefact behind KServe's Python server. Run as a file, in KServe's environment: FOLDER PORT."""

from __future__ import annotations

import logging
import sys

import tensorflow as tf
from kserve import Model, ModelServer


class Retrieval(Model):
    """Loads the SavedModel as its guide does, and answers in the same JSON as the others."""

    def __init__(self, name: str, folder: str) -> None:
        super().__init__(name)
        self.loaded = tf.saved_model.load(folder)
        self.signature = self.loaded.signatures["serving_default"]
        self.ready = True

    def predict(self, payload: dict, headers: dict | None = None, response_headers: dict | None = None) -> dict:
        """Answer one request."""
        found = self.signature(user_id=tf.constant(payload["instances"]))
        columns = {name: tensor.numpy().tolist() for name, tensor in found.items()}
        rows = zip(columns["answered_by"], columns["movie_ids"], columns["scores"], strict=True)
        return {
            "predictions": [
                {"answered_by": by.decode(), "movie_ids": [id_.decode() for id_ in ids], "scores": scores}
                for by, ids, scores in rows
            ]
        }


if __name__ == "__main__":
    server = ModelServer(http_port=int(sys.argv[2]), enable_grpc=False, workers=1, enable_latency_logging=False)
    logging.disable(logging.INFO)  # it would write lines for each request
    server.start([Retrieval("retrieval", sys.argv[1])])
