"""Download an archive with a known hash, and unpack it so that the folder is whole or absent."""

import gzip
import tarfile
import tempfile
import zlib
from collections.abc import Collection
from pathlib import Path

from tlbench.core.download import download
from tlbench.core.errors import DataError, DownloadError, StorageError
from tlbench.core.progress import Listener


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
            try:
                archive = download(url, Path(temporary) / "archive.tar.gz", listener, sha256=sha256)
            except DownloadError as error:
                raise DataError(str(error)) from error
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
