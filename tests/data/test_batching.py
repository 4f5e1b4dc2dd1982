from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from recsys_course import data

ROWS = 103
COLUMNS = {
    "user_id": np.array([f"user {i}" for i in range(ROWS)], dtype=object),
    "number": np.arange(ROWS, dtype=np.int32),
    "pair": np.stack([np.arange(ROWS), np.arange(ROWS) * 2], axis=1).astype(np.float32),
}


def epoch(dataset, column="number"):
    return np.concatenate([batch[column].numpy() for batch in dataset]).tolist()


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("batch_size", [1, 10, 103, 1000])
def test_every_row_once_an_epoch_and_columns_stay_together(shuffle, batch_size):
    dataset = data.batches(COLUMNS, batch_size, shuffle=shuffle)
    assert dataset.cardinality().numpy() == -(-ROWS // batch_size)
    for _ in range(2):
        batches = list(dataset)
        assert [len(batch["number"]) for batch in batches[:-1]] == [batch_size] * (len(batches) - 1)
        numbers = np.concatenate([batch["number"].numpy() for batch in batches])
        assert sorted(numbers) == list(range(ROWS))
        assert (numbers.tolist() == list(range(ROWS))) is not shuffle
        for batch in batches:
            number = batch["number"].numpy()
            assert batch["user_id"].numpy().tolist() == [f"user {i}".encode() for i in number]
            np.testing.assert_array_equal(batch["pair"].numpy(), np.stack([number, number * 2], axis=1))


def test_dtypes_and_shapes_are_known_before_the_first_batch():
    import tensorflow as tf

    spec = data.batches(COLUMNS, 8, shuffle=True).element_spec
    assert {name: (part.dtype, part.shape.as_list()) for name, part in spec.items()} == {
        "user_id": (tf.string, [None]),
        "number": (tf.int32, [None]),
        "pair": (tf.float32, [None, 2]),
    }


def test_every_epoch_has_its_own_order_and_the_seed_decides_all_of_them():
    dataset = data.batches(COLUMNS, 10, shuffle=True, seed=7)
    epochs = [epoch(dataset) for _ in range(4)]
    assert len({tuple(order) for order in epochs}) == 4
    again = data.batches(COLUMNS, 10, shuffle=True, seed=7)
    assert [epoch(again) for _ in range(4)] == epochs
    assert epoch(data.batches(COLUMNS, 10, shuffle=True, seed=8)) != epochs[0]
    # Repeating inside the pipeline reshuffles, too.
    twice = epoch(data.batches(COLUMNS, 10, shuffle=True, seed=7).repeat(2))
    assert (twice[:ROWS], twice[ROWS:]) == (epochs[0], epochs[1])


def test_another_process_sees_the_same_orders():
    script = """
import numpy as np
import tensorflow as tf
from recsys_course import data
tf.random.set_seed(7)
dataset = data.batches({"number": np.arange(103, dtype=np.int32)}, 10, shuffle=True)
print([np.concatenate([batch["number"].numpy() for batch in dataset]).tolist() for _ in range(2)])
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    tf.random.set_seed(7)
    dataset = data.batches(COLUMNS, 10, shuffle=True)
    assert run.stdout.strip() == str([epoch(dataset) for _ in range(2)])


def test_the_shuffle_mixes_rows_from_everywhere():
    rows = 20_000
    dataset = data.batches({"number": np.arange(rows)}, 1000, shuffle=True)
    for batch in dataset:
        # The mean of 1,000 draws from 0..20,000 has a standard deviation of 180; a window's shuffle would be far off.
        assert abs(batch["number"].numpy().mean() - rows / 2) < 5 * 180


def test_columns_of_a_table_serve_as_they_are():
    ratings = data.synthetic.taste_groups().ratings
    first = next(iter(data.batches(ratings[["user_id", "user_rating"]], 3)))
    assert first["user_id"].numpy().tolist() == [user.encode() for user in ratings["user_id"][:3]]
    assert first["user_rating"].dtype.name == "float32"


@pytest.mark.parametrize(
    ("columns", "batch_size", "message"),
    [
        ({}, 1, "present and equally long"),
        ({"a": np.arange(3), "b": np.arange(4)}, 1, "'a': 3, 'b': 4"),
        ({"a": np.arange(0)}, 1, "num_rows=0"),
        ({"a": np.arange(3)}, 0, "batch_size=0"),
    ],
)
def test_impossible_input(columns, batch_size, message):
    with pytest.raises(ValueError, match=message):
        data.batches(columns, batch_size)


def test_a_pandas_table_is_a_mapping_of_columns():
    table = pd.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"]})
    assert [batch["b"].numpy().tolist() for batch in data.batches(table, 1)] == [[b"x"], [b"y"]]
