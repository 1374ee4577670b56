"""Runs on disk: found by folder, file, id or 'last', and written whole or not at all."""

import dataclasses
import re
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest

from tlbench.core.errors import ResultError, StorageError
from tlbench.records import find_run, new_run_id, read_run, save_run


@pytest.fixture
def output(tmp_path):
    return tmp_path / "runs"


@pytest.fixture
def save(golden_run, output):
    """Return a function that saves the golden run under an id."""

    def _save(run_id, predictions=None):
        run = dataclasses.replace(golden_run, id=run_id)
        return save_run(run, predictions or {}, output)

    return _save


def test_id_sorts_by_time():
    """Of two runs the later has the later id, whatever the clock's zone."""
    first = new_run_id(datetime(2026, 1, 31, 23, 59, 59, tzinfo=UTC))
    zone = timezone(timedelta(hours=-5))
    second = new_run_id(datetime(2026, 1, 31, 19, 0, 0, tzinfo=zone))  # midnight in UTC
    assert first < second
    assert re.fullmatch(r"20260201-000000-[0-9a-f]{4}", second)


def test_ids_of_one_second_differ():
    """Two runs that start together do not overwrite one another."""
    now = datetime(2026, 1, 31, tzinfo=UTC)
    assert len({new_run_id(now) for _ in range(8)}) > 1  # one in 65536 a pair


@pytest.mark.parametrize("how", ["folder", "file", "id", "last"])
def test_saved_run_is_read(save, output, how):
    """Every way to name a run leads to it."""
    folder = save("20260101-000000-aaaa")
    name = {
        "folder": str(folder),
        "file": str(folder / "run.json"),
        "id": "20260101-000000-aaaa",
        "last": "last",
    }[how]
    assert find_run(name, output) == folder / "run.json"
    assert read_run(name, output).id == "20260101-000000-aaaa"


def test_saved_run_is_the_same(golden_run, output):
    """Nothing is lost between memory and disk."""
    save_run(golden_run, {}, output)
    assert read_run(golden_run.id, output) == golden_run


def test_last_is_the_most_recent_by_id(save, output):
    """The id counts and not the order of writing, which copying changes."""
    save("20260102-000000-aaaa")
    save("20260103-000000-aaaa")
    save("20260101-000000-ffff")
    assert read_run("last", output).id == "20260103-000000-aaaa"


def test_predictions_are_saved_beside_the_run(save):
    """The arrays are read without pickle."""
    folder = save("20260101-000000-aaaa", {"labels": np.arange(5), "index": np.arange(5) * 2})
    with np.load(folder / "predictions.npz", allow_pickle=False) as saved:
        np.testing.assert_array_equal(saved["labels"], np.arange(5))
        np.testing.assert_array_equal(saved["index"], np.arange(5) * 2)


def test_no_predictions_no_file(save):
    """A run of the latency alone has none."""
    assert [path.name for path in save("20260101-000000-aaaa").iterdir()] == ["run.json"]


def test_output_holds_runs_only(save, output):
    """No temporary folder is left beside the runs."""
    save("20260101-000000-aaaa")
    assert [path.name for path in output.iterdir()] == ["20260101-000000-aaaa"]


@pytest.mark.parametrize("below", ["", "deeper/still"])
def test_file_in_place_of_the_folder(golden_run, output, below):
    """An output that cannot be a folder is refused, and the file there is untouched."""
    output.write_text("mine")
    with pytest.raises(StorageError, match="output=FOLDER") as caught:
        save_run(golden_run, {}, output / below)
    assert str(output) in str(caught.value)
    assert output.read_text() == "mine"


def test_existing_run_is_not_overwritten(save, output):
    """An id that is taken is refused, and the run that has it stays."""
    folder = save("20260101-000000-aaaa")
    before = (folder / "run.json").read_bytes()
    with pytest.raises(StorageError):
        save("20260101-000000-aaaa", {"labels": np.arange(5)})
    assert (folder / "run.json").read_bytes() == before
    assert [path.name for path in output.iterdir()] == [folder.name]


@pytest.mark.parametrize(
    ("failure", "seen"),
    [
        pytest.param(OSError(28, "No space left on device"), StorageError, id="full disk"),
        pytest.param(KeyboardInterrupt(), KeyboardInterrupt, id="interrupted"),
        pytest.param(MemoryError(), MemoryError, id="out of memory"),
    ],
)
def test_nothing_half_written_is_left(save, output, monkeypatch, failure, seen):
    """Whatever goes wrong after the first file, neither a run nor a part of one is left."""

    def fail(*_, **__):
        raise failure

    monkeypatch.setattr(np, "savez_compressed", fail)
    with pytest.raises(seen):
        save("20260101-000000-aaaa", {"labels": np.arange(5)})
    assert list(output.iterdir()) == []


def test_full_disk_says_so(save, monkeypatch):
    """The reason that the system gave reaches the user."""

    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", fail)
    with pytest.raises(StorageError, match="No space left on device"):
        save("20260101-000000-aaaa", {"labels": np.arange(5)})


@pytest.mark.parametrize(
    "name", ["20260101-000000-aaaa", "no/such/folder", "a" * 300, "a\0b", "../runs"], ids=ascii
)
def test_missing_run(save, output, name):
    """The message says what was looked for, and where."""
    save("20260102-000000-aaaa")
    with pytest.raises(ResultError, match="No run") as caught:
        find_run(name, output)
    assert repr(name) in str(caught.value)
    assert str(output) in str(caught.value)


def test_last_of_no_runs(output):
    """Before the first run there is no last one; the message says how to make one."""
    with pytest.raises(ResultError, match="tlbench run") as caught:
        find_run("last", output)
    assert str(output) in str(caught.value)


def test_unfinished_run_is_not_the_last(save, output):
    """A hidden folder, of a run being written or of a killed writer, is not a run."""
    save("20260101-000000-aaaa")
    hidden = output / ".20260102-000000-aaaa.x"
    hidden.mkdir()
    (hidden / "run.json").write_text("{")
    assert read_run("last", output).id == "20260101-000000-aaaa"
    (output / "20260101-000000-aaaa" / "run.json").unlink()
    with pytest.raises(ResultError):
        find_run("last", output)


def test_damaged_run_is_named(save, output):
    """A file that was edited by hand is refused with its path."""
    folder = save("20260101-000000-aaaa")
    (folder / "run.json").write_text("{}")
    with pytest.raises(ResultError, match=re.escape(str(folder / "run.json"))):
        read_run("last", output)


def test_file_that_is_not_a_run(tmp_path, output):
    """Any file can be named; only runs are read."""
    path = tmp_path / "notes.txt"
    path.write_text("notes")
    with pytest.raises(ResultError, match=re.escape(str(path))):
        read_run(str(path), output)
