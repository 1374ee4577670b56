"""Choose one parameter of a head on held-out training images, as studies of linear probes do."""

import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tlbench.core.arrays import FloatArray, LabelArray
from tlbench.core.errors import DataError
from tlbench.heads.base import Head, SearchSpace
from tlbench.heads.fit import head_errors, limit_rows, limited_blas
from tlbench.records import Search

VALIDATION_FRACTION = 0.2  # of the training images, held out of the search's fits

# With fewer held-out images the standard error of an accuracy is above some three points, which is
# more than the difference between neighbouring values.
_FEW_HELD_OUT = 100


def can_search(labels: LabelArray) -> bool:
    """Return whether training images can be held out and two classes still be learnt."""
    return _n_held_out(labels) > 0 and len(np.unique(labels)) > 1


def validation_rows(labels: LabelArray, seed: int) -> LabelArray:
    """Return the training rows that are held out, increasing, with the classes in proportion.

    The last image of a class is never held out, because no head could predict it then.
    """
    if not can_search(labels):
        msg = (
            f"A search holds out a fifth of the training images; {len(labels)} are too few for "
            "that. Use more training images, or fit without a search."
        )
        raise DataError(msg)
    spared = _spared(labels)
    n_classes = 1 + int(labels.max())
    return spared[limit_rows(labels[spared], n_classes, _n_held_out(labels), seed)]


def _spared(labels: LabelArray) -> LabelArray:
    """Return the rows of classes with more than one image."""
    return np.flatnonzero(np.bincount(labels)[labels] > 1)


def _n_held_out(labels: LabelArray) -> int:
    # A proportional share of up to half of the spared rows never takes a whole class.
    return min(round(VALIDATION_FRACTION * len(labels)), len(_spared(labels)) // 2)


def search_parameter(
    head: Head,
    space: SearchSpace,
    params: Mapping[str, Any],
    features: FloatArray,
    labels: LabelArray,
    *,
    seed: int,
    on_value: Callable[[], None] = lambda: None,
    clock: Callable[[], float] = time.perf_counter,
) -> Search:
    """Fit a head with each value of one parameter and score it on held-out training images.

    Of equally good values the first one is chosen, which has the strongest penalty.
    """
    start = clock()
    held_out = validation_rows(labels, seed)
    rest = np.delete(np.arange(len(labels)), held_out)
    params, _ = head.adapt(params, labels[rest])
    n_correct, n_unconverged = [], 0
    with head_errors(head, params), limited_blas():
        fits = _fits(head, space, params, (features[rest], labels[rest], features[held_out]), seed)
        for predicted, converged in fits:
            n_correct.append(int(np.count_nonzero(predicted == labels[held_out])))
            n_unconverged += not converged
            on_value()
    best = int(np.argmax(n_correct))
    return Search(
        parameter=space.parameter,
        values=space.values,
        n_correct=tuple(n_correct),
        n_validation=len(held_out),
        n_unconverged=n_unconverged,
        chosen=space.values[best],
        at_edge=best in {0, len(space.values) - 1},
        elapsed_s=clock() - start,
    )


def _fits(
    head: Head,
    space: SearchSpace,
    params: Mapping[str, Any],
    data: tuple[FloatArray, LabelArray, FloatArray],
    seed: int,
) -> Iterator[tuple[LabelArray, bool]]:
    """Yield for each value the predictions, and whether the solver converged."""
    from sklearn.exceptions import ConvergenceWarning

    train, labels, held_out = data
    estimator: Any = head.build({**params, space.parameter: space.values[0]}, seed)
    is_warm = bool(space.warm_argument)
    if is_warm:
        # The steps before the last one do not depend on the parameter.
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


def search_notes(searches: Sequence[Search]) -> tuple[str, ...]:
    """Return the warnings about one search, or about the searches of all folds together."""
    notes = []
    several = f" in {{}} of {len(searches)} searches" if len(searches) > 1 else ""
    edges = [one for one in searches if one.at_edge]
    if edges:
        chosen = sorted({one.chosen for one in edges})
        ends = ["first" if value == edges[0].values[0] else "last" for value in chosen]
        values = " or ".join(f"{edges[0].parameter}={value:.3g}" for value in chosen)
        notes.append(
            f"The best value, {values}, is the {' or '.join(ends)} of those tried"
            f"{several.format(len(edges))}: a better one may lie beyond."
        )
    if n_unconverged := sum(one.n_unconverged for one in searches):
        n_values = sum(len(one.values) for one in searches)
        notes.append(f"The solver did not converge for {n_unconverged} of {n_values} values tried.")
    few = [one for one in searches if one.n_validation < _FEW_HELD_OUT]
    if few:
        fewest = min(one.n_validation for one in few)
        n_best = max(one.n_correct.count(max(one.n_correct)) for one in few)
        reliability = (
            f"up to {n_best} of them did equally well, and the first of these, which has the "
            "strongest penalty, was chosen"
        )
        notes.append(
            f"Values were compared on {'as few as ' if len(searches) > 1 else ''}{fewest} held-out "
            f"images: {reliability if n_best > 1 else 'chance decides between close ones'}."
        )
    return tuple(notes)
