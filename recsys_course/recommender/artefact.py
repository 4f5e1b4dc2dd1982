"""The recommender as a version folder that a server loads."""

from __future__ import annotations

from pathlib import Path

from recsys_course.recommender.candidates import NUM_CANDIDATES
from recsys_course.recommender.trained import SPLIT, Say, TrainedRecommender
from recsys_course.serving.export import Request, about_dataset, catalogue, publish_module


def export_recommender(trained: TrainedRecommender, models_dir: Path | str = "models", say: Say = print) -> Path:
    """Publishes the next version of `recommender`, in stock operations alone.

    Args:
        trained: from `trained_recommender`.
        models_dir: the folder of all models.
        say: told what happens, a line at a time.

    Returns:
        The version's folder.
    """
    facts = {
        "stages": f"history tower, {NUM_CANDIDATES} candidates; listwise ranker; re-ranking by variety and rules",
        "dataset": about_dataset(trained),
        "split": SPLIT,
        "recipe": trained.recipe,
        "NDCG@10, seen-out": trained.metrics,
    }
    users, films = trained.user_ids, trained.movies["movie_id"].tolist()
    asked: list[Request] = [("serving_default", {"user_id": ids}) for ids in (users[:1], users[:32], ["a stranger"])]
    asked += [("top_k", {"user_id": users[:1], "k": [100]}), ("liked", {"liked": [films[:2]], "k": [10]})]
    folder = publish_module(Path(models_dir) / "recommender", trained.module(), facts, asked, catalogue(trained))
    say(f"wrote {folder}")
    return folder
