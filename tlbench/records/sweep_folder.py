"""A sweep on disk: ``sweep.json``, and for each cell a saved run or the reason why it has none."""

import shutil
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tlbench.core.errors import ResultError, StorageError
from tlbench.core.files import locked, storage_errors, write_atomically
from tlbench.records.codec import decode_document, encode_document, encode_run
from tlbench.records.run import RunResult
from tlbench.records.store import Predictions, check_predictions, read_predictions, read_run
from tlbench.records.sweep import FAILURE_VERSION, SWEEP_VERSION, Sweep, SweepFailure

_SWEEP, _CELLS, _ROUNDS, _LOCK = "sweep.json", "cells", "rounds", ".lock"
_RUN, _FAILED = "run.json", "failed.json"
_ADVICE = "Pass another folder."

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class SweepFolder:
    """The folder of a sweep. Every file in it is written whole or not at all."""

    path: Path

    @classmethod
    def of(cls, name: str | Path) -> "SweepFolder":
        """Return the folder of a saved sweep, given that or its ``sweep.json``."""
        path = Path(name).expanduser()
        folder = cls(path.parent if path.name == _SWEEP else path)
        if not folder.has_sweep():
            found = f"it has no {_SWEEP}" if folder.path.is_dir() else "there is no such folder"
            raise ResultError(f"No sweep in {folder.path}: {found}. Make one with `tlbench sweep`.")
        return folder

    @property
    def cells(self) -> Path:
        """Folder of the cells: saved runs, each named by its cell's id."""
        return self.path / _CELLS

    @property
    def rounds(self) -> Path:
        """Folder of the timed rounds, from which an interrupted sweep goes on."""
        return self.path / _ROUNDS

    def has_sweep(self) -> bool:
        """Return whether there is a ``sweep.json``."""
        return (self.path / _SWEEP).is_file()

    def locked(self) -> AbstractContextManager[None]:
        """Keep other sweeps out; raise StorageError if one is already in."""
        held = f"Another sweep is being measured in {self.path}. Wait for its end. {_ADVICE}"
        return locked(self.path / _LOCK, held=held)

    def check_empty(self) -> None:
        """Raise StorageError if a new sweep would be mixed with files of something else."""
        with storage_errors(self.path, _ADVICE):
            others = sorted(path.name for path in self.path.iterdir() if path.name[0] != ".")
        if others:
            raise StorageError(
                f"{self.path} holds no sweep, but other files, such as {others[0]}. Pass a new or "
                "an empty folder."
            )

    def read(self) -> Sweep:
        """Return the sweep as it was last written; raise ResultError if that cannot be used."""
        return _read(self.path / _SWEEP, Sweep, SWEEP_VERSION, "a sweep")

    def write(self, sweep: Sweep) -> None:
        """Write ``sweep.json``."""
        write_atomically(self.path / _SWEEP, encode_document(sweep), advice=_ADVICE)

    def run_of(self, cell: str) -> tuple[RunResult, Predictions] | None:
        """Return a cell's run with its predictions; None if it is not measured.

        Raises
        ------
        ResultError
            If a file is damaged, or belongs to another run.
        """
        folder = self.cells / cell
        if not (folder / _RUN).exists():
            return None
        run, predictions = read_run(str(folder), self.cells), read_predictions(folder)
        if run.id != cell or predictions is None:
            found = "has no predictions.npz" if run.id == cell else f"holds the run {run.id}"
            raise ResultError(f"{folder} {found}.")
        check_predictions(run, predictions)
        return run, predictions

    def replace_run(self, run: RunResult) -> None:
        """Write the ``run.json`` of a cell that has one already."""
        write_atomically(self.cells / run.id / _RUN, encode_run(run), advice=_ADVICE)

    def failure_of(self, cell: str) -> SweepFailure | None:
        """Return why a cell failed; None if it did not. Raise ResultError for a damaged file."""
        path = self.cells / cell / _FAILED
        if not path.exists():
            return None
        return _read(path, SweepFailure, FAILURE_VERSION, "the record of a failed cell")

    def write_failure(self, failure: SweepFailure) -> None:
        """Write ``failed.json``; a run of the cell that has no timing yet is removed."""
        folder = self.cells / failure.id
        with storage_errors(folder, _ADVICE):
            folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / _FAILED, encode_document(failure), advice=_ADVICE)
        for name in (_RUN, "predictions.npz"):
            with suppress(OSError):
                (folder / name).unlink()

    def discard(self, folder: Path) -> None:
        """Remove a folder of the sweep that cannot be used."""
        with storage_errors(folder, "Remove it."):
            if folder.exists():
                shutil.rmtree(folder)


def _read(path: Path, kind: type[T], version: int, expected: str) -> T:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ResultError(f"{path} cannot be read: {error.strerror}.") from error
    return decode_document(
        content,
        kind,
        str(path),
        version=version,
        expected=expected,
        advice=f"Delete {path.parent} and measure again, or pass another folder.",
        error_type=ResultError,
    )
