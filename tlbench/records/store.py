"""Runs on disk: ``<output>/<id>/run.json``, ``predictions.npz`` and what is kept of the images."""

from __future__ import annotations

import contextlib
import io
import secrets
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tlbench.core.arrays import LabelArray
from tlbench.core.errors import ResultError
from tlbench.core.files import atomic_folder, storage_errors
from tlbench.records.accuracy import AccuracyResult
from tlbench.records.codec import decode_run, encode_run
from tlbench.records.images import RunImages
from tlbench.records.run import RunResult

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_RUN, _PREDICTIONS = "run.json", "predictions.npz"
_LABELS, _INDEX = "labels", "index"


def new_run_id(now: datetime) -> str:
    """Return a name that sorts by time and does not collide: ``20260131-142530-1f3a``."""
    return f"{now.astimezone(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def save_run(
    run: RunResult,
    predictions: Mapping[str, NDArray[np.generic]],
    output: Path,
    images: RunImages | None = None,
) -> Path:
    """Write a run's folder whole or not at all, and return it.

    Parameters
    ----------
    run : RunResult
        The run; its id names the folder.
    predictions : mapping of str to ndarray
        Arrays of ``predictions.npz``, which is not written if there are none.
    output : Path
        Folder that runs are saved in; it is made if it is missing.
    images : RunImages or None
        What the run keeps of its test images.

    Returns
    -------
    Path
        The folder, ``<output>/<id>``.

    Raises
    ------
    StorageError
        If *output* cannot be written, or holds a run of this id.
    """
    import numpy as np

    folder = output / run.id
    content = encode_run(run)
    advice = "Pass another folder: output=FOLDER."
    with atomic_folder(folder, advice=advice) as temporary, storage_errors(folder, advice):
        (temporary / _RUN).write_bytes(content)
        if predictions:
            np.savez_compressed(temporary / _PREDICTIONS, allow_pickle=False, **predictions)
        for name, data in (images.files if images else {}).items():
            (temporary / name).write_bytes(data)
    return folder


def find_run(name: str, output: Path) -> Path:
    """Return the path of the ``run.json`` that *name* stands for.

    Parameters
    ----------
    name : str
        A run's folder, its ``run.json``, its id in *output*, or ``"last"`` for the run there that
        began last, whatever its folder is called; of runs that began together, the last by name.
    output : Path
        Folder that runs are saved in.

    Returns
    -------
    Path
        An existing file.

    Raises
    ------
    ResultError
        If there is no such run; the message says where tlbench looked.
    """
    if name == "last":
        # A hidden folder is a run that is being written, or whose writer was killed.
        saved = [path for path in output.glob(f"[!.]*/{_RUN}") if path.is_file()]
        if not saved:
            raise ResultError(
                f"There is no run in {output}. Make one with `tlbench run`, or pass output=FOLDER."
            )
        return max(saved, key=lambda path: (_created(path), path.parent.name))
    for candidate in (Path(name), Path(name) / _RUN, output / name / _RUN):
        with contextlib.suppress(OSError):  # no permission, or not a possible name of a file
            if candidate.is_file():
                return candidate
    found = "there is no such file or folder"
    with contextlib.suppress(OSError):
        if Path(name).is_dir():
            found = f"the folder has no {_RUN}"
    raise ResultError(f"No run {name!r}: {found}, and there is no {output / name / _RUN}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Beginning:
    """What a file must have to be one of the runs of which one is the last."""

    schema_version: int
    id: str
    created_at: datetime


def _created(path: Path) -> datetime:
    """Return when a run began; before all others for a file that is damaged or not a run."""
    try:
        created = msgspec.json.decode(path.read_bytes(), type=_Beginning).created_at
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return datetime.min.replace(tzinfo=UTC)
    return created if created.tzinfo else created.replace(tzinfo=UTC)


def read_run(name: str, output: Path) -> RunResult:
    """Return the saved run that *name* stands for.

    Parameters
    ----------
    name, output : str and Path
        As for `find_run`.

    Returns
    -------
    RunResult
        The run as it was measured.

    Raises
    ------
    ResultError
        If there is no such run, or its file cannot be read.
    """
    path = find_run(name, output)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ResultError(f"{path} cannot be read: {error.strerror}.") from error
    return decode_run(content, str(path))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Predictions:
    """The true labels of the test images, and what each head predicted: int64, shape (n_test,)."""

    labels: LabelArray
    index: LabelArray  # row of each image in the dataset's test split
    entries: Mapping[str, LabelArray]  # by `entry_name`

    @property
    def arrays(self) -> dict[str, LabelArray]:
        """The arrays of ``predictions.npz``."""
        return {_LABELS: self.labels, _INDEX: self.index, **self.entries}


def pack_predictions(arrays: Mapping[str, NDArray[np.generic]]) -> Predictions:
    """Return the arrays of ``predictions.npz`` as `Predictions`; ValueError if they are none."""
    found = {name: _whole_numbers(name, array) for name, array in arrays.items()}
    return Predictions(labels=found.pop(_LABELS), index=found.pop(_INDEX), entries=found)


def entry_name(result: AccuracyResult) -> str:
    """Return a result's name in predictions: ``backbone.softmax``, ``backbone-fp32.softmax``."""
    title = f"{result.features}-{result.fitted_on}" if result.fitted_on else result.features
    return f"{title}.{result.head}"


def read_predictions(folder: Path) -> Predictions | None:
    """Return ``predictions.npz`` of a run's folder, or None; raise ResultError if it is damaged."""
    import numpy as np

    path = folder / _PREDICTIONS
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ResultError(f"{path} cannot be read: {error.strerror}.") from error
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            found = pack_predictions({name: file[name] for name in file.files})
    except (OSError, ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile) as error:
        msg = f"{path} holds no predictions of a run: {error}. Measure the run again."
        raise ResultError(msg) from error
    n_labels = len(found.labels)
    if wrong := [name for name, array in found.arrays.items() if len(array) != n_labels]:
        raise ResultError(
            f"{path} is damaged: it has {n_labels} labels, but not as many predictions under "
            f"{', '.join(wrong)}. Measure the run again."
        )
    return found


def _whole_numbers(name: str, array: NDArray[np.generic]) -> LabelArray:
    import numpy as np

    if array.ndim != 1 or not np.issubdtype(array.dtype, np.integer):
        raise ValueError(f"{name} has shape {array.shape} and type {array.dtype}")
    return array.astype(np.int64)


def check_predictions(run: RunResult, found: Predictions) -> None:
    """Raise ResultError if predictions do not give the accuracies of their own run."""
    import numpy as np

    for result in run.accuracy:
        name = entry_name(result)
        predicted = found.entries.get(name)
        if predicted is None:
            known = ", ".join(found.entries) or "none"
            msg = f"Run {run.id} is damaged: predictions.npz lacks {name}. It has: {known}."
            raise ResultError(msg)
        n_correct = int(np.count_nonzero(predicted == found.labels))
        if (n_correct, len(predicted)) != (result.n_correct, result.n_test):
            raise ResultError(
                f"Run {run.id} is damaged: for {name}, {n_correct} of {len(predicted)} predictions "
                f"in predictions.npz are correct, but run.json says {result.n_correct} of "
                f"{result.n_test}. The two files belong to different runs."
            )
