"""``predictions.npz``: what every head predicted for every test image of a run."""

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tlbench.core.arrays import LabelArray
from tlbench.core.errors import ResultError
from tlbench.records.accuracy import AccuracyResult
from tlbench.records.run import RunResult

_LABELS, _INDEX = "labels", "index"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Predictions:
    """Test labels, and what was predicted.

    Attributes
    ----------
    labels, index : ndarray of shape (n_test,), int64
        True label of each image, and its row in the dataset's test split.
    entries : mapping of str to ndarray of shape (n_test,), int64
        Predicted labels under the names of `entry_name`.
    """

    labels: LabelArray
    index: LabelArray
    entries: Mapping[str, LabelArray]


def entry_name(result: AccuracyResult) -> str:
    """Return the name of a result's predictions: ``backbone.softmax``, ``backbone-fp32.softmax``.

    The precision is there where the head was fitted on features of another precision than those it
    was tested on.
    """
    title = f"{result.features}-{result.fitted_on}" if result.fitted_on else result.features
    return f"{title}.{result.head}"


def read_predictions(folder: Path) -> Predictions | None:
    """Read ``predictions.npz`` of a run's folder; None if there is none.

    Raises
    ------
    ResultError
        If it cannot be read, or holds anything but equally many whole numbers under each name.
    """
    path = folder / "predictions.npz"
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ResultError(f"{path} cannot be read: {error.strerror}.") from error
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            arrays = {name: _whole_numbers(name, file[name]) for name in file.files}
        labels, index = arrays.pop(_LABELS), arrays.pop(_INDEX)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        msg = f"{path} holds no predictions of a run: {error}. Measure the run again."
        raise ResultError(msg) from error
    rows = {_INDEX: index, **arrays}
    if wrong := [name for name, array in rows.items() if len(array) != len(labels)]:
        msg = f"{path} is damaged: {len(labels)} labels, and not as many of {', '.join(wrong)}."
        raise ResultError(msg)
    return Predictions(labels=labels, index=index, entries=arrays)


def _whole_numbers(name: str, array: NDArray[np.generic]) -> LabelArray:
    if array.ndim != 1 or not np.issubdtype(array.dtype, np.integer):
        msg = f"{name} has shape {array.shape} and type {array.dtype}"
        raise ValueError(msg)
    return array.astype(np.int64)


def check_predictions(run: RunResult, found: Predictions) -> None:
    """Refuse predictions that do not give the accuracies of their own run.

    Raises
    ------
    ResultError
        If a result has no predictions, or they have another number of correct ones.
    """
    for result in run.accuracy:
        name = entry_name(result)
        predicted = found.entries.get(name)
        if predicted is None:
            known = ", ".join(found.entries) or "none"
            msg = f"Run {run.id} is damaged: predictions.npz lacks {name}. It has: {known}."
            raise ResultError(msg)
        n_correct = int(np.count_nonzero(predicted == found.labels))
        if (n_correct, len(predicted)) != (result.n_correct, result.n_test):
            msg = (
                f"Run {run.id} is damaged: predictions.npz has {n_correct} of {len(predicted)} "
                f"correct for {name}, run.json {result.n_correct} of {result.n_test}. The two are "
                "of different runs."
            )
            raise ResultError(msg)
