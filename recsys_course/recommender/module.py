"""What is saved: the two stages and what stands around them, in one graph of stock operations."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from recsys_course.metrics.vectors import unit_rows
from recsys_course.recommender.candidates import Candidates, is_known
from recsys_course.recommender.features import PairFeatures
from recsys_course.recommender.films import Films
from recsys_course.recommender.ranker import Ranker
from recsys_course.recommender.reranking import Reranking
from recsys_course.recommender.users import Users
from recsys_course.serving.retrieval_module import POPULARITY, checked_k
from recsys_course.serving.user_lists import FILLED, UserLists

NUM_REASONS = 2
MOST_LIKED = 100  # liked films that are read: no request can make the graph compare thousands with one another
TWO_STAGES = "two stages"


class Stages(NamedTuple):
    """The parts of a recommender, in the order in which a request meets them.

    Attributes:
        users: histories by user id.
        films: the catalogue.
        candidates: retrieval.
        features: what the ranker reads.
        ranker: ranking.
        reranking: the page.
    """

    users: Users
    films: Films
    candidates: Candidates
    features: PairFeatures
    ranker: Ranker
    reranking: Reranking


class RecommenderModule(UserLists):
    """From a history to a page of films with reasons: what `tf.saved_model.save` is given, with three signatures.

    - `serving_default`: `user_id`; ten films for each.
    - `top_k`: `user_id` and `k`; row `i` begins with `k[i]` films and is filled up to the longest row of the batch.
    - `liked`: for somebody new; `liked`, ids of films, the latest first, filled up with `""`; and `k`.

    A user id stands for the history that is stored under it, and from there on all three are one path: history, query,
    candidates without what was seen, the ranker's scores, the page. Ids that the catalogue does not hold, repetitions,
    and films that nobody has rated in training are passed over; what was listed is never recommended.

    All answer `movie_ids`, `titles` and `scores`, `[batch, k]`; `because` and `because_titles`, `[batch, k, 2]`, the
    liked films nearest to each; and `answered_by`, `[batch]`. A score is a probability, by the ranker's softmax over
    the candidates; where a rule says otherwise, the page is not in the order of the scores. A history without a single
    known film is answered by popularity, under the same rules, and is told so; there, a score is the film's part of the
    candidates' ratings. Empty places have the id `""` and the score `FILLED`.

    Args:
        stages: trained on one training set.
        directions: `[num_movies, dim]`: films as vectors; how near two are is told by their angle.
    """

    def __init__(self, stages: Stages, directions: np.ndarray) -> None:
        super().__init__()
        self.users, self.films, self.candidates, self.features, self.ranker, self.reranking = stages
        nothing = np.zeros((1, directions.shape[1]))  # no film is near to no film
        directions = unit_rows(np.vstack([directions, nothing])).astype(np.float32)
        self.directions = tf.Variable(directions, trainable=False)

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, None], tf.string, name="liked"),
            tf.TensorSpec([None], tf.int32, name="k"),
        ]
    )
    def liked(self, liked: tf.Tensor, k: tf.Tensor) -> dict[str, tf.Tensor]:
        """`k[i]` films for somebody who likes those of row `i`."""
        same = tf.debugging.assert_equal(tf.shape(k)[0], tf.shape(liked)[0], "k and liked must have equally many rows")
        with tf.control_dependencies([same]):
            positions = self.films.positions(liked)
        seen = tf.ragged.boolean_mask(positions, positions < self.films.num_movies)
        history = self.films.history(positions[:, :MOST_LIKED], self.users.length)
        return self.pages(history, history, seen, k)

    def recommend(self, user_id: tf.Tensor, k: tf.Tensor) -> dict[str, tf.Tensor]:
        """What both signatures for users answer, for `[batch]` ids and `[batch]` lengths."""
        return self.pages(*self.users(user_id), k)

    def pages(self, history: tf.Tensor, liked: tf.Tensor, seen: tf.RaggedTensor, k: tf.Tensor) -> dict[str, tf.Tensor]:
        """The path that all signatures share.

        Args:
            history: `[batch, length] int32` positions, the most recent first.
            liked: `[batch, num_liked] int32` positions that may serve as reasons.
            seen: `[batch, (num_seen)] int32` positions to leave out.
            k: `[batch] int32` lengths of the pages.
        """
        k = checked_k(k, self.candidates.num_candidates)
        scores, candidates = self.score(history, seen)
        places, found = self.reranking(candidates, scores, k)  # [batch, longest]
        shown = found & (tf.range(tf.shape(places)[1]) < k[:, tf.newaxis])
        page = tf.where(shown, tf.gather(candidates, places, batch_dims=1), self.films.num_movies)
        because = self._because(page, liked)
        probabilities = tf.gather(tf.nn.softmax(scores), places, batch_dims=1)
        known = is_known(history, self.films.num_movies)
        return {
            "movie_ids": self.films.ids(page),
            "titles": self.films.titles(page),
            "scores": tf.where(shown, probabilities, FILLED),
            "because": self.films.ids(because),
            "because_titles": self.films.titles(because),
            "answered_by": tf.where(known, TWO_STAGES, POPULARITY),
        }

    def score(self, history: tf.Tensor, seen: tf.RaggedTensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Both stages, before the page is made.

        Returns:
            `[batch, num_candidates]` float32 scores, in nats, `FILLED` where there is no film; and int32 positions, in
            the order of retrieval.
        """
        affinities, candidates = self.candidates(history, seen)
        is_film = affinities > FILLED
        features = self.features(history, candidates, tf.where(is_film, affinities, 0.0))
        ranked = self.ranker({"features": features, "is_film": is_film})
        known = is_known(history, self.films.num_movies)[:, tf.newaxis]
        # A search says nothing of its answer's shape, and a server wants to know it.
        shape = [None, self.candidates.num_candidates]
        return tf.ensure_shape(tf.where(known, ranked, affinities), shape), candidates

    def _because(self, page: tf.Tensor, liked: tf.Tensor) -> tf.Tensor:
        """`[batch, longest, NUM_REASONS] int32`: the liked films nearest to each film of the page, nearest first."""
        likeness = tf.einsum("bpd,bld->bpl", tf.gather(self.directions, page), tf.gather(self.directions, liked))
        nearest, places = tf.math.top_k(likeness, NUM_REASONS)
        reasons = tf.gather(liked, tf.reshape(places, [tf.shape(page)[0], -1]), batch_dims=1)
        return tf.where(nearest > 0, tf.reshape(reasons, tf.shape(places)), self.films.num_movies)

    @property
    def signatures(self) -> dict[str, Callable[..., dict[str, tf.Tensor]]]:
        """What `tf.saved_model.save` takes as `signatures`."""
        return super().signatures | {"liked": self.liked}
