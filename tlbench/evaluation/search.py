"""Choose one parameter of a head on validation images, as studies of linear probes do."""

import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import numpy as np

from tlbench.arrays import FloatArray, LabelArray
from tlbench.errors import DataError
from tlbench.evaluation.fit import FittableHead, head_errors, quiet_blas
from tlbench.evaluation.splits import limit_rows
from tlbench.results.accuracy import Search

__all__ = ["VALIDATION_FRACTION", "Range", "search_parameter", "validation_rows"]

VALIDATION_FRACTION = 0.2  # of the training images, held out of the search's fits


class Range(Protocol):
    """The part of `tlbench.heads.SearchSpace` that is needed here."""

    @property
    def parameter(self) -> str:
        """Name of the head's parameter."""

    @property
    def values(self) -> tuple[float, ...]:
        """What is tried, in this order."""

    @property
    def warm_argument(self) -> str:
        """The last step's name for the parameter, if each fit may begin where the last ended."""


def validation_rows(labels: LabelArray, seed: int) -> LabelArray:
    """Return the training rows that are held out, increasing, classes in proportion.

    Raises
    ------
    DataError
        If there are too few images to hold a fifth of them out.
    """
    n_held_out = round(VALIDATION_FRACTION * len(labels))
    rows = limit_rows(labels, 1 + int(labels.max()), max(1, n_held_out), seed)
    rest = np.delete(labels, rows)
    if n_held_out < 1 or len(np.unique(rest)) < 2:  # noqa: PLR2004 - a classifier tells two apart
        msg = (
            f"A search holds a fifth of the training images out; of {len(labels)} that leaves too "
            "few. Use more of the training images, or leave --search out."
        )
        raise DataError(msg)
    return rows


def search_parameter(
    head: FittableHead,
    space: Range,
    params: Mapping[str, Any],
    features: FloatArray,
    labels: LabelArray,
    *,
    seed: int,
    on_value: Callable[[], None] = lambda: None,
) -> tuple[Search, tuple[str, ...]]:
    """Fit a head with each value of one parameter, count what it gets right on held-out images.

    Parameters
    ----------
    head : Head
        What to fit.
    space : SearchSpace
        Which parameter, and its values.
    params : mapping
        Every parameter of the head; the searched one is replaced.
    features : ndarray of shape (n_train, n_features), float32
        Training features. No test image comes near.
    labels : ndarray of shape (n_train,), int64
    seed : int
        Decides which images are held out; also the head's.
    on_value : callable
        Called after each value.

    Returns
    -------
    Search
        Of equal values the first that was tried, the strongest penalty, is chosen.
    tuple of str
        What a reader must know: a best value at an edge, solvers that did not converge.

    Raises
    ------
    DataError
        As `validation_rows`.
    ConfigError
        If the head refuses its parameters on these data.
    """
    held_out = validation_rows(labels, seed)
    rest = np.delete(np.arange(len(labels)), held_out)
    params, _ = head.adapt(params, labels[rest])
    n_correct, n_unconverged = [], 0
    with head_errors(head, params), quiet_blas():
        fits = _fits(head, space, params, (features[rest], labels[rest], features[held_out]), seed)
        for predicted, converged in fits:
            n_correct.append(int(np.count_nonzero(predicted == labels[held_out])))
            n_unconverged += not converged
            on_value()
    best = int(np.argmax(n_correct))
    chosen, n_values = space.values[best], len(space.values)
    notes = []
    if at_edge := best in {0, n_values - 1}:
        notes.append(
            f"The best {space.parameter}={chosen:.3g} is the {'last' if best else 'first'} of the "
            "values tried: a better one may lie beyond."
        )
    if n_unconverged:
        notes.append(f"The solver did not converge for {n_unconverged} of {n_values} values tried.")
    return Search(
        parameter=space.parameter,
        values=space.values,
        n_correct=tuple(n_correct),
        n_validation=len(held_out),
        chosen=chosen,
        at_edge=at_edge,
    ), tuple(notes)


def _fits(
    head: FittableHead,
    space: Range,
    params: Mapping[str, Any],
    data: tuple[FloatArray, LabelArray, FloatArray],
    seed: int,
) -> Iterator[tuple[LabelArray, bool]]:
    """Yield for each value what it predicts, and whether its solver converged."""
    from sklearn.exceptions import ConvergenceWarning

    train, labels, held_out = data
    estimator = head.build({**params, space.parameter: space.values[0]}, seed)
    is_warm = bool(space.warm_argument)
    if is_warm:
        # What comes before the last step does not depend on the parameter.
        front, estimator = estimator[:-1], estimator[-1].set_params(warm_start=True)
        if len(front):
            train, held_out = front.fit_transform(train), front.transform(held_out)
    for value in space.values:
        if is_warm:
            estimator.set_params(**{space.warm_argument: value})
        else:
            estimator = head.build({**params, space.parameter: value}, seed)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            estimator.fit(train, labels)
            predicted = np.asarray(estimator.predict(held_out), dtype=np.int64)
        yield predicted, not any(issubclass(w.category, ConvergenceWarning) for w in caught)
