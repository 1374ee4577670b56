"""Fit a head and let it predict, with the time of each and what the solver had to say."""

import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from tlbench.core.arrays import FloatArray, LabelArray
from tlbench.core.errors import ConfigError, TlbenchError

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
class FittedHead:
    """A fitted head and what it predicted.

    Attributes
    ----------
    estimator : object
        The fitted scikit-learn estimator.
    params : dict
        The parameters that were used, after `FittableHead.adapt`.
    predictions : ndarray of shape (n_test,), int64
    fit_s, predict_s : float
        Times of ``fit`` and ``predict`` alone.
    notes : tuple of str
        What the head changed, and each warning of the solver.
    """

    estimator: Any
    params: dict[str, Any]
    predictions: LabelArray
    fit_s: float
    predict_s: float
    notes: tuple[str, ...]


def fit_and_predict(
    head: FittableHead,
    params: Mapping[str, Any],
    train_features: FloatArray,
    train_labels: LabelArray,
    test_features: FloatArray,
    *,
    seed: int,
    clock: Callable[[], float] = time.perf_counter,
) -> FittedHead:
    """Fit a head on one set of features and predict the labels of another.

    The arrays are taken as they are: `tlbench.heads.check_features` refuses unusable ones.

    Raises
    ------
    ConfigError
        If the head refuses its parameters on these data.
    """
    params, notes = head.adapt(params, train_labels)
    with warnings.catch_warnings(record=True) as caught:
        # "always": Python shows a warning once a process, but each fit is a result of its own.
        warnings.simplefilter("always")
        with head_errors(head, params):
            estimator = head.build(params, seed)
            # Only now: the limit reaches the libraries that are loaded, and build loads them.
            with quiet_blas():
                start = clock()
                estimator.fit(train_features, train_labels)
                fitted = clock()
                predicted = estimator.predict(test_features)
                end = clock()
    return FittedHead(
        estimator=estimator,
        params=dict(params),
        predictions=np.asarray(predicted, dtype=np.int64),
        fit_s=fitted - start,
        predict_s=end - fitted,
        notes=notes + warning_notes(caught),
    )


@contextmanager
def quiet_blas() -> Iterator[None]:
    """Let BLAS run on `BLAS_THREADS` threads; load the libraries first."""
    from threadpoolctl import threadpool_limits  # comes with scikit-learn

    with threadpool_limits(limits=BLAS_THREADS, user_api="blas"):
        yield


@contextmanager
def head_errors(head: FittableHead, params: Mapping[str, Any]) -> Iterator[None]:
    """Turn scikit-learn's refusal of a parameter into a ConfigError.

    The data were checked before: what it refuses now is a parameter.
    """
    try:
        yield
    except ValueError as error:
        if isinstance(error, TlbenchError):
            raise
        settings = ", ".join(f"{name}={value}" for name, value in params.items())
        msg = (
            f"Head {head.name!r} cannot be fitted with {settings}: {_one_line(str(error))} "
            "Correct it with --head-param, or leave the head out."
        )
        raise ConfigError(msg) from error


def warning_notes(caught: list[warnings.WarningMessage]) -> tuple[str, ...]:
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


def fit_head(
    head: FittableHead,
    params: Mapping[str, Any],
    features: FloatArray,
    labels: LabelArray,
    *,
    seed: int,
) -> Any:  # noqa: ANN401 - a scikit-learn estimator
    """Return the estimator that `evaluate_head` scored on these features and labels.

    Its warnings stand in that result's notes and are not repeated.
    """
    params, _ = head.adapt(params, labels)
    estimator = head.build(params, seed)
    with warnings.catch_warnings(), quiet_blas():
        warnings.simplefilter("ignore")
        estimator.fit(features, labels)
    return estimator
