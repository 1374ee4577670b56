"""Rows on disk, in any order and with gaps."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlbench.core.errors import DataError
from tlbench.features import RowWriter


@given(data=st.data(), n_rows=st.integers(1, 40), n_columns=st.integers(1, 5))
def test_what_arrives_is_what_is_read(tmp_path_factory, data, n_rows, n_columns):
    """Any subset of the rows, in any order and in any batches, comes back in ascending order."""
    arriving = data.draw(st.permutations(range(n_rows)))
    arriving = arriving[: data.draw(st.integers(1, n_rows))]
    values = np.arange(n_rows * n_columns, dtype=np.float32).reshape(n_rows, n_columns)
    path = tmp_path_factory.mktemp("rows") / "rows.npy"
    with RowWriter(path, n_rows) as writer:
        start = 0
        while start < len(arriving):
            size = data.draw(st.integers(1, 7))
            batch = np.array(arriving[start : start + size], dtype=np.int64)
            writer.write(batch, values[batch])
            start += size
        index = writer.finish()
    np.testing.assert_array_equal(index, sorted(arriving))
    np.testing.assert_array_equal(np.load(path), values[index])
    assert path.stat().st_size == np.load(path).nbytes + 128


def test_more_gaps_than_a_block_are_closed_up(tmp_path):
    """Rows move down in blocks without overtaking themselves."""
    n_rows = 10_000
    values = np.arange(n_rows, dtype=np.float32)[:, None]
    kept = np.flatnonzero(np.random.default_rng(0).random(n_rows) < 0.9)
    with RowWriter(tmp_path / "rows.npy", n_rows) as writer:
        writer.write(kept, values[kept])
        np.testing.assert_array_equal(writer.finish(), kept)
    np.testing.assert_array_equal(np.load(tmp_path / "rows.npy"), values[kept])


def test_a_row_that_comes_twice_is_refused(tmp_path):
    with RowWriter(tmp_path / "rows.npy", 3) as writer:
        writer.write(np.array([1]), np.zeros((1, 2), np.float32))
        with pytest.raises(DataError, match="twice"):
            writer.write(np.array([1]), np.zeros((1, 2), np.float32))


@pytest.mark.parametrize(
    "rows",
    [np.zeros((1, 3), np.float32), np.zeros((1, 2), np.float64), np.zeros((2, 2), np.float32)],
    ids=["columns", "dtype", "count"],
)
def test_rows_that_do_not_continue_are_refused(tmp_path, rows):
    with RowWriter(tmp_path / "rows.npy", 3) as writer:
        writer.write(np.array([0]), np.zeros((1, 2), np.float32))
        with pytest.raises(DataError, match="must be float32 of shape"):
            writer.write(np.array([1]), rows)


def test_nothing_written_is_an_error(tmp_path):
    with (
        RowWriter(tmp_path / "rows.npy", 3) as writer,
        pytest.raises(DataError, match="nothing to store"),
    ):
        writer.finish()
