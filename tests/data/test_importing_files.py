"""What a file says: its separator, header and columns, its ids, stars and times; and where it says nothing usable."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recsys_course.data import DatasetError
from recsys_course.data.importing import tables, values
from recsys_course.data.importing.items import genre_separator, split_genres
from recsys_course.data.importing.reading import ITEMS, RATINGS, open_file
from recsys_course.data.importing.report import BadRows
from recsys_course.data.importing.staging import ROW, Staging


@pytest.fixture
def write(tmp_path):
    def write(content: str | bytes, name: str = "ratings.csv"):
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


def rows_of(path, header=None, names=None):
    table, bad = tables.open_table(path, header, []), BadRows(path.name, "line")
    chunks = list(table.chunks(names or table.columns, bad))
    rows = [row for chunk in chunks for row in zip(*(c.to_pylist() for c in chunk.columns.values()), strict=True)]
    return table, rows, [line for chunk in chunks for line in chunk.lines.tolist()], bad


# --- Layout -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("separator", "name"), [(",", "commas"), ("\t", "tabs"), (";", "semicolons"), ("::", "double colons")]
)
def test_separators_are_found_out(write, separator, name):
    lines = [("user", "item", "rating"), ("u1", "a", "4"), ("u2", "b, c" if separator != "," else "b", "5")]
    table, rows, _, bad = rows_of(write("\n".join(separator.join(line) for line in lines)))
    assert (table.columns, rows, len(bad)) == (["user", "item", "rating"], lines[1:], 0)
    assert table.layout == f"separated by {name}, with a header"


def test_the_separator_that_gives_most_columns_wins(write):
    _, rows, _, _ = rows_of(write("user;item;rating\nu;a;4,5\nu;b;3,0\n"))
    assert rows == [("u", "a", "4,5"), ("u", "b", "3,0")]


def test_one_column_is_no_table(write):
    with pytest.raises(DatasetError, match="cannot tell what separates .*first line is 'user'"):
        tables.open_table(write("user\nu1\nu2\n"), None, [])


def test_byte_order_mark_windows_line_ends_and_a_last_line_without_end(write):
    table, rows, lines, _ = rows_of(write("\ufeffuser,item\r\nu1,é\r\nu2,b".encode()))
    assert (table.columns, rows, lines) == (["user", "item"], [("u1", "é"), ("u2", "b")], [2, 3])


def test_line_numbers_count_blank_lines_and_lines_inside_quotes(write):
    text = 'id,title\n\na,"two\nlines"\n\nb,one\nc,"so ""quoted"""\n'
    _, rows, lines, _ = rows_of(write(text))
    assert rows == [("a", "two\nlines"), ("b", "one"), ("c", 'so "quoted"')]
    assert lines == [3, 6, 7]


@pytest.mark.parametrize(
    ("first", "expected"),
    [("userId,movieId,rating,timestamp", True), ("alpha,beta", True), ("1,2,3,4", False), ("u1,i1,4.5", False)],
)
def test_a_first_line_with_a_number_is_no_header_unless_a_name_is_usual(write, first, expected):
    table = tables.open_table(write(f"{first}\n1,2,3,4\n{first}\n"), None, [])
    assert table.has_header is expected
    assert expected or table.columns == [str(n + 1) for n in range(first.count(",") + 1)]


def test_the_reader_has_the_last_word_on_the_header(write):
    path = write("alpha,beta\ngamma,delta\n")
    assert len(rows_of(path, header=False)[1]) == 2
    assert len(rows_of(path, header=True)[1]) == 1
    assert tables.open_table(write("7,item\n1,2\n"), None, ["7"]).columns == ["7", "item"]


def test_rows_of_another_width_are_told_with_their_lines(write):
    _, rows, _, bad = rows_of(write("user,item,rating\nu,a,1\nu,b\nu,c,2,x,y\nu,d,4\n"))
    assert len(rows) == 2
    assert str(bad) == "  wrong number of columns  2  lines 3 (2 instead of 3), 4 (5 instead of 3)"


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "is empty"),
        (b"user,item\n", "no rows below its header .*'user', 'item'"),
        (b"\x1f\x8b\x08\x00", "compressed .gzip.: unpack"),
        (b"PK\x03\x04", "zip archive or an Excel sheet"),
        ("user,item\nu,a\n".encode("utf-16"), "UTF-16: save it as UTF-8"),
        ("user,item\nu,a\nu,café\n".encode("latin-1"), r"line 3: not UTF-8 \(byte 0xe9 near 'u,café'\).*iconv"),
        (b"user,item\n" + b"u,a\n" * 90_000 + b"u,\xff\n", "line 90,002: not UTF-8"),
        (b'user,item\nu,a\nu,"b\nu,c\n', "quotes are broken in the row after line 2"),
        (b'user,item\nu,"b"c\n', "quotes are broken in the row after line 1"),
        (b"PAR1 and nothing else", "cannot be read as Parquet"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_line(write, content, complaint):
    with pytest.raises(DatasetError, match=complaint):
        rows_of(write(content))


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(DatasetError, match="No such file"):
        tables.open_table(tmp_path / "none.csv", None, [])


def test_many_chunks_give_what_one_gives(write, monkeypatch):
    path = write("user,item\n" + "".join(f"u{n},i{n % 7}\n" for n in range(50)))
    at_once = rows_of(path)[1:3]
    monkeypatch.setattr(tables, "CHUNK", 7)
    assert rows_of(path)[1:3] == at_once


def test_parquet_counts_rows(tmp_path):
    path = tmp_path / "ratings.parquet"
    pq.write_table(pa.table({"user": [1, 2], "item": ["a", "b"], "tags": [["x"], None]}), path)
    table, rows, lines, _ = rows_of(path, names=["item", "tags"])
    assert (table.unit, table.num_rows, rows, lines) == ("row", 2, [("a", ["x"]), ("b", None)], [1, 2])


# --- Columns ------------------------------------------------------------------------------------------------------


def roles(write, header_line, first="1,2,3,1600000000", **named):
    return open_file(write(f"{header_line}\n{first}\n"), RATINGS, ("user", "item"), named, None)


def test_usual_names_are_guessed_whatever_their_case_and_punctuation(write):
    opened = roles(write, "User ID,bookId,Stars,createdAt")
    assert opened.columns == {"user": "User ID", "item": "bookId", "rating": "Stars", "time": "createdAt"}
    assert opened.in_words()[1:3] == ["  user    'User ID' (guessed)", "  item    'bookId' (guessed)"]
    assert opened.in_words()[4] == "  time    'createdAt' (guessed); seconds since 1970"


def test_a_named_column_is_taken_and_not_guessed_again(write):
    opened = roles(write, "user,item,rating,score", rating="score")
    assert opened.columns == {"user": "user", "item": "item", "rating": "score"}
    assert opened.in_words()[-2:] == ["  rating  'score' (as --rating says)", "  not used: 'rating'"]


@pytest.mark.parametrize(
    ("line", "named", "complaint"),
    [
        ("who,item,rating,time", {}, "Which column is the user.*--user COLUMN.*'who', 'item', 'rating', 'time'"),
        ("who,what,rating,time", {}, "--user COLUMN --item COLUMN"),
        ("user,item,rating,time", {"user": "User"}, "--user 'User': there is no such column.*'user'"),
        ("user,item,rating,time", {"user": "item", "item": "item"}, "cannot play two parts"),
        ("user,item,user,time", {}, "2 columns of that name"),
    ],
)
def test_columns_that_cannot_be_are_refused_with_those_there_are(write, line, named, complaint):
    with pytest.raises(ValueError, match=complaint):
        roles(write, line, **named)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("196,242,3,881250949", {"user": "1", "item": "2", "rating": "3", "time": "4"}),
        ("196,242,3", {"user": "1", "item": "2", "rating": "3"}),
        ("196,242,881250949", {"user": "1", "item": "2", "time": "3"}),
        ("196,242,2024-05-06", {"user": "1", "item": "2", "time": "3"}),
        ("196,242", {"user": "1", "item": "2"}),
        ("196,242,3,881250949,x", {"user": "1", "item": "2", "rating": "3", "time": "4"}),
    ],
)
def test_without_header_columns_count_in_grouplens_order(write, row, expected):
    assert open_file(write(f"{row}\n{row}\n"), RATINGS, ("user", "item"), {}, None).columns == expected


def test_a_named_column_moves_out_of_the_order(write):
    path = write("3,196,242\n3,196,242\n")
    named = {"user": "2", "item": "3", "rating": "1"}
    assert open_file(path, RATINGS, ("user", "item"), named, None).columns == named


def test_an_items_file_without_header_needs_the_reader_to_say_so(write):
    path = write("a1,First,Drama\na2,Second,War\n")
    with pytest.raises(ValueError, match="--no-header"):
        open_file(path, ITEMS, ("item",), {}, None)
    assert open_file(path, ITEMS, ("item",), {}, False).columns == {"item": "1", "title": "2", "genres": "3"}


def test_the_files_may_name_the_item_differently(write):
    path = write("id,title\na1,First\n")
    assert open_file(path, ITEMS, ("item",), {"item": "recipe"}, None).columns == {"item": "id", "title": "title"}
    path = write("id,recipe\nx,a1\n")
    assert open_file(path, ITEMS, ("item",), {"item": "recipe"}, None).columns == {"item": "recipe"}


# --- Values -------------------------------------------------------------------------------------------------------


def test_ids_are_numbered_as_they_come():
    ids = values.Ids()
    assert ids.number(pa.array(["b", " a ", "b", "", None, "x\ny", "007", "7"]), "user").tolist() == [
        0, 1, 0, values.NO_ID, values.NO_ID, values.BROKEN_ID, 2, 3,
    ]  # fmt: skip
    assert ids.number(pa.array([7, None, 8], pa.int64()), "user").tolist() == [3, values.NO_ID, 4]
    assert ids.number(pa.array([7.0, float("nan"), None]), "user").tolist() == [3, values.NO_ID, values.NO_ID]
    assert ids.number(pa.array(["a", "c"]).dictionary_encode(), "user").tolist() == [1, 5]
    assert list(ids.numbers) == ["b", "a", "007", "7", "8", "c"]
    with pytest.raises(DatasetError, match="'user' is of type double; text or whole numbers"):
        ids.number(pa.array([7.5]), "user")


def test_ratings_and_what_is_none():
    numbers, faults = values.ratings(pa.array(["4", " 3.5 ", "-1", "", None, "five", "nan", "inf", "1e39", "4,5"]))
    assert numbers[:3].tolist() == [4.0, 3.5, -1.0] and numbers.dtype == np.float32
    assert np.flatnonzero(faults["no rating"]).tolist() == [3, 4]
    assert np.flatnonzero(faults["rating that is no number"]).tolist() == [5, 6, 7, 8, 9]
    numbers, faults = values.ratings(pa.array([4, None, 5]))
    assert numbers[[0, 2]].tolist() == [4, 5] and faults["no rating"].tolist() == [False, True, False]


MOMENT = 1_704_448_800  # 2024-01-05 10:00 UTC


@pytest.mark.parametrize(
    ("sample", "unit"),
    [
        (["1704448800", "1704448801"], "seconds"),
        (["1704448800123", "", "1704448801123"], "milliseconds"),
        (["2024-01-05", "2024-01-06 10:00"], "ISO 8601"),
        ([1_704_448_800], "seconds"),
        (["tomorrow", "1704448800", "1704448800"], "seconds"),
    ],
)
def test_the_clock_is_guessed(sample, unit):
    assert values.guess_clock(sample).unit == unit


def read(sample):
    seconds, faults = values.guess_clock(sample).seconds(pa.array(sample))
    return seconds.tolist(), {kind: np.flatnonzero(mask).tolist() for kind, mask in faults.items() if mask.any()}


def test_one_moment_in_every_way():
    assert read(["1704448800", " 1704448800.9 "]) == ([MOMENT, MOMENT], {})
    assert read(["1704448800000", "1704448800999"]) == ([MOMENT, MOMENT], {})
    iso = ["2024-01-05 10:00", "2024-01-05T10:00:00Z", "2024-01-05T12:00:00.500+02:00", "2024-01-05T05:00:00-0500"]
    assert read(iso) == ([MOMENT] * 4, {})
    typed = pa.array([MOMENT * 1000, None], pa.timestamp("ms", "Europe/Berlin"))
    seconds, faults = values.guess_clock(typed.to_pylist()).seconds(typed)
    assert seconds[0] == MOMENT and faults["no time"].tolist() == [False, True]
    assert values.guess_clock([]).unit == "ISO 8601"


def test_columns_of_a_type_that_says_nothing():
    lists = pa.array([[1], [2]])
    assert values.ratings(lists)[1]["rating that is no number"].all()
    with pytest.raises(DatasetError, match="list"):
        values.Ids().number(lists, "user")
    with pytest.raises(DatasetError, match="duration.* tells no moment"):
        values.guess_clock([]).seconds(pa.array([1], pa.duration("s")))


def test_times_that_cannot_be():
    _, faults = read(["1704448800"] * 5 + ["0", "2024", "1704448800000", "soon", "", None, "nan"])
    assert faults == {
        "time outside 1973 to 2099": [5, 6, 7],
        "time that cannot be read as seconds": [8, 11],
        "no time": [9, 10],
    }
    _, faults = read(["1704448800000"] * 3 + ["1704448800", "9e18"])  # seconds among milliseconds
    assert faults == {"time outside 1973 to 2099": [3, 4]}
    _, faults = read(["2024-01-05"] * 3 + ["05/01/2024", "1850-01-01", "2024-13-01", "9999-01-01"])
    assert faults == {"time that cannot be read as ISO 8601": [3, 5, 6], "time outside 1973 to 2099": [4]}


def test_genres():
    assert genre_separator(["Drama", "Drama|War"]) == "|"
    assert genre_separator(["Food, drink", "Food; Wine"]) == ";"
    assert genre_separator(["Food, drink"]) == ","
    assert genre_separator(["Food", None, ["a", "b,c"]]) == ""
    assert split_genres(" War | Drama||War ", "|") == ("War", "Drama")
    assert split_genres(["a", None, "b,c"], "") == ("a", "b,c")
    assert [split_genres(value, "|") for value in (None, "", " | ")] == [("(no genres listed)",)] * 3


# --- Repetitions --------------------------------------------------------------------------------------------------


def staged(folder, rows, num_rows=1, timed=True):
    with Staging(folder, num_rows, timed) as staging:
        for at in range(0, len(rows), 3):
            staging.add(np.array(rows[at : at + 3], dtype=ROW))
    bad = BadRows("r.csv", "line")
    staging.sift(bad)
    return sorted(row for part in staging.parts() for row in part.tolist()), bad, staging


def test_equal_rows_count_once_and_of_a_pair_the_newest(tmp_path):
    rows = [(0, 0, 4, 50, 2), (0, 0, 4, 50, 3), (0, 1, 1, 90, 4), (0, 1, 5, 60, 5), (1, 0, 2, 70, 6), (1, 0, 3, 70, 7)]
    kept, bad, _ = staged(tmp_path, rows)
    assert kept == [rows[0], rows[2], rows[5]]
    assert bad.counts == {"exact duplicate": 1, "rated again later": 2}
    assert "line 3 (as line 2)" in str(bad) and "lines 5 (in line 4), 6 (in line 7)" in str(bad)


def test_without_times_the_line_decides_and_stands_for_time(tmp_path):
    kept, bad, _ = staged(tmp_path, [(0, 0, 4, 0, 9), (0, 0, 4, 0, 8), (0, 1, 1, 0, 2), (0, 1, 5, 0, 1)], timed=False)
    assert kept == [(0, 0, 4, 8, 8), (0, 1, 1, 2, 2)]
    assert bad.counts == {"exact duplicate": 1, "rated again later": 1}


def test_many_parts_hold_what_one_holds(tmp_path):
    rows = [(n % 40, n % 31, n % 5, n, n + 1) for n in range(2000)]
    (tmp_path / "one").mkdir()
    (tmp_path / "many").mkdir()
    one, bad, _ = staged(tmp_path / "one", rows)
    many, bad_of_many, staging = staged(tmp_path / "many", rows, num_rows=4_500_000)
    assert one == many and len(one) == 1240 and bad.counts == bad_of_many.counts
    assert len(staging.lengths) == 5 and max(staging.lengths) < 2 * min(staging.lengths)
    assert [row[4] for part in staging.parts() for row in part.tolist()] != [row[4] for row in many]  # mixed
    assert str(bad) == str(bad_of_many)


def test_of_many_bad_rows_the_first_few_are_shown():
    bad = BadRows("r.csv", "line")
    bad.add("no rating", [40, 30])
    bad.add("no rating", list(range(29, 9, -1)))
    bad.add("no time", [7])
    assert len(bad) == 23
    assert str(bad) == ("  no rating  22  lines 10, 11, 12, 13, 14, ...\n  no time     1  line 7")
