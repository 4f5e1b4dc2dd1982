"""The two stages made one system: retrieve, take out seen films, rank, make a page of it, say why."""

from __future__ import annotations

from recsys_course.recommender.artefact import export_recommender
from recsys_course.recommender.asking import Page, Recommended, recommend_to_fan, recommend_to_user, table
from recsys_course.recommender.candidates import Candidates
from recsys_course.recommender.features import PairFeatures
from recsys_course.recommender.films import Films
from recsys_course.recommender.module import RecommenderModule, Stages
from recsys_course.recommender.neighbours import Neighbours, rated_in_one_sitting, watched_by_the_same
from recsys_course.recommender.ranker import CandidateLists, Ranker, fit_ranker
from recsys_course.recommender.reranking import Reranking, Rules
from recsys_course.recommender.titles import Titles, UnknownTitle
from recsys_course.recommender.trained import TrainedRecommender, trained_recommender
from recsys_course.recommender.training import HeldOutLists, Retrieval, build_module, fit, held_out_lists, retrieval
from recsys_course.recommender.users import Users

__all__ = [
    "CandidateLists",
    "Candidates",
    "Films",
    "HeldOutLists",
    "Neighbours",
    "Page",
    "PairFeatures",
    "Ranker",
    "Recommended",
    "RecommenderModule",
    "Reranking",
    "Retrieval",
    "Rules",
    "Stages",
    "Titles",
    "TrainedRecommender",
    "UnknownTitle",
    "Users",
    "build_module",
    "export_recommender",
    "fit",
    "fit_ranker",
    "held_out_lists",
    "rated_in_one_sitting",
    "recommend_to_fan",
    "recommend_to_user",
    "retrieval",
    "table",
    "trained_recommender",
    "watched_by_the_same",
]
