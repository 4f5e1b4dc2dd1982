"""The artefact behind LitServe, with its batching. Run as a file, in LitServe's environment: FOLDER PORT."""

from __future__ import annotations

import sys

import litserve
import tensorflow as tf


class Retrieval(litserve.LitAPI):
    """Loads the SavedModel in a worker process, and answers in the same JSON as the others."""

    def setup(self, device: str) -> None:
        """Load the model; called once in each worker."""
        self.loaded = tf.saved_model.load(sys.argv[1])
        self.signature = self.loaded.signatures["serving_default"]

    def decode_request(self, request: dict) -> str:
        """The one user of a request."""
        return request["instances"][0]

    def batch(self, inputs: list[str]) -> list[str]:
        """Users of several requests."""
        return inputs

    def predict(self, users: list[str]) -> list[tuple]:
        """Answer a batch."""
        found = self.signature(user_id=tf.constant(users))
        columns = {name: tensor.numpy().tolist() for name, tensor in found.items()}
        return list(zip(columns["answered_by"], columns["movie_ids"], columns["scores"], strict=True))

    def unbatch(self, output: list[tuple]) -> list[tuple]:
        """One answer a request."""
        return output

    def encode_response(self, output: tuple) -> dict:
        """An answer in JSON's terms."""
        by, ids, scores = output
        return {
            "predictions": [{"answered_by": by.decode(), "movie_ids": [id_.decode() for id_ in ids], "scores": scores}]
        }


if __name__ == "__main__":
    api = Retrieval(max_batch_size=64, batch_timeout=0.001, api_path="/predict")
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1, fast_queue=True)
    server.run("127.0.0.1", int(sys.argv[2]), num_api_servers=1, log_level="warning", generate_client_file=False)
