"""Stratified cross-validation of a head on given features, and the single fit that it repeats."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, stdev
from typing import Any

import numpy as np

from tlbench.core.arrays import FloatArray, LabelArray
from tlbench.core.errors import ConfigError, DataError
from tlbench.heads.base import Head, SearchSpace
from tlbench.heads.fit import FitResult, check_features, fit_and_predict
from tlbench.heads.search import can_search, search_notes, search_parameter
from tlbench.records import CrossValidation, Fold, Interval, Search
from tlbench.stats import corrected_resampled_interval, wilson_interval

Labelled = tuple[FloatArray, LabelArray]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FoldFit:
    """One fit of a protocol: a fold of a cross-validation, or a point of a learning curve."""

    fitted: FitResult
    search: Search | None  # on the training images of this fit alone
    n_correct: int
    notes: tuple[str, ...]


def fit_fold(
    head: Head,
    params: Mapping[str, Any],
    train: Labelled,
    test: Labelled,
    *,
    title: str,
    features: str,
    space: SearchSpace | None,
    seed: int,
    on_value: Callable[[], None],
) -> FoldFit:
    """Choose the parameter in *space* on the train rows, fit the head, score it on the test rows.

    The message of an error begins with *title*.
    """
    try:
        check_features(features, *train, *test)
        search: Search | None = None
        notes: tuple[str, ...] = ()
        if space is not None and can_search(train[1]):
            search = search_parameter(head, space, params, *train, seed=seed, on_value=on_value)
            params = {**params, space.parameter: search.chosen}
        elif space is not None:
            text = (
                f"{len(train[1])} training images are too few to hold any out for a search: there, "
                f"{space.parameter} keeps the given value, {params[space.parameter]}."
            )
            notes = (text,)
        fitted = fit_and_predict(head, params, *train, test[0], seed=seed)
    except (ConfigError, DataError) as error:
        raise type(error)(f"{title}: {error}") from error
    return FoldFit(
        fitted=fitted,
        search=search,
        n_correct=int(np.count_nonzero(fitted.predictions == test[1])),
        notes=(*notes, *fitted.notes),
    )


def notes_of(fits: Sequence[FoldFit]) -> tuple[str, ...]:
    """Return the notes of all searches taken together, then those of all fits, each once."""
    searches = [fit.search for fit in fits if fit.search is not None]
    return (*search_notes(searches), *dict.fromkeys(note for fit in fits for note in fit.notes))


def without_searched(params: Mapping[str, Any], space: SearchSpace | None) -> dict[str, Any]:
    """Return the parameters that are the same in all fits."""
    searched = None if space is None else space.parameter
    return {name: value for name, value in params.items() if name != searched}


def check_folds(labels: LabelArray, n_folds: int, seed: int) -> None:
    """Raise ConfigError unless the images outside each fold are of at least two classes."""
    folds = assign_folds(labels, n_folds, seed)
    for number in range(n_folds):
        rest = np.unique(labels[folds != number])
        if len(rest) < 2:  # noqa: PLR2004 - a classifier tells at least two classes apart
            msg = (
                f"folds={n_folds} leaves only images of class {rest[0]} outside fold {number + 1}, "
                "because every other class has a single image. Add images, or do without "
                "cross-validation."
            )
            raise ConfigError(msg)


def assign_folds(labels: LabelArray, n_folds: int, seed: int) -> LabelArray:
    """Return the fold of each image, 0 to ``n_folds - 1``, (n_images,) int64.

    The number of images differs by at most one between folds, and so does that of each class.
    """
    if n_folds > len(labels):
        msg = f"folds must be at most {len(labels)}, the number of images, got {n_folds}."
        raise ConfigError(msg)
    order = np.random.default_rng(seed).permutation(len(labels))
    by_class = order[np.argsort(labels[order], kind="stable")]
    folds = np.empty(len(labels), dtype=np.int64)
    # Round-robin on from class to class, so that no fold gets the extra image of every class. Not
    # StratifiedKFold: its assignment differs, and so do the sizes of its folds by more than one.
    folds[by_class] = np.arange(len(labels)) % n_folds
    return folds


def cross_validate(
    head: Head,
    params: Mapping[str, Any],
    parts: Sequence[FloatArray],
    labels: LabelArray,
    *,
    n_folds: int,
    features: str,
    baseline: bool,
    seed: int,
    space: SearchSpace | None = None,
    on_fit: Callable[[], None] = lambda: None,
) -> CrossValidation:
    """Fit a head on all folds but one and score it on that one, for each fold.

    *parts*, such as train and test, are consecutive arrays (n_part, n_features), float32, so that
    the whole is never copied. *on_fit* is called after each value of a search and each fold.
    """
    fold_of = assign_folds(labels, n_folds, seed)
    folds: list[Fold] = []
    fits: list[FoldFit] = []
    for number in range(n_folds):
        train, test = np.flatnonzero(fold_of != number), np.flatnonzero(fold_of == number)
        fit = fit_fold(
            head,
            params,
            (_take(parts, train), labels[train]),
            (_take(parts, test), labels[test]),
            title=f"fold {number + 1} of {n_folds}",
            features=features,
            space=space,
            seed=seed,
            on_value=on_fit,
        )
        fold = Fold(
            n_train=len(train),
            n_test=len(test),
            n_correct=fit.n_correct,
            fit_s=fit.fitted.fit_s,
            search=fit.search,
        )
        folds.append(fold)
        fits.append(fit)
        on_fit()
    return summarise_folds(
        folds,
        labels,
        features=features,
        head=head.name,
        params=without_searched(fits[-1].fitted.params, space),
        baseline=baseline,
        seed=seed,
        notes=notes_of(fits),
    )


def summarise_folds(
    folds: Sequence[Fold],
    labels: LabelArray,
    *,
    features: str,
    head: str,
    params: dict[str, Any],
    baseline: bool,
    seed: int,
    notes: Sequence[str] = (),
) -> CrossValidation:
    """Return the mean, its interval and the deviation of folds of all these *labels*."""
    accuracies = [fold.n_correct / fold.n_test for fold in folds]
    test_to_train = mean(fold.n_test / fold.n_train for fold in folds)
    low, high = corrected_resampled_interval(accuracies, test_to_train)
    interval = Interval(low=low, high=high, method="corrected resampled t")
    n_correct = sum(fold.n_correct for fold in folds)
    return CrossValidation(
        features=features,
        head=head,
        params=params,
        seed=seed,
        folds=tuple(folds),
        mean_fraction=mean(accuracies),
        deviation_fraction=stdev(accuracies),
        interval=interval,
        baseline=baseline,
        notes=(
            *_small_classes(labels, len(folds)),
            *_narrow_interval(interval, n_correct, len(labels)),
            *notes,
        ),
    )


def _take(parts: Sequence[FloatArray], rows: LabelArray) -> FloatArray:
    """Return increasing *rows* of the concatenated parts."""
    taken, start = [], 0
    for part in parts:
        inside = rows[(rows >= start) & (rows < start + len(part))]
        taken.append(part[inside - start])
        start += len(part)
    return np.concatenate(taken)


def _small_classes(labels: LabelArray, n_folds: int) -> list[str]:
    counts = np.unique(labels, return_counts=True)[1]
    n_small, n_single = int((counts < n_folds).sum()), int((counts == 1).sum())
    notes = []
    if n_small:
        text = "fewer images than there are folds: some folds have no image of"
        notes.append(f"{_classes(n_small)} {text} {'it' if n_small == 1 else 'them'}.")
    if n_single:
        text = "a single image: in the fold that tests it, no head can predict its class."
        notes.append(f"{_classes(n_single)} {text}")
    return notes


def _classes(count: int) -> str:
    return "1 class has" if count == 1 else f"{count} classes have"


def _narrow_interval(interval: Interval, n_correct: int, n_images: int) -> list[str]:
    """Return a note if the folds agree more closely than independent images could.

    Even if the heads of all folds were the same, the mean would be as uncertain as any accuracy.
    """
    low, high = wilson_interval(n_correct, n_images)
    if interval.high - interval.low >= high - low:
        return []
    text = (
        f"The interval of the mean is narrower than that of an accuracy on {n_images} images, "
        f"{100 * low:.1f} to {100 * high:.1f} %: the folds agree by chance; use the wider interval."
    )
    return [text]
