"""From a reader's own file to a dataset that all chapters take for one of MovieLens: whole, once, or not at all."""

from __future__ import annotations

import functools
import re
import shutil
import threading
import time
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from support import latest_small
from typer.testing import CliRunner

from recsys_course import baselines, data, metrics
from recsys_course.authoring import cli
from recsys_course.authoring.notebooks import read_script
from recsys_course.authoring.project import find_project
from recsys_course.data import importing
from recsys_course.data.importing import records, staging
from recsys_course.data.integrity import STAMP, workshop
from recsys_course.data.names import prepared_folder
from recsys_course.data.preparation import prepare_from_archive

PROJECT = find_project(Path(__file__).parent)
RECIPES = PROJECT.root / "docs" / "examples" / "recipes"

RATINGS = """user,item,rating,timestamp
u10,b,4,1600000005
u9,a,3,1600000000
u9,b,5,1600000000
u10,007,2.5,1600000001
"""
ITEMS = "item,title,genres\na,Alpha,Drama|War\nb,Beta,\nz,Never rated,War\n"


@pytest.fixture
def files(tmp_path):
    """Writes small files; returns their paths."""

    def write(**texts: str) -> list[Path]:
        paths = [tmp_path / f"{name}.csv" for name in texts]
        for path, text in zip(paths, texts.values(), strict=True):
            path.write_text(text, encoding="utf-8")
        return paths

    return write


@pytest.fixture
def said():
    return []


@pytest.fixture
def small(root, files, said):
    """The dataset of the two files above, under the name ``mine``."""
    ratings, items = files(ratings=RATINGS, items=ITEMS)
    importing.import_dataset(ratings, "mine", items_file=items, say=said.append)
    return root


def left_overs(root):
    return [path.name for path in (root / "recsys_course").glob("*") if path.name != "lock"]


def test_ratings_and_catalogue_of_a_dataset_of_ones_own(small, said):
    for _ in ("decoded", "from the cache"):
        ratings, movies = data.load_ratings("mine"), data.load_movies("mine")
        assert ratings.astype({"user_id": str, "movie_id": str}).to_numpy().tolist() == [
            ["u10", "007", 2.5, 1600000001],  # ids of text, in the order of text
            ["u10", "b", 4.0, 1600000005],
            ["u9", "a", 3.0, 1600000000],
            ["u9", "b", 5.0, 1600000000],
        ]
        assert list(ratings["movie_id"].cat.categories) == ["007", "a", "b"]
        assert movies.to_numpy().tolist() == [
            ["007", "007", ("(no genres listed)",)],
            ["a", "Alpha", ("Drama", "War")],
            ["b", "Beta", ("(no genres listed)",)],
            ["z", "Never rated", ("War",)],
        ]
        synthetic = data.synthetic.taste_groups()
        for ours, planted in ((ratings, synthetic.ratings), (movies, synthetic.movies)):
            assert list(ours) == list(planted)
            assert ours.dtypes.map(str).to_dict() == planted.dtypes.map(str).to_dict()
    assert "1 rated items are not in items.csv, for example '007': their id serves as title" in "\n".join(said)
    assert left_overs(small) == ["columns-1"]


def test_what_tfds_reads_is_what_tfds_would_have_written(root, tmp_path, monkeypatch):
    """latest-small prepared by TFDS' own parser and writer, and imported from the same files."""
    import tensorflow_datasets as tfds

    archive = tmp_path / "ml-latest-small"
    latest_small.write_archive(archive, num_users=40, num_movies=60, num_groups=2)
    prepare_from_archive("latest-small", archive, root)
    monkeypatch.setattr(staging, "ROWS_A_PART", 400)  # several shards
    importing.import_dataset(archive / "ratings.csv", "mine", items_file=archive / "movies.csv", say=str)
    assert len(list(prepared_folder(root, "mine", "ratings").glob("*.tfrecord*"))) == 3

    def examples(name):
        table, info = tfds.load(name, split="train", data_dir=root, with_info=True)
        genre = info.features["movie_genres"].feature.int2str
        rows = [
            {key: tuple(map(genre, value)) if key == "movie_genres" else value for key, value in row.items()}
            for row in table.as_numpy_iterator()
        ]
        spec = {key: (value.dtype, value.shape.rank) for key, value in table.element_spec.items()}
        return sorted(rows, key=repr), spec, info.splits["train"].num_examples

    for table in ("ratings", "movies"):
        assert examples(f"movielens/mine-{table}") == examples(f"movielens/latest-small-{table}")
    for load in (data.load_ratings, data.load_movies):
        pd.testing.assert_frame_equal(load("mine"), load("latest-small"))


def test_large_whole_numbers_are_ids_in_their_order(root, files):
    ids = [12, 9, 5_000_000_000, 987_654_321]
    (path,) = files(ratings="user,item,rating\n" + "".join(f"{user},{user + 1},3\n" for user in ids))
    importing.import_dataset(path, "mine", say=str)
    assert list(data.load_ratings("mine")["user_id"].cat.categories) == ["9", "12", "987654321", "5000000000"]
    assert data.load_movies("mine")["movie_id"].tolist() == ["10", "13", "987654322", "5000000001"]


def test_no_ratings_and_no_times_are_said_and_kept(root, files, said, capsys):
    (path,) = files(clicks="user,item\nu1,a\nu2,b\n\nu1,b\n")
    importing.import_dataset(path, "clicks", say=said.append)
    ratings = data.load_ratings("clicks")
    assert set(ratings["user_rating"]) == {1.0}
    assert ratings["timestamp"].tolist() == [2, 5, 3]  # lines of the file
    told = "\n".join(said)
    assert "There are no ratings: each row counts 1.0" in told
    assert "There are no times: time stamps count the lines of the file" in told
    assert "No --items file" in told
    data.ensure_dataset("clicks")
    assert "there are no times" in capsys.readouterr().out


BAD = """user,item,rating,timestamp
u1,a,4,1600000000
,a,4,1600000000
u1,,4,1600000000
u1,b,five,1600000000
u1,c,,1600000000
u1,d,4,yesterday
u1,e,4,
u1,f,4,16
u1,a,4,1600000000
u1,a,2,1500000000
u1,g
"""


def test_bad_rows_are_listed_and_nothing_is_imported(root, files):
    (path,) = files(bad=BAD)
    with pytest.raises(data.DatasetError) as refusal:
        importing.import_dataset(path, "mine", say=str)
    assert [re.sub(" {2,}", "  ", line) for line in str(refusal.value).splitlines()] == [
        "bad.csv: 10 rows cannot be taken",
        "  wrong number of columns  1  line 12 (2 instead of 4)",
        "  no user id  1  line 3",
        "  no item id  1  line 4",
        "  no rating  1  line 6",
        "  rating that is no number  1  line 5 ('five')",
        "  no time  1  line 8",
        "  time that cannot be read as seconds  1  line 7 ('yesterday')",
        "  time outside 1973 to 2099  1  line 9 ('16')",
        "  exact duplicate  1  line 10 (as line 2)",
        "  rated again later  1  line 11 (in line 2)",
        "Nothing was imported. Mend them, or add --skip-bad-rows to go on without them.",
    ]
    assert not (root / "movielens").exists() and left_overs(root) == []


PLAYS = """user,item,rating,timestamp
u1,a,4,1600000000
u2,,3,1600000100
u2,b,five,1600000200
u3,a,4,1600000300
u3,c,2,1600000300000
u1,a,4,1600000000
u4,c,5,
"""


def test_the_page_shows_a_report_as_it_is(root, files):
    (path,) = files(plays=PLAYS)
    with pytest.raises(data.DatasetError) as refusal:
        importing.import_dataset(path, "mine", say=str)
    assert f"```text\n{refusal.value}\n```" in (PROJECT.root / "docs" / "your_data.md").read_text(encoding="utf-8")


def test_bad_rows_can_be_skipped_and_are_counted(root, files, said):
    items = ITEMS + "a,Again,War\n,Nameless,War\n"
    ratings, items = files(bad=BAD, items=items)
    importing.import_dataset(ratings, "mine", items_file=items, skip_bad_rows=True, say=said.append)
    assert len(data.load_ratings("mine")) == 1
    assert data.load_movies("mine")["movie_title"].tolist() == ["Alpha", "Beta", "Never rated"]
    told = "\n".join(said)
    assert "bad.csv: left out 10 rows\n" in told
    assert "items.csv: left out 2 rows\n  no item id " in told
    assert "line 6\n" in told and "line 5 (a)" in told
    assert "mine: 1 ratings by 1 users of 1 items, 3 in the catalogue; every rating is 4, 2020-09-13" in told


def test_a_file_without_one_good_row(root, files):
    (path,) = files(bad="user,item,rating\nu1,a,x\nu2,b,y\n")
    with pytest.raises(data.DatasetError, match="No row of .*bad.csv can be taken"):
        importing.import_dataset(path, "mine", skip_bad_rows=True, say=str)


@pytest.mark.parametrize(
    "name", ["100k", "25m", "../x", "a/b", "a\\b", "", "Books", "my books", "-x", "x" * 41, "é", "."]
)
def test_names_that_cannot_be(root, files, name):
    (path,) = files(ratings=RATINGS)
    with pytest.raises(ValueError, match="--name"):
        importing.import_dataset(path, name, say=str)
    assert not root.exists()


def test_a_name_that_is_taken_says_by_what(small, files):
    (path,) = files(other="user,item,rating\nu1,a,1\n")
    with pytest.raises(
        data.DatasetError, match="mine .* already: imported from ratings.csv and items.csv. Add --replace"
    ):
        importing.import_dataset(path, "mine", say=str)
    assert len(data.load_ratings("mine")) == 4
    importing.import_dataset(path, "mine", replace=True, say=str)
    assert len(data.load_ratings("mine")) == 1 and len(data.load_movies("mine")) == 1


def test_names_on_this_machine_are_known(small, monkeypatch, capsys):
    assert data.dataset_name("mine") == "mine"
    monkeypatch.setenv("COURSE_DATASET", "mine")
    assert data.dataset_name() == "mine" and len(data.load_ratings()) == 4
    data.ensure_dataset()
    assert capsys.readouterr().out == (
        f"The dataset mine is ready in {small}; source: imported from ratings.csv and items.csv.\n"
    )
    with pytest.raises(ValueError, match="'yours'.*25m, mine; or make one of your own data with `course import`"):
        data.dataset_name("yours")


def test_an_interrupted_import_leaves_what_was_there(small, files, monkeypatch):
    (path,) = files(other="user,item,rating\nu1,a,1\n")
    before = sorted(small.rglob("*"))

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(records, "write_ratings", interrupted)
    for name in ("mine", "another"):
        with pytest.raises(KeyboardInterrupt):
            importing.import_dataset(path, name, replace=True, say=str)
        assert sorted(small.rglob("*")) == before
    assert len(data.load_ratings("mine")) == 4


@pytest.mark.parametrize("damage", ["truncated", "of two imports"])
def test_a_damaged_dataset_says_to_import_it_again(small, files, damage):
    folder = prepared_folder(small, "mine", "movies")
    if damage == "truncated":
        next(folder.glob("*.tfrecord*")).write_bytes(b"half")
    else:
        stamp = folder / STAMP
        stamp.write_text(stamp.read_text().replace('"imported": "', '"imported": "0'))
    with pytest.raises(
        data.DatasetError, match="mine is not whole any more: .*course import FILE --name mine --replace"
    ):
        data.load_movies("mine")
    (path,) = files(other="user,item,rating\nu1,a,1\n")
    with pytest.raises(data.DatasetError, match="already: .*not whole.*--replace"):
        importing.import_dataset(path, "mine", say=str)
    importing.import_dataset(path, "mine", replace=True, say=str)
    assert len(data.load_movies("mine")) == 1


def test_of_two_imports_at_once_the_second_finds_the_name_taken(small, files, tmp_path, capsys):
    """Another process holds the lock and finishes first; here it puts a finished dataset into its place."""
    (path,) = files(other="user,item,rating\nu1,a,1\n")
    holds = threading.Event()

    def other_process():
        with workshop(small):
            holds.set()
            time.sleep(1)
            for table in ("ratings", "movies"):
                folder = prepared_folder(small, "mine", table)
                shutil.copytree(folder, prepared_folder(small, "late", table))

    thread = threading.Thread(target=other_process)
    thread.start()
    holds.wait()
    with pytest.raises(data.DatasetError, match="There is a dataset late"):
        importing.import_dataset(path, "late", say=str)
    thread.join()
    assert "Another process is preparing data" in capsys.readouterr().out
    assert len(data.load_ratings("late")) == 4


def test_too_little_data_is_said(small, said):
    assert any(
        line.startswith("Too small for the chapters: 4 ratings (at least 2,000), 2 users (at least 120), 3 items")
        for line in said
    )


# --- The example --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def recipes_root(tmp_path_factory):
    """The example, imported by the command; what it printed stands beside it."""
    folder = tmp_path_factory.mktemp("recipes")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TFDS_DATA_DIR", str(folder))
        patch.setattr(cli.out, "_width", 400)
        arguments = ["import", str(RECIPES / "ratings.csv"), "--items", str(RECIPES / "recipes.csv")]
        done = CliRunner().invoke(cli.app, [*arguments, "--user", "cook", "--name", "recipes"])
    (folder / "printed").write_text(done.stdout, encoding="utf-8")
    assert done.exit_code == 0, done.output
    return folder


@pytest.fixture
def recipes(recipes_root, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(recipes_root))
    monkeypatch.setenv("COURSE_DATASET", "recipes")
    return recipes_root


def test_the_example_is_what_its_script_invents(tmp_path):
    namespace = {"__name__": "make_recipes", "__file__": "make_recipes.py"}
    exec((RECIPES / "make_recipes.py").read_text(encoding="utf-8"), namespace)
    namespace["make"](tmp_path)
    for name in ("ratings.csv", "recipes.csv"):
        assert (tmp_path / name).read_text(encoding="utf-8") == (RECIPES / name).read_text(encoding="utf-8")
        assert (RECIPES / name).stat().st_size < 110_000


def test_the_example_is_large_enough_and_its_page_shows_what_the_command_prints(recipes):
    printed = (recipes / "printed").read_text(encoding="utf-8")
    assert "Too small" not in printed
    page = (PROJECT.root / "docs" / "your_data.md").read_text(encoding="utf-8")
    assert f"```text\n{printed}```" in page


def test_taste_is_found_in_the_example(recipes):
    ratings, movies = data.load_ratings(), data.load_movies()
    for split in (data.random_split(ratings), data.temporal_split(ratings), data.leave_last_out(ratings)):
        index = data.InteractionIndex.of(ratings, movies)
        seen, exam = index.matrix(split.train), index.matrix(split.test)
        found = [
            metrics.hit_rate_at_k(metrics.rank_held_out(model.fit(seen).score, exam, seen), 10)
            for model in (baselines.MostPopular(), baselines.ItemKNN())
        ]
        assert found[1] > 2 * found[0] > 0


def test_chapter_1_reads_the_example(recipes, capsys, monkeypatch):
    """Its cells from the set-up to the first batch: loading, the oddities, and tfds.load with a step on top."""
    import tensorflow_datasets as tfds

    # TFDS reads TFDS_DATA_DIR once, when it is imported; a chapter runs in a process of its own.
    monkeypatch.setattr(tfds, "load", functools.partial(tfds.load, data_dir=recipes))
    notebook = read_script(PROJECT.chapter(1).source.read_text(encoding="utf-8"))
    cells = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    last = next(at for at, source in enumerate(cells) if "picked.batch(64)" in source)
    namespace: dict = {}
    for source in cells[1 : last + 1]:
        exec(source, namespace)
    plt.close("all")
    assert "3,380 ratings by 130 users of 184 films" in capsys.readouterr().out
    assert namespace["one_user"]["movie_title"].notna().all()
    assert {row["user_id"][:1] for row in namespace["picked"].take(50).as_numpy_iterator()} == {b"c"}


# --- The command --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["ratings.csv"], 2, "Missing option '--name'"),
        (["ratings.csv", "--name", "100k"], 2, "that is a dataset of MovieLens"),
        (["ratings.csv", "--name", "mine", "--time", "when"], 2, "--time 'when': there is no such column"),
        (["ratings.csv", "--name", "mine", "--title", "name"], 2, "add --items FILE"),
        (["none.csv", "--name", "mine"], 1, "Cannot read none.csv"),
        (["bad.csv", "--name", "mine"], 1, "exact duplicate"),
    ],
)
def test_the_command_says_what_is_wrong(root, files, tmp_path, monkeypatch, arguments, status, message):
    files(ratings=RATINGS, bad=RATINGS + "u9,b,5,1600000000\n")
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(cli.app, ["import", *arguments], env={"COLUMNS": "200"})
    assert done.exit_code == status, done.output
    assert message in done.output
