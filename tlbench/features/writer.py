"""Write features: an ``.npy`` file row by row, or an ``.npz`` file for other programs."""

import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np
from numpy.typing import NDArray

from tlbench.core.arrays import BoolArray, FloatArray, LabelArray
from tlbench.core.errors import ConfigError, DataError
from tlbench.core.files import atomic_path, check_file, storage_errors

_BLOCK_ROWS = 4096


class RowWriter:
    """A float32 matrix in an ``.npy`` file; up to *n_rows* rows arrive in any order, each once.

    Memory use is constant: pages of a memory map would count until the kernel flushes them.
    """

    def __init__(
        self,
        path: Path,
        n_rows: int,
        errors: Callable[[], AbstractContextManager[None]] | None = None,
    ) -> None:
        self._path = path
        # Rows arrive between the calls of plugins, whose errors are none of this file.
        self._storage_errors = errors or partial(storage_errors, path)
        with self._storage_errors():
            self._file: BinaryIO = path.open("w+b")
        self._written: BoolArray = np.zeros(n_rows, dtype=np.bool_)
        self._n_columns: int | None = None
        self._offset = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._storage_errors() if kind is None else suppress(OSError):
            self._file.close()

    def write(self, index: LabelArray, rows: FloatArray) -> None:
        """Store *rows*, float32 (n, n_columns), at the positions *index*, int64 (n,)."""
        if self._n_columns is None:
            self._n_columns = rows.shape[1]
            with self._storage_errors():
                self._write_header(len(self._written))
        if rows.dtype != np.float32 or rows.shape != (len(index), self._n_columns):
            cause = "the model's output changes between batches."
            if rows.dtype != np.float32:
                cause = "give the model a float32 output."
            raise DataError(
                f"Features must be float32 of shape ({len(index)}, {self._n_columns}), got "
                f"{rows.dtype} of shape {rows.shape}: {cause}"
            )
        if self._written[index].any():
            raise DataError("The features of an image arrived twice.")
        row_bytes = 4 * self._n_columns
        rows = np.ascontiguousarray(rows)
        # Consecutive rows are written together: for images of one size that is the whole batch.
        breaks = np.flatnonzero(np.diff(index) != 1) + 1
        with self._storage_errors():
            for part in np.split(np.arange(len(index)), breaks):
                self._file.seek(self._offset + int(index[part[0]]) * row_bytes)
                self._file.write(rows[part[0] : part[-1] + 1].data)
        self._written[index] = True

    def finish(self) -> LabelArray:
        """Complete the file and return the positions that arrived, in the order of the rows."""
        index = np.flatnonzero(self._written).astype(np.int64)
        if self._n_columns is None or not len(index):
            raise DataError("No features arrived, so there is nothing to store.")
        with self._storage_errors():
            if len(index) < len(self._written):
                self._close_gaps(index)
            self._file.flush()
            os.fsync(self._file.fileno())
        return index

    def _write_header(self, n_rows: int) -> None:
        self._file.seek(0)
        header = {
            "descr": np.lib.format.dtype_to_descr(np.dtype(np.float32)),
            "fortran_order": False,
            "shape": (n_rows, self._n_columns),
        }
        # numpy pads the header so that the number of rows can change without moving the data.
        np.lib.format.write_array_header_1_0(self._file, header)
        offset = self._file.tell()
        assert self._offset in {0, offset}
        self._offset = offset

    def _close_gaps(self, index: LabelArray) -> None:
        assert self._n_columns is not None
        row_bytes = 4 * self._n_columns
        self._file.seek(self._offset + len(self._written) * row_bytes)
        self._file.truncate()
        rows = np.memmap(
            self._path,
            np.float32,
            "r+",
            offset=self._offset,
            shape=(len(self._written), self._n_columns),
        )
        for start in range(0, len(index), _BLOCK_ROWS):
            block = index[start : start + _BLOCK_ROWS]
            rows[start : start + len(block)] = rows[block]  # never overtakes: index[i] >= i
        rows.flush()
        del rows
        self._write_header(len(index))
        self._file.truncate(self._offset + len(index) * row_bytes)


def check_npz_path(path: Path) -> Path:
    """Return *path* if it ends in ``.npz`` and can be written; raise a TlbenchError otherwise."""
    if path.suffix.lower() != ".npz":
        raise ConfigError(
            f"Features are written as .npz files, got {path.name!r}. Use a name like features.npz."
        )
    check_file(path)
    if not path.parent.is_dir():
        raise ConfigError(f"The folder {path.parent} does not exist. Create it first.")
    return path


def save_npz(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write an uncompressed ``.npz`` atomically; memory-mapped arrays are streamed."""
    with atomic_path(path) as temporary, storage_errors(path):
        np.savez(temporary, allow_pickle=False, **arrays)
