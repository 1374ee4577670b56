"""Download files and archives over http, with progress and with a timeout."""

import base64
import contextlib
import gzip
import hashlib
import logging
import tarfile
import tempfile
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tlbench.core.errors import DataError, DownloadError, StorageError, one_line
from tlbench.core.progress import Listener

if TYPE_CHECKING:
    import requests


_TIMEOUT_S: Final = 30
_CHUNK_BYTES: Final = 1 << 16


def download(url: str, destination: Path, listener: Listener, *, sha256: str | None) -> Path:
    """Download *url* to *destination* in an existing folder, or raise DownloadError."""
    # Without a sha256, the MD5 that the server states (Google Cloud Storage: x-goog-hash) proves
    # that the file is complete, not that nobody has replaced it.
    import pooch

    progress = _Progress(listener, f"download {url.rpartition('/')[2]}")
    stated = _StatedDigest()
    downloader = pooch.HTTPDownloader(
        progressbar=progress,
        chunk_size=_CHUNK_BYTES,
        timeout=_TIMEOUT_S,
        hooks={"response": stated.read},
    )
    try:
        with _quiet(pooch.get_logger()):
            pooch.retrieve(
                url,
                known_hash=None if sha256 is None else f"sha256:{sha256}",
                fname=destination.name,
                path=destination.parent,
                downloader=downloader,
            )
        if sha256 is None:
            stated.check(destination)
    except (OSError, ValueError) as error:
        # OSError: the network failed. ValueError: another digest, or one that is not base64.
        if (response := getattr(error, "response", None)) is not None:
            response.close()  # pooch leaves the connection of a response like 404 open
        raise DownloadError(f"The download of {url} failed: {_reason(error)}.") from error
    finally:
        progress.close()
    return destination


class _StatedDigest:
    """The MD5 of a file that the response with the file states."""

    def __init__(self) -> None:
        self._md5: bytes | None = None

    def read(self, response: "requests.Response", **_options: object) -> None:
        """Take the digest from a response; after a redirect the last one counts."""
        self._md5 = None
        for part in response.headers.get("x-goog-hash", "").split(","):
            name, _, value = part.strip().partition("=")
            if name == "md5":
                self._md5 = base64.b64decode(value, validate=True)

    def check(self, path: Path) -> None:
        """Raise ValueError unless the file has the digest."""
        if self._md5 is None:
            raise ValueError("its server states no MD5 of it, so that it cannot be checked")
        with path.open("rb") as file:
            found = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).digest()
        if found != self._md5:
            raise ValueError(f"its MD5 is {found.hex()}, and its server states {self._md5.hex()}")


class _Progress:
    """A progress bar for pooch that reports to a Listener."""

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
        # pooch sets the size when the server has responded; 0 means that it is not known.
        self._total = total
        self._started = True
        self._listener.start(self._task, total or None, "bytes")

    def update(self, steps: int) -> None:
        # pooch reports whole chunks, even for the shorter last one, and the total at the end.
        if self._total:
            steps = min(steps, self._total - self._done)
        if steps > 0:
            self._done += steps
            self._listener.advance(steps)

    def reset(self) -> None:
        """Do nothing: reported bytes stay reported."""

    def close(self) -> None:
        if self._started:
            self._started = False
            self._listener.finish()


@contextlib.contextmanager
def _quiet(logger: logging.Logger) -> Iterator[None]:
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def fetch_archive(
    url: str, sha256: str, members: Collection[str], destination: Path, listener: Listener
) -> Path:
    """Download a ``.tar.gz`` of one folder, exactly *members*; return *destination*, the folder."""
    # All happens in a temporary folder beside it and ends with one rename, so that an interrupted
    # download leaves nothing behind. If another process was faster, its folder stays.
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(
            prefix=f".{destination.name}-", dir=destination.parent
        ) as temporary:
            try:
                archive = download(url, Path(temporary) / "archive.tar.gz", listener, sha256=sha256)
            except DownloadError as error:
                raise DataError(str(error)) from error
            target = Path(temporary) / "unpacked"
            unpacked = _unpack(archive, url, members, target, destination.name)
            try:
                unpacked.replace(destination)
            except OSError:
                # A folder that is not empty cannot be replaced: another process was faster.
                if not destination.is_dir():
                    raise
    except OSError as error:
        raise StorageError(
            f"Cannot write {destination}: {_reason(error)}. "
            "Choose a writable folder, or free some disk space."
        ) from error
    return destination


def _unpack(archive: Path, url: str, members: Collection[str], target: Path, folder: str) -> Path:
    wanted = {f"{folder}/{member}" for member in members}
    found: set[str] = set()
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for entry in tar:
                if entry.isdir() and entry.name == folder:
                    continue
                if not entry.isreg() or entry.name not in wanted or entry.name in found:
                    raise DataError(
                        f"The archive {url} contains {entry.name[:120]!r}, "
                        "which does not belong there. Nothing was unpacked."
                    )
                # The name is a known one, and the filter is a second guard. The permissions are the
                # user's own, not the archive's.
                tar.extract(entry, target, set_attrs=False, filter="data")
                found.add(entry.name)
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise DataError(f"The archive {url} is damaged: {_reason(error)}.") from error
    if missing := sorted(wanted - found):
        raise DataError(f"The archive {url} lacks {', '.join(missing)}. Nothing was unpacked.")
    return target / folder


def _reason(error: Exception) -> str:
    return one_line(error).rstrip(".") or type(error).__name__
