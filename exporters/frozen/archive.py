"""The archive of 2015-12-05: download it, and read the graph out of it."""

import gzip
import tarfile
import tempfile
import zlib
from io import BytesIO
from pathlib import Path, PurePosixPath

from tlbench.core.download import download
from tlbench.core.errors import DownloadError, ExportError, StorageError
from tlbench.core.progress import Listener

# The file of http://download.tensorflow.org/models/image/imagenet/, by TLS from the same bucket.
# No digest of it is printed anywhere that we know of. What arrives is checked against the MD5 that
# the bucket itself states; who made it is what the certificate vouches for. The SHA-256 that was
# found goes into the card.
URL = (
    "https://storage.googleapis.com/download.tensorflow.org/models/image/imagenet/"
    "inception-2015-12-05.tgz"
)
# What tensorflow/models' classify_image.py printed when it had downloaded the file.
ARCHIVE_BYTES = 88_931_400
MEMBER = "classify_image_graph_def.pb"
_GZIP = b"\x1f\x8b"
_LARGEST_BYTES = 1 << 30  # the graph has 96 MB; a damaged or evil archive shall not fill the memory


def fetch_archive(
    folder: Path | None, listener: Listener, *, url: str = URL, size_bytes: int = ARCHIVE_BYTES
) -> bytes:
    """Return the archive, from *folder* if it is there already, else from *url*.

    Parameters
    ----------
    folder : Path or None
        Where the download is kept; None for nowhere.

    Raises
    ------
    ExportError
        If the download fails, is not what its server says it sends, or has another size.
    StorageError
        If *folder* cannot be written.
    """
    name = url.rpartition("/")[2]
    kept = None if folder is None else folder / name
    if kept is not None and kept.is_file() and kept.stat().st_size == size_bytes:
        return kept.read_bytes()
    try:
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=folder) as temporary:
            path = download(url, Path(temporary) / name, listener, sha256=None)
            content = path.read_bytes()
            if len(content) == size_bytes and kept is not None:
                path.replace(kept)
    except DownloadError as error:
        msg = f"{error} Give the file, or the {MEMBER} in it, with --weights PATH."
        raise ExportError(msg) from error
    except OSError as error:
        msg = f"{folder} cannot be written: {error.strerror}. Choose another --cache-dir."
        raise StorageError(msg) from error
    if len(content) != size_bytes:
        msg = (
            f"{url} has {len(content):,} bytes, not {size_bytes:,}: it is another file. Give the "
            f"file of 2015-12-05, or the {MEMBER} in it, with --weights PATH."
        )
        raise ExportError(msg)
    return content


def is_archive(content: bytes) -> bool:
    """Tell whether a file is compressed, as the archive is and a graph is not."""
    return content.startswith(_GZIP)


def read_member(content: bytes, label: str) -> bytes:
    """Return the graph in the archive; the other files are left alone, and nothing is unpacked.

    Raises
    ------
    ExportError
        If the archive is damaged, lacks the graph or has it twice, or holds anything but plain
        files at its top.
    """
    found = []
    try:
        with tarfile.open(fileobj=BytesIO(content), mode="r:gz") as tar:
            for entry in tar:
                parts = PurePosixPath(entry.name).parts
                if entry.isdir() and not parts:  # "." itself
                    continue
                if not entry.isreg() or len(parts) != 1 or parts[0] in {"..", "/"}:
                    msg = f"{label} holds {entry.name[:120]!r}, which does not belong there."
                    raise ExportError(msg)
                if parts[0] == MEMBER:
                    if entry.size > _LARGEST_BYTES:
                        raise ExportError(f"{MEMBER} in {label} has {entry.size:,} bytes.")
                    file = tar.extractfile(entry)
                    assert file is not None  # it is a regular file
                    found.append(file.read())
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError) as error:
        reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise ExportError(f"{label} is damaged: {reason}. Download it again.") from error
    if len(found) != 1:
        msg = f"{label} holds {MEMBER} {len(found)} times, expected once."
        raise ExportError(msg)
    return found[0]
