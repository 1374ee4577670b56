"""Files and folders that are written whole or not at all."""

import os
import secrets
import shutil
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
        destination = Path(os.path.realpath(path))  # a symbolic link is followed
        if destination.is_dir():
            raise IsADirectoryError(0, "it is a folder")
        if is_special := path.exists() and not path.is_file():
            temporary = path  # a device or a pipe cannot be replaced
        else:
            temporary = _temporary(destination)
            temporary.touch(exist_ok=False)  # 0666 less the umask, where mkstemp would give 0600
    if is_special:
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


def _temporary(path: Path) -> Path:
    if path.parent.is_file():
        raise NotADirectoryError(0, f"{path.parent} is not a folder")
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
