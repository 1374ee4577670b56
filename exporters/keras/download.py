"""Stand between Keras and its download of weights: note what it asks for and what fails."""

import contextlib
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tlbench.core.progress import Listener

_SILENT_NETWORK_S = 30.0


@dataclass(slots=True)
class Download:
    """The file that Keras asked for: its URL, its place, and whether Keras got it there."""

    name: str = ""
    origin: str = ""
    path: Path = field(default_factory=Path)
    error: Exception | None = None


def keras_home() -> Path:
    """Return the folder that Keras keeps its files in: ``KERAS_HOME``, else ``~/.keras``."""
    return Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser()


@contextlib.contextmanager
def watched_downloads(listener: Listener, serve: Path | None = None) -> Iterator[Download]:
    """Record the weights file that Keras asks for inside the block.

    Parameters
    ----------
    serve : Path or None
        A file to hand over in place of the download.
    """
    # The networks fetch their weights through this module's attribute; Keras has no public hook.
    from keras.src.utils import file_utils

    download = Download()
    fetch, timeout = file_utils.get_file, socket.getdefaulttimeout()

    def get_file(fname: str, origin: str, **options: Any) -> str:
        if serve is not None:
            return str(serve)
        folder = keras_home()
        download.name, download.origin = fname, origin
        download.path = folder / options.get("cache_subdir", "datasets") / fname
        listener.finish()  # the building of the network, in the middle of which this is
        listener.start(f"load {fname}" if download.path.is_file() else f"download {fname}")
        try:
            # Keras reads KERAS_HOME when it is imported, and goes to /tmp when there is no folder.
            folder.mkdir(parents=True, exist_ok=True)
            download.path = Path(fetch(fname, origin, cache_dir=str(folder), **options))
        except Exception as error:
            download.error = error
            raise
        return str(download.path)

    file_utils.get_file = get_file
    # Keras sets no timeout: behind a firewall that drops packets it would wait for ever.
    socket.setdefaulttimeout(_SILENT_NETWORK_S if timeout is None else timeout)
    try:
        yield download
    finally:
        file_utils.get_file = fetch
        socket.setdefaulttimeout(timeout)
