"""Fit a head: which rows it sees, whether they are usable, and the fit with times and warnings."""

import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlbench.core.arrays import FloatArray, LabelArray
from tlbench.core.errors import ConfigError, DataError, TlbenchError, one_line
from tlbench.heads.base import Head

# BLAS threads during a fit. Matrices of ten columns are too small to share: on two busy cores a
# second thread made softmax ten times slower, because it waits at each product. And sums in the
# same order, whatever the number of cores, give the same head on every machine.
BLAS_THREADS = 1

# Rows checked together: a memory-mapped file is never copied whole.
_BLOCK_ROWS = 1024


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FitResult:
    """A fitted estimator, its predictions (n_test,) and the times of ``fit`` and ``predict``."""

    estimator: Any
    params: dict[str, Any]  # those that were used, after `Head.adapt`
    predictions: LabelArray
    fit_s: float
    predict_s: float
    notes: tuple[str, ...]  # what the head changed, and each warning of the solver


def fit_and_predict(
    head: Head,
    params: Mapping[str, Any],
    train_features: FloatArray,
    train_labels: LabelArray,
    test_features: FloatArray,
    *,
    seed: int,
    clock: Callable[[], float] = time.perf_counter,
) -> FitResult:
    """Return a head fitted on one set of checked features and its predictions for another."""
    params, notes = head.adapt(params, train_labels)
    with warnings.catch_warnings(record=True) as caught:
        # "always": Python shows a warning once per process, but each fit is a result of its own.
        warnings.simplefilter("always")
        with head_errors(head, params):
            estimator = head.build(params, seed)
            # After the build, which loads the libraries that the limit has to reach.
            with limited_blas():
                start = clock()
                estimator.fit(train_features, train_labels)
                fitted = clock()
                predicted = estimator.predict(test_features)
                end = clock()
    return FitResult(
        estimator=estimator,
        params=dict(params),
        predictions=np.asarray(predicted, dtype=np.int64),
        fit_s=fitted - start,
        predict_s=end - fitted,
        notes=notes + warning_notes(caught),
    )


def fit_head(
    head: Head,
    params: Mapping[str, Any],
    features: FloatArray,
    labels: LabelArray,
    *,
    seed: int,
) -> Any:  # noqa: ANN401 - a scikit-learn estimator
    """Return the estimator that `evaluate_head` scores for the same arguments."""
    params, _ = head.adapt(params, labels)
    estimator = head.build(params, seed)
    with warnings.catch_warnings(), limited_blas():
        warnings.simplefilter("ignore")  # they are among the notes of the evaluated result
        estimator.fit(features, labels)
    return estimator


@contextmanager
def limited_blas() -> Iterator[None]:
    """Limit BLAS to `BLAS_THREADS` threads; the libraries must be loaded already."""
    from threadpoolctl import threadpool_limits  # comes with scikit-learn

    with threadpool_limits(limits=BLAS_THREADS, user_api="blas"):
        yield


@contextmanager
def head_errors(head: Head, params: Mapping[str, Any]) -> Iterator[None]:
    """Turn a ValueError of scikit-learn, about a parameter of checked data, into a ConfigError."""
    try:
        yield
    except ValueError as error:
        if isinstance(error, TlbenchError):
            raise
        settings = ", ".join(f"{name}={value}" for name, value in params.items())
        msg = (
            f"Head {head.name!r} cannot be fitted with {settings}: {one_line(error)} "
            "Correct head_params, or leave the head out."
        )
        raise ConfigError(msg) from error


def warning_notes(caught: Sequence[warnings.WarningMessage]) -> tuple[str, ...]:
    """Return one line for each different warning, in order of appearance."""
    from sklearn.exceptions import ConvergenceWarning

    notes = []
    for warning in caught:
        assert isinstance(warning.message, Warning)
        about = f"{warning.category.__name__}:"
        if issubclass(warning.category, ConvergenceWarning):
            about = "The solver did not converge; raise max_iter. Its message:"
        notes.append(f"{about} {one_line(warning.message)}")
    return tuple(dict.fromkeys(notes))


def limit_rows(labels: LabelArray, n_classes: int, limit: int, seed: int) -> LabelArray:
    """Return *limit* row numbers, increasing, with the class proportions of all labels.

    Each class has its proportional share, rounded up or down; classes without rows count among
    *n_classes*. The *seed* decides which rows of a class are kept; for one seed the rows of a
    smaller limit are among those of a larger one. Raise ConfigError for a limit below 1.
    """
    if limit < 1:
        msg = f"A limit on the number of images must be at least 1, got {limit}."
        raise ConfigError(msg)
    if limit >= len(labels):
        return np.arange(len(labels), dtype=np.int64)
    shares = _shares(np.bincount(labels, minlength=n_classes), limit)
    # One shuffle for all limits: a larger share extends a smaller one.
    order = np.random.default_rng(seed).permutation(len(labels))
    kept = [order[labels[order] == label][:share] for label, share in enumerate(shares)]
    return np.sort(np.concatenate(kept)).astype(np.int64)


def _shares(counts: NDArray[np.int64], limit: int) -> NDArray[np.int64]:
    """Return each class's share of *limit* rows; no share shrinks when *limit* grows.

    Rows are assigned one by one, each to the class whose next row is due first among those still
    below their proportional share: every class is always within one row of its share. The quota
    method of Balinski and Young (1975), doi:10.1080/00029890.1975.11993911.
    """
    total = int(counts.sum())
    shares = np.zeros_like(counts)
    for assigned in range(1, limit + 1):
        below = shares * total < assigned * counts
        due = np.where(below, (shares + 1) / np.maximum(counts, 1), np.inf)
        shares[np.argmin(due)] += 1
    return shares


def check_training(labels: LabelArray, classes: Sequence[str]) -> tuple[str, ...]:
    """Return the classes without training images; raise DataError if fewer than two have any."""
    present = set(np.unique(labels).tolist())
    if len(present) < 2:  # noqa: PLR2004 - a classifier tells at least two classes apart
        found = ", ".join(repr(classes[label]) for label in present) or "no class"
        msg = (
            f"A classifier needs training images of at least two classes; the {len(labels)} here "
            f"are of {found}. Add images of other classes, or use more of the training images."
        )
        raise DataError(msg)
    return tuple(name for label, name in enumerate(classes) if label not in present)


def check_features(
    features: str,
    train_features: FloatArray,
    train_labels: LabelArray,
    test_features: FloatArray,
    test_labels: LabelArray,
) -> None:
    """Raise DataError, naming *features*, unless a head can be fitted and tested on these rows."""
    _check_split(f"The train split's {features} features", train_features, train_labels)
    _check_split(f"The test split's {features} features", test_features, test_labels)
    n_train, present = len(train_features), np.unique(train_labels)
    first, blocks = train_features[0], range(0, n_train, _BLOCK_ROWS)
    msg = ""
    if train_features.shape[1] != test_features.shape[1]:
        msg = (
            f"The {features} features have {train_features.shape[1]} values per image in train, "
            f"{test_features.shape[1]} in test. Extract both with the same model."
        )
    elif len(present) == 1:
        msg = (
            f"All {n_train} training images are of class {present[0]}; a classifier needs at least "
            "two classes. Add images of other classes, or use more of the data."
        )
    elif all((train_features[start : start + _BLOCK_ROWS] == first).all() for start in blocks):
        msg = (
            f"All {n_train} training images have the same {features} features: there is nothing "
            "to learn. Check that the images differ and that the model has trained weights."
        )
    if msg:
        raise DataError(msg)


def _check_split(title: str, values: NDArray[np.floating[Any]], labels: LabelArray) -> None:
    """Raise DataError unless *values* are finite features with one label per row."""
    msg = ""
    if values.ndim != 2:  # noqa: PLR2004 - rows and columns
        msg = f"have shape {values.shape}; expected (n_images, n_features). Flatten each image."
    elif values.size == 0:
        msg = f"are empty: shape {values.shape}. Add images, or choose another layer."
    elif labels.shape != (len(values),):
        msg = (
            f"have {len(values)} rows, but the labels have shape {labels.shape}; expected one "
            "label per row. Extract the features again."
        )
    if msg:
        raise DataError(f"{title} {msg}")
    for start in range(0, len(values), _BLOCK_ROWS):
        bad = np.flatnonzero(~np.isfinite(values[start : start + _BLOCK_ROWS]).all(axis=1))
        if len(bad):
            msg = (
                f"{title} contain NaN or infinity, first in row {start + int(bad[0])}. "
                "Check the model's precision and preprocessing with `tlbench inspect`."
            )
            raise DataError(msg)
