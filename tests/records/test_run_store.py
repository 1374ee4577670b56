"""Runs on disk: found by folder, file, id or 'last', and written whole or not at all."""

import dataclasses
import os
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

    def _save(run_id, predictions=None, **changes):
        run = dataclasses.replace(golden_run, id=run_id, **changes)
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
    # 2,000 draws of 65,536 give 1,970 ids, with a standard deviation of 5; of 256, at most 256.
    assert len({new_run_id(now) for _ in range(2000)}) > 1900


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


def test_last_is_the_run_that_began_last(save, output):
    """The record counts, and not the order of writing or the id, which is by chance."""
    for run_id, second in (("ffff", "29.999999"), ("aaaa", "30.000002"), ("bbbb", "30.000001")):
        save(f"20260131-142530-{run_id}", created_at=f"2026-01-31T14:25:{second}+00:00")
    assert read_run("last", output).id == "20260131-142530-aaaa"


@pytest.mark.parametrize("name", ["zzz", "best run", "0"])
def test_a_renamed_folder_is_last_only_if_its_run_is(save, output, name):
    """People rename the runs that they keep, and copy runs from elsewhere."""
    save("20260101-000000-aaaa", created_at="2026-01-01T00:00:00+00:00").rename(output / name)
    assert find_run("last", output) == output / name / "run.json"
    save("20260102-000000-aaaa", created_at="2026-01-02T00:00:00+00:00")
    assert read_run("last", output).id == "20260102-000000-aaaa"


@pytest.mark.parametrize(
    "later", ["2026-01-31T23:00:00+00:00", "2026-01-31T23:00:00Z", "2026-01-31T18:00:00-05:00"]
)
def test_the_last_run_of_several_zones(save, output, later):
    """Runs of other machines and programs may state another offset from UTC, or none."""
    save("20260131-220000-ffff", created_at="2026-01-31T22:00:00")
    save("20260131-230000-aaaa", created_at=later)
    save("20260131-213000-ffff", created_at="2026-01-31T23:30:00+02:00")
    assert read_run("last", output).id == "20260131-230000-aaaa"


def test_of_runs_of_one_moment_the_last_by_name(save, output):
    """A choice that does not depend on the order in which the system lists files."""
    for run_id in ("bbbb", "cccc", "aaaa"):
        save(run_id, created_at="2026-01-31T14:25:30+00:00")
    assert read_run("last", output).id == "cccc"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[]",
        b"\xff",
        b"[" * 100_000,
        b'{"created_at": "2099-01-01T00:00:00+00:00"}',
        b'{"schema_version": 1, "id": "a", "created_at": "yesterday"}',
        b'{"schema_version": 1, "id": "a", "created_at": "2099-01-01T00:00:00+00:00", "accur',
    ],
    ids=["empty", "object", "list", "bytes", "deep", "no run", "no time", "cut off"],
)
def test_a_damaged_run_beside_is_not_the_last(save, output, content):
    """A copy that was cut off, or a file of another program."""
    save("20260101-000000-aaaa")
    (output / "zzz").mkdir()
    (output / "zzz" / "run.json").write_bytes(content)
    assert read_run("last", output).id == "20260101-000000-aaaa"


def test_what_is_no_file_is_not_the_last(save, output):
    """A folder called run.json, a link to nothing, and a pipe, which nobody writes to."""
    save("20260101-000000-aaaa")
    for name in ("x", "y", "z"):
        (output / name).mkdir()
    (output / "x" / "run.json").mkdir()
    (output / "y" / "run.json").symlink_to("nowhere")
    os.mkfifo(output / "z" / "run.json")
    assert read_run("last", output).id == "20260101-000000-aaaa"


def test_a_later_run_of_another_version_is_the_last(save, output):
    """It is refused and named: an older run in its place would be judged in silence."""
    save("20260101-000000-aaaa")
    later = save("20260102-000000-aaaa", schema_version=99, created_at="2099-01-01T00:00:00+00:00")
    with pytest.raises(ResultError, match="schema version 99") as caught:
        read_run("last", output)
    assert str(later) in str(caught.value)


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


def test_a_folder_without_a_run(tmp_path, output):
    """It is there, and the message does not deny it."""
    output.mkdir()
    with pytest.raises(ResultError, match=r"the folder has no run\.json"):
        find_run(str(tmp_path), output)


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
