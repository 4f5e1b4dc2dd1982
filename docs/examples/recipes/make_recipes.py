"""Invents a year of a cooking site: recipes.csv and ratings.csv, the small files with which "Your own data" is shown.

Nobody rated these recipes, and some you would not want to cook. What is in the files is what is written here:

- each cook likes two of eight kinds of food; nine ratings in ten are of those kinds and give four or five stars;
- within a kind a few recipes have most of the ratings;
- soups and stews are for winter, salads and the grill for summer;
- ratings come in sessions: a few evenings a year, several ratings each, often in one minute.

The same files on every machine: python docs/examples/recipes/make_recipes.py
"""

from __future__ import annotations

import csv
import random
from datetime import datetime, timedelta
from pathlib import Path

NUM_COOKS, NUM_RECIPES, RATINGS_A_COOK = 130, 184, 26

# Kind, how its dishes are called, and the month around which it is in season, if it is.
KINDS = [
    ("Baking", ["cake", "tart", "buns", "loaf"], None),
    ("Breakfast", ["porridge", "pancakes", "omelette", "muffins"], None),
    ("Curry", ["curry", "dal", "korma", "masala"], None),
    ("Grill", ["skewers", "steaks", "parcels", "burgers"], 7),
    ("Noodles", ["noodles", "ramen", "lasagne", "spaghetti"], None),
    ("Salad", ["salad", "slaw", "tabbouleh", "ceviche"], 7),
    ("Soup", ["soup", "broth", "chowder", "bisque"], 1),
    ("Stew", ["stew", "casserole", "goulash", "tagine"], 1),
]
MAINS = ["Lentil", "Salmon", "Mushroom", "Lemon", "Chicken", "Pumpkin", "Chickpea", "Walnut", "Leek", "Plum", "Spinach"]
WITH = ["with ginger", "with mint", "with brown butter", "with chilli", "with sesame", "for two", "of the house"]
MEAT = {"Salmon", "Chicken"}


def invent_recipes(rng: random.Random) -> list[tuple[str, str, str]]:
    """Id, title and tags of each recipe; the kinds take turns."""
    recipes, titles = [], set()
    while len(recipes) < NUM_RECIPES:
        kind, dishes, _ = KINDS[len(recipes) % len(KINDS)]
        main, dish = pick(rng, MAINS), pick(rng, dishes)
        title = f"{main} {dish}" + (f" {pick(rng, WITH)}" if rng.random() < 0.6 else "")
        if title in titles:
            continue
        titles.add(title)
        tags = [kind]
        if main not in MEAT:
            tags.append("Vegetarian")
        if "chilli" in title or kind == "Curry":
            tags.append("Spicy")
        recipes.append((f"r{len(recipes) + 1:03d}", title, "|".join(tags)))
    return recipes


def invent_ratings(rng: random.Random) -> list[tuple[str, str, int, str]]:
    """Cook, recipe, stars and time of each rating, by time."""
    rows = []
    for cook in range(1, NUM_COOKS + 1):
        loved = {cook % len(KINDS), (cook * 3 + cook // len(KINDS)) % len(KINDS)}
        tried: set[int] = set()
        moment = datetime(2024, 1, 1)
        while len(tried) < RATINGS_A_COOK:
            if not tried or rng.random() < 0.15:  # another evening
                day = int(rng.random() * 366)
                moment = datetime(2024, 1, 1, 17) + timedelta(days=day, minutes=int(rng.random() * 300))
            elif rng.random() < 0.5:
                moment += timedelta(minutes=1 + int(rng.random() * 4))
            likes = rng.random() < 0.9
            kinds = [kind for kind in range(len(KINDS)) if (kind in loved) == likes and in_season(rng, kind, moment)]
            if not kinds:
                continue
            recipe = pick(rng, kinds) + len(KINDS) * int(rng.random() ** 2 * (NUM_RECIPES // len(KINDS)))
            if recipe in tried:
                continue
            tried.add(recipe)
            stars = (4 if likes else 1) + (rng.random() < 0.5)
            rows.append((f"c{cook:03d}", f"r{recipe + 1:03d}", stars, moment.strftime("%Y-%m-%d %H:%M")))
    return sorted(rows, key=lambda row: (row[3], row[0], row[1]))


def in_season(rng: random.Random, kind: int, moment: datetime) -> bool:
    """Whether a cook thinks of this kind of food; out of season one time in five."""
    month = KINDS[kind][2]
    if month is None:
        return True
    away = min(abs(moment.month - month), 12 - abs(moment.month - month))
    return rng.random() < max(0.2, 1 - away / 5)


def pick(rng: random.Random, choices: list):
    """One of them. Made from random(), which is the same in every version of Python."""
    return choices[int(rng.random() * len(choices))]


def make(folder: Path) -> None:
    """Writes both files."""
    rng = random.Random(42)
    write(folder / "recipes.csv", ("recipe_id", "title", "tags"), invent_recipes(rng))
    write(folder / "ratings.csv", ("cook", "recipe_id", "stars", "when"), invent_ratings(rng))


def write(path: Path, header: tuple[str, ...], rows: list[tuple]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])


if __name__ == "__main__":
    make(Path(__file__).parent)
