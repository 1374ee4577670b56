"""Files and folders are written whole or not at all."""

import os
import resource
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlbench.core.errors import StorageError
from tlbench.core.files import (
    atomic_folder,
    atomic_path,
    check_file,
    check_folder,
    locked,
    storage_errors,
    write_atomically,
)
from tlbench.features import save_npz


@pytest.fixture(params=[0o022, 0o077, 0o002], ids="umask={:03o}".format)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    """Set the umask for one test."""
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


@given(before=st.none() | st.binary(max_size=64), chunks=st.lists(st.binary(max_size=16)))
def test_an_interrupted_file_is_never_seen(
    tmp_path_factory: pytest.TempPathFactory, before: bytes | None, chunks: list[bytes]
) -> None:
    """Whatever is written until an interruption, the destination keeps what it had."""
    path = tmp_path_factory.mktemp("files") / "a.bin"
    if before is not None:
        path.write_bytes(before)

    def found() -> bytes | None:
        return path.read_bytes() if path.exists() else None

    def write() -> None:
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            for chunk in chunks:
                file.write(chunk)
                file.flush()
                assert found() == before
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write()
    assert found() == before
    assert [*path.parent.iterdir()] == ([path] if before is not None else [])


@given(before=st.none() | st.binary(max_size=64), after=st.binary(max_size=64))
def test_a_written_file_holds_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, before: bytes | None, after: bytes
) -> None:
    """A file that is there is replaced, one that is not is made, and nothing else is left."""
    path = tmp_path_factory.mktemp("files") / "a.bin"
    if before is not None:
        path.write_bytes(before)
    write_atomically(path, after)
    assert path.read_bytes() == after
    assert [*path.parent.iterdir()] == [path]


def test_text_is_utf8_and_names_that_are_not_are_escaped(tmp_path: Path) -> None:
    """A name of the file system that is not UTF-8 does not stop a report."""
    write_atomically(tmp_path / "a.txt", "7 µs caf\udce9\n")
    assert (tmp_path / "a.txt").read_bytes() == "7 µs caf\\udce9\n".encode()


def test_umask_is_honoured(tmp_path: Path, umask: int) -> None:
    """Files and folders are as private as the user wants all of theirs, no more and no less."""
    write_atomically(tmp_path / "a.bin", b"a")
    with atomic_folder(tmp_path / "b") as folder:
        (folder / "c").write_bytes(b"c")
    assert stat.S_IMODE((tmp_path / "a.bin").stat().st_mode) == 0o666 & ~umask
    assert stat.S_IMODE((tmp_path / "b").stat().st_mode) == 0o777 & ~umask


def test_missing_folders_are_made(tmp_path: Path) -> None:
    """A destination may lie in folders that are not there yet."""
    write_atomically(tmp_path / "a/b/c.bin", b"c")
    with atomic_folder(tmp_path / "d/e"):
        pass
    assert (tmp_path / "a/b/c.bin").read_bytes() == b"c"
    assert (tmp_path / "d/e").is_dir()


def test_numpy_writes_where_it_is_told(tmp_path: Path) -> None:
    """The temporary file keeps the suffix: numpy would add it and write another file."""
    with atomic_path(tmp_path / "a.npz") as temporary:
        np.savez(temporary, a=np.arange(3))
    with np.load(tmp_path / "a.npz") as found:
        assert found["a"].tolist() == [0, 1, 2]
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]


def test_a_name_as_long_as_the_file_system_allows_can_be_written(tmp_path: Path) -> None:
    """The temporary name is not longer than the name it stands for."""
    path = tmp_path / f"{'a' * 251}.bin"
    write_atomically(path, b"a")
    assert path.read_bytes() == b"a"


def test_a_link_is_followed(tmp_path: Path) -> None:
    """The file behind a symbolic link is replaced, and the link stays."""
    (tmp_path / "data").mkdir()
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "data/a.bin")
    write_atomically(link, b"a")
    assert link.is_symlink()
    assert (tmp_path / "data/a.bin").read_bytes() == b"a"


def test_a_device_is_not_replaced() -> None:
    """``/dev/null`` is written to and stays what it is."""
    write_atomically(Path(os.devnull), b"a")
    assert stat.S_ISCHR(Path(os.devnull).stat().st_mode)


def test_a_folder_in_place_of_the_file_is_refused_before_the_work(tmp_path: Path) -> None:
    """Hours of work are not lost for a destination that could have been refused at once."""
    with (
        pytest.raises(StorageError, match=r"^\S+ cannot be written: it is a folder\. Move it\.$"),
        atomic_path(tmp_path, advice="Move it."),
    ):
        pytest.fail("the work was begun")


def test_a_file_in_place_of_a_folder_is_refused_before_the_work(tmp_path: Path) -> None:
    """The error names the destination, not the temporary file."""
    (tmp_path / "a").write_bytes(b"")
    for writer in (atomic_path, atomic_folder):
        with (
            pytest.raises(
                StorageError, match=r"a/b cannot be written: .+/a is not a folder\. Choose"
            ),
            writer(tmp_path / "a/b"),
        ):
            pytest.fail("the work was begun")


@pytest.mark.parametrize("place", [".", "new", "new/er", "link"])
def test_a_place_that_can_be_written_passes_the_check(tmp_path: Path, place: str) -> None:
    """The check leaves nothing, and what it allows can be done."""
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to("there")
    before = sorted(tmp_path.rglob("*"))
    check_folder(tmp_path / place)
    check_file(tmp_path / place / "a.bin")
    assert sorted(tmp_path.rglob("*")) == before
    with atomic_folder(tmp_path / place / "run"):
        pass
    write_atomically(tmp_path / place / "a.bin", b"")
    check_file(tmp_path / place / "a.bin")  # which may be replaced


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ("file", "/file is not a folder"),
        ("file/deeper", "/file is not a folder"),
        ("dangling", "/dangling is not a folder"),
        ("circle", "/circle is not a folder"),
        ("a" * 300, "File name too long"),
    ],
)
def test_a_place_that_cannot_be_written_fails_the_check(
    tmp_path: Path, place: str, reason: str
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "circle").symlink_to("circle")
    with pytest.raises(StorageError, match=rf"cannot be written: .*{reason}\. Ask\.$"):
        check_folder(tmp_path / place, advice="Ask.")


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        (".", "it is a folder"),
        ("to-folder", "it is a folder"),
        ("file/a.bin", "/file is not a folder"),
        (f"{'a' * 300}.bin", "File name too long"),
        (f"{'a' * 300}/a.bin", "File name too long"),
        ("/proc/a.bin", "No such file or directory"),
    ],
)
def test_a_file_that_cannot_be_written_fails_the_check(
    tmp_path: Path, place: str, reason: str
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "to-folder").symlink_to(tmp_path)
    with pytest.raises(StorageError, match=rf"cannot be written: .*{reason}\. Ask\.$"):
        check_file(tmp_path / place, advice="Ask.")


def test_a_device_or_a_pipe_passes_the_check(tmp_path: Path) -> None:
    """Nothing is written, and nobody is waited for."""
    os.mkfifo(tmp_path / "pipe")
    check_file(tmp_path / "pipe")
    check_file(Path(os.devnull))


def test_a_full_disk_fails_the_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder may be made on a full disk, and an empty file, but no block is left."""
    with Path("/dev/full").open("wb") as full:
        monkeypatch.setattr("tempfile.TemporaryFile", lambda **_: full)
        with pytest.raises(StorageError, match="No space left on device"):
            check_folder(tmp_path)


def test_a_full_device_is_told_with_the_destination() -> None:
    """``/dev/full`` fails as a full disk does, when something is written."""
    with pytest.raises(StorageError, match=r"^/dev/full cannot be written: No space left on dev"):
        write_atomically(Path("/dev/full"), b"a" * 10_000)


@pytest.fixture
def full_disk() -> Iterator[None]:
    """Let no file of this process grow beyond 4 KiB."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("full_disk")
def test_a_disk_that_fills_up_is_told_and_nothing_is_left(tmp_path: Path) -> None:
    """Whatever is written, the error names the destination."""
    array = np.random.default_rng(0).random(10_000)
    with pytest.raises(StorageError, match=r"a\.npz cannot be written: File too large"):
        save_npz(tmp_path / "a.npz", {"a": array})
    with pytest.raises(StorageError, match=r"a\.bin cannot be written: File too large"):
        write_atomically(tmp_path / "a.bin", array.tobytes())
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("writer", [atomic_path, atomic_folder])
@pytest.mark.parametrize(
    "error",
    [
        ValueError("a"),
        StorageError("The cache is full."),
        FileNotFoundError(2, "No such file or directory", "/the/plugin/has/lost.it"),
        ConnectionResetError(104, "Connection reset by peer"),
        OSError(28, "No space left on device"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_of_the_caller_is_not_touched(
    tmp_path: Path, writer: Callable[[Path], AbstractContextManager[Path]], error: Exception
) -> None:
    """The work may read files, too: what it misses is not taken for the destination."""
    with pytest.raises(type(error)) as caught, writer(tmp_path / "a"):
        raise error
    assert caught.value is error
    assert not [*tmp_path.iterdir()]


def test_errors_while_writing_are_the_destinations(tmp_path: Path) -> None:
    """The caller says which part of its work is the writing."""
    with (
        pytest.raises(StorageError, match=r"a\.bin cannot be written: No space .*\. Free some\."),
        storage_errors(tmp_path / "a.bin", "Free some."),
    ):
        raise OSError(28, "No space left on device")


def test_a_folder_that_holds_something_is_never_replaced(tmp_path: Path) -> None:
    """Two writers of one folder: the first stays."""
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    with (
        pytest.raises(StorageError, match="first cannot be written"),
        atomic_folder(tmp_path / "first") as folder,
    ):
        (folder / "b").touch()
    assert [path.name for path in (tmp_path / "first").iterdir()] == ["first"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["first", "second"]


def test_a_lock_keeps_others_out_until_it_is_freed(tmp_path):
    path = tmp_path / "new" / ".lock"
    with (
        locked(path, held="somebody is in"),
        pytest.raises(StorageError, match="somebody is in"),
        locked(path, held="somebody is in"),
    ):
        pytest.fail("two are in")
    with locked(path, held="somebody is in"):
        assert path.is_file()


def test_a_lock_dies_with_its_process(tmp_path):
    """However that ends: nobody has to delete a file by hand."""
    path = tmp_path / ".lock"
    holder = (
        "import sys, time; from pathlib import Path; from tlbench.core.files import locked\n"
        f"with locked(Path({str(path)!r}), held='x'):\n print('in', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", holder], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"in\n"
        with pytest.raises(StorageError, match="busy"), locked(path, held="busy"):
            pytest.fail("two are in")
        process.kill()
    with locked(path, held="busy"):
        pass


def test_an_error_in_the_locked_block_stays_what_it_is(tmp_path):
    with pytest.raises(FileNotFoundError), locked(tmp_path / ".lock", held="busy"):
        (tmp_path / "missing").read_bytes()
