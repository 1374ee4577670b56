"""Download one file over http, with progress and with a time limit for a silent network."""

import base64
import contextlib
import hashlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tlbench.core.errors import DownloadError
from tlbench.core.progress import Listener

if TYPE_CHECKING:
    import requests


_TIMEOUT_S: Final = 30
_CHUNK_BYTES: Final = 1 << 16


def download(url: str, destination: Path, listener: Listener, *, sha256: str | None) -> Path:
    """Download *url* to *destination*, in an existing folder of the caller's own.

    Parameters
    ----------
    sha256 : str or None
        Hex digest that the file must have. None where its publisher prints none: then the file must
        have the MD5 that its server states in the same answer, as Google Cloud Storage does in
        ``x-goog-hash``. That proves that all of what is stored there has arrived, and not that
        nobody has changed it since.

    Returns
    -------
    Path
        *destination*.

    Raises
    ------
    DownloadError
        If the download fails, its hash differs, or there is none to check it by.
    """
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
        # OSError is every failure of the network; ValueError is the hash that does not match, or is
        # no base64.
        if (response := getattr(error, "response", None)) is not None:
            response.close()  # pooch leaves the connection of an answer like 404 open
        reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        msg = f"The download of {url} failed: {reason}."
        raise DownloadError(msg) from error
    finally:
        progress.close()
    return destination


class _StatedDigest:
    """The MD5 of a file as the answer states it that brings the file."""

    def __init__(self) -> None:
        self._md5: bytes | None = None

    def read(self, response: "requests.Response", **_options: object) -> None:
        """Take the digest from an answer; the last one counts where an address leads to another."""
        self._md5 = None
        for part in response.headers.get("x-goog-hash", "").split(","):
            name, _, value = part.strip().partition("=")
            if name == "md5":
                self._md5 = base64.b64decode(value, validate=True)

    def check(self, path: Path) -> None:
        """Raise ValueError unless the file has the digest."""
        if self._md5 is None:
            raise ValueError("its server states no MD5 of it, so that nothing can be checked")
        with path.open("rb") as file:
            found = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).digest()
        if found != self._md5:
            msg = f"its MD5 is {found.hex()}, and its server states {self._md5.hex()}"
            raise ValueError(msg)


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


@contextlib.contextmanager
def _quiet(logger: logging.Logger) -> Iterator[None]:
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
