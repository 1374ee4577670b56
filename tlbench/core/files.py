"""Files and folders that are written whole or not at all."""

import os
import secrets
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tlbench.core.errors import StorageError

_ADVICE = "Choose another place."


def write_atomically(path: Path, data: bytes | str, *, advice: str = _ADVICE) -> None:
    """Write a whole file or nothing; text as UTF-8, with what UTF-8 cannot hold escaped."""
    content = data.encode(errors="backslashreplace") if isinstance(data, str) else data
    with atomic_path(path, advice=advice) as temporary, storage_errors(path, advice):
        temporary.write_bytes(content)


@contextmanager
def atomic_path(path: Path, *, advice: str = _ADVICE) -> Iterator[Path]:
    """Yield an empty temporary file beside *path* that replaces it unless the block raises."""
    with storage_errors(path, advice):
        destination = _destination(path)
        if is_device := _is_device(path):
            temporary = path
        else:
            temporary = _temporary(destination)
            temporary.touch(exist_ok=False)  # 0666 less the umask, where mkstemp would give 0600
    if is_device:
        yield path
        return
    try:
        yield temporary
        with storage_errors(path, advice):
            temporary.replace(destination)
    finally:  # after the move there is nothing of this name
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path, *, advice: str = _ADVICE) -> Iterator[Path]:
    """Yield an empty folder that is moved to *path*, never over a full one, if the block ends."""
    with storage_errors(path, advice):
        temporary = _temporary(path)
        temporary.mkdir()  # 0777 less the umask, where mkdtemp would give 0700
    try:
        yield temporary
        with storage_errors(path, advice):
            temporary.replace(path)
    finally:  # after the move there is nothing of this name
        shutil.rmtree(temporary, ignore_errors=True)


def check_file(path: Path, *, advice: str = _ADVICE) -> None:
    """Raise StorageError if a file cannot be written at *path*, before work is done for it."""
    with storage_errors(path, advice):
        destination = _destination(path)
        if not _is_device(path):
            _try_to_write(destination.parent)
        elif not os.access(path, os.W_OK):  # nothing more: a pipe may be waiting for its reader
            raise PermissionError(0, "Permission denied")


def check_folder(path: Path, *, advice: str = _ADVICE) -> None:
    """Raise StorageError if nothing can be written in a folder *path*, which may be missing."""
    with storage_errors(path, advice):
        _try_to_write(path)


@contextmanager
def locked(path: Path, *, held: str) -> Iterator[None]:
    """Hold a lock on the file *path*; raise StorageError, saying *held*, if another process does.

    The operating system frees it when the process ends, however that happens.
    """
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("ab")
    with file:
        try:
            _lock(file.fileno())
        except (BlockingIOError, PermissionError) as error:
            raise StorageError(held) from error
        yield


def _lock(number: int) -> None:
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(number, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _destination(path: Path) -> Path:
    """Return where a file called *path* is written."""
    destination = Path(os.path.realpath(path))  # a symbolic link is followed
    with suppress(FileNotFoundError, NotADirectoryError):  # other errors: no possible name
        if stat.S_ISDIR(os.lstat(destination).st_mode):
            raise IsADirectoryError(0, "it is a folder")
    return destination


def _is_device(path: Path) -> bool:
    """Return whether it is a device or a pipe, which cannot be replaced."""
    return path.exists() and not path.is_file()


def _try_to_write(folder: Path) -> None:
    """Raise OSError unless a block can be written where *folder* is or would be made."""
    with tempfile.TemporaryFile(dir=_existing(folder)) as file:
        file.write(bytes(4096))


def _existing(folder: Path) -> Path:
    """Return *folder* or the nearest of its parents that exists."""
    for place in (folder, *folder.parents):
        with suppress(FileNotFoundError, NotADirectoryError):
            os.lstat(place)
            break
    if not place.is_dir():
        raise NotADirectoryError(0, f"{place} is not a folder")
    return place


def _temporary(path: Path) -> Path:
    _existing(path.parent)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Hidden, so that an interrupted writer leaves nothing that looks finished; short enough for
    # any file system; with the suffix, because numpy adds .npz to a name that lacks it.
    return path.with_name(f".{path.stem[:40]}.{secrets.token_hex(4)}{path.suffix}")


@contextmanager
def storage_errors(path: Path, advice: str = _ADVICE) -> Iterator[None]:
    """Turn an OSError of the block into a StorageError about *path* that ends with *advice*.

    Nothing but the writing belongs in the block: an OSError of other code, such as a plugin that
    misses a file of its own, would be taken for one of *path*.
    """
    try:
        yield
    except StorageError:
        raise
    except OSError as error:
        # numpy says only how many elements it was able to write
        reason = error.strerror or f"the disk may be full ({error})"
        raise StorageError(f"{path} cannot be written: {reason}. {advice}") from error
