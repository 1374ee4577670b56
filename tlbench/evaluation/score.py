"""How accurate a head is on given features."""

import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tlbench.arrays import FloatArray, LabelArray
from tlbench.errors import ConfigError, DataError
from tlbench.results.records import AccuracyResult, Interval
from tlbench.stats import wilson_interval

__all__ = ["BLAS_THREADS", "Evaluation", "FittableHead", "evaluate_head"]

# Rows looked at together when features are checked: a memory-mapped file is never copied whole.
_BLOCK_ROWS = 1024

# Threads of BLAS during a fit. Matrices of ten columns are too small to share: on two busy cores a
# second thread made softmax ten times slower, for it waits at each product. And sums in the same
# order whatever the number of cores give the same head on every machine.
BLAS_THREADS = 1


class FittableHead(Protocol):
    """The part of `tlbench.heads.Head` that is needed here; evaluation does not import heads."""

    @property
    def name(self) -> str:
        """Name for the record."""

    @property
    def build(self) -> Callable[[Mapping[str, Any], int], Any]:
        """From parameters and seed to an unfitted estimator."""

    @property
    def adapt(
        self,
    ) -> Callable[[Mapping[str, Any], LabelArray], tuple[Mapping[str, Any], tuple[str, ...]]]:
        """From parameters and training labels to the parameters to use, and notes on changes."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evaluation:
    """One head's result, and what it predicted.

    Attributes
    ----------
    result : AccuracyResult
    predictions : ndarray of shape (n_test,), int64
        Predicted label of each test row.
    """

    result: AccuracyResult
    predictions: LabelArray


def evaluate_head(  # noqa: PLR0917 - what is fitted, then the arrays in scikit-learn's order
    head: FittableHead,
    params: Mapping[str, Any],
    train_features: FloatArray,
    train_labels: LabelArray,
    test_features: FloatArray,
    test_labels: LabelArray,
    *,
    features: str,
    baseline: bool,
    seed: int,
    clock: Callable[[], float] = time.perf_counter,
) -> Evaluation:
    """Fit a head on training features and score it on test features.

    Parameters
    ----------
    head : Head
        What to fit.
    params : mapping
        Every parameter of the head, from `tlbench.heads.resolve_params`.
    train_features, test_features : ndarray of shape (n_train | n_test, n_features), float32
        May be read-only memory maps.
    train_labels, test_labels : ndarray of shape (n_train | n_test,), int64
    features : str
        What the features are, for the record: ``"backbone"`` or a baseline's name.
    baseline : bool
        Whether they are those of a baseline, for the record.
    seed : int
        For heads that draw random numbers.
    clock : callable
        Seconds since some fixed moment.

    Returns
    -------
    Evaluation
        The notes of its result hold whatever the head changed, and each warning of the solver.

    Raises
    ------
    DataError
        If the features are empty, not finite or all the same, do not fit together or their labels,
        or are of one class only.
    ConfigError
        If the head refuses its parameters on these data.

    Notes
    -----
    The interval is Wilson's, at 95 %: see `tlbench.stats.wilson_interval`. BLAS runs on one thread
    during fit and prediction, so that their times and results do not depend on the number of cores.
    """
    _check_split("train", features, train_features, train_labels)
    _check_split("test", features, test_features, test_labels)
    _check_pair(features, train_features, train_labels, test_features)

    from threadpoolctl import threadpool_limits  # comes with scikit-learn

    params, notes = head.adapt(params, train_labels)
    with warnings.catch_warnings(record=True) as caught:
        # "always": Python shows a warning once a process, but each fit is a result of its own.
        warnings.simplefilter("always")
        try:
            estimator = head.build(params, seed)
            # Only now: the limit reaches the libraries that are loaded, and build loads them.
            with threadpool_limits(limits=BLAS_THREADS, user_api="blas"):
                start = clock()
                estimator.fit(train_features, train_labels)
                fitted = clock()
                predicted = estimator.predict(test_features)
                end = clock()
        except ValueError as error:
            # The data are checked above: what scikit-learn refuses now is a parameter.
            settings = ", ".join(f"{name}={value}" for name, value in params.items())
            msg = (
                f"Head {head.name!r} cannot be fitted with {settings}: {_one_line(str(error))} "
                "Correct it with --head-param, or leave the head out."
            )
            raise ConfigError(msg) from error
    predictions = np.asarray(predicted, dtype=np.int64)
    n_correct, n_test = int(np.count_nonzero(predictions == test_labels)), len(test_labels)
    low, high = wilson_interval(n_correct, n_test)
    result = AccuracyResult(
        features=features,
        head=head.name,
        params=dict(params),
        n_train=len(train_labels),
        n_test=n_test,
        n_correct=n_correct,
        accuracy_fraction=n_correct / n_test,
        interval=Interval(low=low, high=high, method="wilson"),
        fit_s=fitted - start,
        predict_s=end - fitted,
        baseline=baseline,
        notes=notes + _warning_notes(caught),
    )
    return Evaluation(result=result, predictions=predictions)


def _warning_notes(caught: list[warnings.WarningMessage]) -> tuple[str, ...]:
    """Return one line for each different warning, in the order they came."""
    from sklearn.exceptions import ConvergenceWarning

    notes: dict[str, None] = {}
    for warning in caught:
        text = _one_line(str(warning.message))
        if issubclass(warning.category, ConvergenceWarning):
            text = f"The solver did not converge; raise max_iter with --head-param. It said: {text}"
        else:
            text = f"{warning.category.__name__}: {text}"
        notes[text] = None
    return tuple(notes)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _check_split(
    split: str, features: str, values: NDArray[np.floating[Any]], labels: LabelArray
) -> None:
    """Raise DataError unless *values* are finite features with a label each."""
    title = f"The {split} split's {features} features"
    if values.ndim != 2:  # noqa: PLR2004 - rows and columns
        msg = f"{title} have shape {values.shape}; need (n_images, n_features). Flatten each image."
        raise DataError(msg)
    if values.size == 0:
        msg = f"{title} are empty: shape {values.shape}. Add images, or choose another layer."
        raise DataError(msg)
    if labels.shape != (len(values),):
        msg = (
            f"{title} have {len(values)} rows, the labels have shape {labels.shape}: need one "
            "label a row. Extract the features again."
        )
        raise DataError(msg)
    for start in range(0, len(values), _BLOCK_ROWS):
        bad = np.flatnonzero(~np.isfinite(values[start : start + _BLOCK_ROWS]).all(axis=1))
        if len(bad):
            msg = (
                f"{title} hold NaN or infinity, first in row {start + int(bad[0])}. "
                "Check the model's precision and preprocessing with tlbench inspect."
            )
            raise DataError(msg)


def _check_pair(
    features: str,
    train: NDArray[np.floating[Any]],
    train_labels: LabelArray,
    test: NDArray[np.floating[Any]],
) -> None:
    """Raise DataError unless something can be learnt from *train* and tried on *test*."""
    if train.shape[1] != test.shape[1]:
        msg = (
            f"The {features} features have {train.shape[1]} values an image in train, "
            f"{test.shape[1]} in test. Extract both with the same model."
        )
        raise DataError(msg)
    present = np.unique(train_labels)
    if len(present) == 1:
        msg = (
            f"All {len(train_labels)} training images are of class {present[0]}; a classifier "
            "needs two classes or more. Add images of other classes, or use more of the data."
        )
        raise DataError(msg)
    blocks = range(0, len(train), _BLOCK_ROWS)
    if all((train[start : start + _BLOCK_ROWS] == train[0]).all() for start in blocks):
        msg = (
            f"All {len(train)} training images have the same {features} features: there is nothing "
            "to learn from. Check that the images differ and that the model has trained weights."
        )
        raise DataError(msg)
