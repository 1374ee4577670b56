"""Download an archive with a known hash, and unpack it so that the folder is whole or absent."""

import contextlib
import gzip
import logging
import tarfile
import tempfile
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

from tlbench.errors import DataError, StorageError
from tlbench.progress import Listener

__all__ = ["fetch_archive"]

_TIMEOUT_S: Final = 30
_CHUNK_BYTES: Final = 1 << 16


def fetch_archive(
    url: str, sha256: str, members: Collection[str], destination: Path, listener: Listener
) -> Path:
    """Download a ``.tar.gz`` archive that holds one folder, and put that folder at *destination*.

    Everything happens in a temporary folder beside *destination* and ends with one rename, so that
    an interrupted download leaves nothing behind. If another process was faster, its folder stays.

    Parameters
    ----------
    url : str
        Where the archive lies, http or https.
    sha256 : str
        Hex digest of the archive.
    members : collection of str
        Names of the files in the archive's folder: all of them, and no others, must be there.
    destination : Path
        The folder to make; its name is the name of the folder in the archive.
    listener : Listener
        Told about the bytes that arrive.

    Returns
    -------
    Path
        *destination*.

    Raises
    ------
    DataError
        If the download fails, its hash differs, or the archive holds anything unexpected: another
        name, a link, an absolute path, a path with ``..``.
    StorageError
        If the folder cannot be written.
    """
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(
            prefix=f".{destination.name}-", dir=destination.parent
        ) as temporary:
            archive = _download(url, sha256, Path(temporary), listener)
            unpacked = _unpack(
                archive, url, members, Path(temporary) / "unpacked", destination.name
            )
            _move_into_place(unpacked, destination)
    except OSError as error:
        msg = (
            f"Cannot write {destination}: {_one_line(error)}. "
            "Choose a folder that can be written, or make room."
        )
        raise StorageError(msg) from error
    return destination


class _Progress:
    """What pooch wants a progress bar to be, in terms of a Listener."""

    def __init__(self, listener: Listener, task: str) -> None:
        self._listener = listener
        self._task = task
        self._total = 0
        self._done = 0
        self._started = False

    @property
    def total(self) -> int:
        return self._total

    @total.setter
    def total(self, total: int) -> None:
        # pooch sets the size when the server has answered; 0 says that the server did not tell it.
        self._total = total
        self._started = True
        self._listener.start(self._task, total or None, "bytes")

    def update(self, steps: int) -> None:
        # pooch reports whole chunks, also for the last and shorter one, and the total at the end.
        if self._total:
            steps = min(steps, self._total - self._done)
        if steps > 0:
            self._done += steps
            self._listener.advance(steps)

    def reset(self) -> None:
        """Do nothing: what was reported stays reported."""

    def close(self) -> None:
        if self._started:
            self._started = False
            self._listener.finish()


def _download(url: str, sha256: str, folder: Path, listener: Listener) -> Path:
    import pooch

    progress = _Progress(listener, f"download {url.rpartition('/')[2]}")
    downloader = pooch.HTTPDownloader(
        progressbar=progress, chunk_size=_CHUNK_BYTES, timeout=_TIMEOUT_S
    )
    try:
        with _quiet(pooch.get_logger()):
            path = pooch.retrieve(
                url,
                known_hash=f"sha256:{sha256}",
                fname="archive.tar.gz",
                path=folder,
                downloader=downloader,
            )
    except (OSError, ValueError) as error:
        # OSError is every failure of the network; ValueError is the hash that does not match.
        if (response := getattr(error, "response", None)) is not None:
            response.close()  # pooch leaves the connection of an answer like 404 open
        msg = f"The download of {url} failed: {_one_line(error)}."
        raise DataError(msg) from error
    finally:
        progress.close()
    return Path(path)


@contextlib.contextmanager
def _quiet(logger: logging.Logger) -> Iterator[None]:
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _unpack(archive: Path, url: str, members: Collection[str], target: Path, folder: str) -> Path:
    wanted = {f"{folder}/{member}" for member in members}
    found: set[str] = set()
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for entry in tar:
                if entry.isdir() and entry.name == folder:
                    continue
                if not entry.isreg() or entry.name not in wanted or entry.name in found:
                    msg = (
                        f"The archive {url} holds {entry.name[:120]!r}, "
                        "which does not belong there. Nothing was unpacked."
                    )
                    raise DataError(msg)
                # The name is one of ours; the filter is a second lock, and drops odd permissions.
                tar.extract(entry, target, filter="data")
                found.add(entry.name)
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise DataError(f"The archive {url} is damaged: {_one_line(error)}.") from error
    if missing := sorted(wanted - found):
        msg = f"The archive {url} lacks {', '.join(missing)}. Nothing was unpacked."
        raise DataError(msg)
    return target / folder


def _move_into_place(unpacked: Path, destination: Path) -> None:
    try:
        unpacked.replace(destination)
    except OSError:
        # A folder that is not empty cannot be replaced: another process has put its own there.
        if not destination.is_dir():
            raise


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__
