"""A store of arrays, keyed by the hash of everything that determines them.

An entry is a folder ``<kind>/<key[:2]>/<key>`` with one ``.npy`` file per array and ``meta.json``,
which has the SHA-256 of each file and the values that the key was made of. A finished folder is
renamed into place, so readers and writers need no lock: the second of two writers drops its copy.
"""

import contextlib
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlbench.core.errors import StorageError
from tlbench.core.files import storage_errors
from tlbench.core.hashing import sha256_file, sha256_value
from tlbench.features.writer import RowWriter
from tlbench.records import plain_value

# Part of every key, so that entries of another layout are never read.
LAYOUT_VERSION = 1

_ADVICE = "Choose another cache_dir (or TLBENCH_CACHE), or pass cache=False."
# What reading a damaged entry raises. Any other OSError, such as too many open files or a missing
# permission, says nothing about the entry.
_DAMAGE = (
    *(FileNotFoundError, NotADirectoryError, IsADirectoryError, EOFError),
    *(ValueError, KeyError, TypeError, AttributeError, RecursionError),
)


def content_key(parts: Mapping[str, Any]) -> str:
    """Return an entry's key: the SHA-256 of *parts* (JSON values or records) and the layout."""
    return sha256_value({"layout": LAYOUT_VERSION, **plain_value(dict(parts))})


@dataclass(frozen=True, slots=True)
class StoredArrays:
    """A verified entry: its arrays, memory-mapped and read-only, and its metadata."""

    key: str
    arrays: dict[str, NDArray[Any]]
    meta: dict[str, Any]


def _check_digest(path: Path, digest: str) -> None:
    if sha256_file(path) != digest:
        raise ValueError(f"{path.name} has changed since it was written")


class PendingEntry:
    """An entry being written: the files in ``folder`` become visible at `commit`."""

    def __init__(
        self, folder: Path, storage_errors: Callable[[], AbstractContextManager[None]]
    ) -> None:
        self.folder = folder
        self._storage_errors = storage_errors
        self._meta: dict[str, Any] | None = None

    def save(self, name: str, array: NDArray[Any]) -> None:
        """Write one small array."""
        with self._storage_errors():
            np.save(self.folder / f"{name}.npy", array, allow_pickle=False)

    def rows(self, name: str, n_rows: int) -> RowWriter:
        """Return a writer of one large array, row by row."""
        return RowWriter(self.folder / f"{name}.npy", n_rows, self._storage_errors)

    def commit(self, meta: Mapping[str, Any]) -> None:
        """Mark the entry as complete; *meta* is stored with it."""
        self._meta = dict(meta)


class ArrayStore:
    """A folder of entries; *on_damage* gets a message for each damaged one, which is deleted."""

    def __init__(self, root: Path, *, on_damage: Callable[[str], None]) -> None:
        self.root = root
        self._on_damage = on_damage

    def _folder(self, kind: str, key: str) -> Path:
        return self.root / kind / key[:2] / key

    def get(self, kind: str, key: str) -> StoredArrays | None:
        """Return the entry, verified against its hashes, or None if there is none.

        Raises
        ------
        StorageError
            If the entry cannot be read for a reason that lies outside it; it is kept.
        """
        folder = self._folder(kind, key)
        try:
            return self._read(folder, key)
        except _DAMAGE as error:
            return self._discard(folder, key, error)

    def _read(self, folder: Path, key: str) -> StoredArrays | None:
        try:
            if not folder.is_dir():
                return None
            meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
            arrays = {}
            for name, digest in meta["sha256"].items():
                path = folder / f"{name}.npy"
                _check_digest(path, digest)
                arrays[name] = np.load(path, mmap_mode="r", allow_pickle=False)
            return StoredArrays(key, arrays, meta["meta"])
        except _DAMAGE:
            raise
        except OSError as error:
            reason = error.strerror or error
            msg = f"The cache entry {folder} cannot be read, and was kept: {reason}. {_ADVICE}"
            raise StorageError(msg) from error

    def _discard(self, folder: Path, key: str, error: Exception) -> StoredArrays | None:
        """Delete a damaged entry, unless another process has just put a sound one in its place."""
        aside = _hidden(folder)
        try:
            folder.rename(aside)  # in one step, so that of several processes only one deletes
        except FileNotFoundError:
            return None  # another process was faster
        except OSError as kept:
            msg = f"Damaged cache entry {folder} cannot be deleted ({kept.strerror}): delete it."
            raise StorageError(msg) from kept
        try:
            found = self._read(aside, key)
        except _DAMAGE:
            self._on_damage(
                f"Cache entry {folder} is damaged ({error}). "
                "It was deleted and will be computed again."
            )
            shutil.rmtree(aside, ignore_errors=True)
            return None
        except StorageError:
            _put_back(aside, folder)
            raise
        _put_back(aside, folder)
        return found

    @contextmanager
    def writing(self, kind: str, key: str, parts: Mapping[str, Any]) -> Iterator[PendingEntry]:
        """Yield an entry to fill and `PendingEntry.commit`; without a commit nothing remains.

        StorageError if the store cannot be written. An error of the block itself is not touched.
        """
        folder = self._folder(kind, key)
        temporary = _hidden(folder)
        with self._storage_errors():
            folder.parent.mkdir(parents=True, exist_ok=True)
            temporary.mkdir()  # 0777 less the umask, where mkdtemp would give 0700
        entry = PendingEntry(temporary, self._storage_errors)
        try:
            yield entry
            if entry._meta is not None:  # noqa: SLF001 - the two classes are one mechanism
                with self._storage_errors():
                    self._publish(entry, folder, parts, entry._meta)  # noqa: SLF001
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    def _publish(
        self, entry: PendingEntry, folder: Path, parts: Mapping[str, Any], meta: dict[str, Any]
    ) -> None:
        digests = {path.stem: sha256_file(path) for path in sorted(entry.folder.glob("*.npy"))}
        document = {"sha256": digests, "meta": plain_value(meta), "key": plain_value(dict(parts))}
        (entry.folder / "meta.json").write_text(json.dumps(document, indent=1), encoding="utf-8")
        try:
            os.replace(entry.folder, folder)  # noqa: PTH105 - Path.replace is the same; the name says atomic
        except OSError:
            # Another process finished this entry first; the same key means the same content.
            if not (folder / "meta.json").is_file():
                raise

    def _storage_errors(self) -> AbstractContextManager[None]:
        return storage_errors(self.root, _ADVICE)


def _put_back(aside: Path, folder: Path) -> None:
    with contextlib.suppress(OSError):  # a third process may have written the entry again
        aside.rename(folder)


def _hidden(folder: Path) -> Path:
    return folder.with_name(f".{folder.name[:8]}.{secrets.token_hex(4)}")
