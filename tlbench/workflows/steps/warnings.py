"""Warnings: what a reader must know before believing more than a result says."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from tlbench import _telemetry_is_on
from tlbench.core.arrays import FloatArray, LabelArray
from tlbench.core.units import format_count, format_percent
from tlbench.datasets import Dataset, Digests, Leaks, find_cross_fold_duplicates, find_leaks
from tlbench.heads import assign_folds, validation_rows
from tlbench.model import FULL_PRECISION
from tlbench.records import (
    FITTED_EARLIER,
    AccuracyResult,
    CrossValidation,
    DatasetInfo,
    ExtractionResult,
    LatencyRatio,
    LatencyResult,
    LearningCurve,
)
from tlbench.workflows.config import RunConfig
from tlbench.workflows.steps.context import RunContext
from tlbench.workflows.steps.digests import image_digests

_MANY_IMAGES = 10_000
_BLOCK_ROWS = 1024
# Some channels are constant even in a healthy network: 110 of EfficientNet-Lite0's 1,280 on the
# digits, none on CIFAR.
_CONSTANT_SHARE = 0.25
_CROPPED_SHARE = 0.1


def run_warnings(
    config: RunConfig,
    dataset: DatasetInfo | None,
    passes: Sequence[ExtractionResult | LatencyResult],
    *,
    accuracy: Sequence[AccuracyResult] = (),
    protocols: Sequence[CrossValidation | LearningCurve] = (),
    ratios: Sequence[LatencyRatio] = (),
    about_data: Sequence[str] = (),
    unlearnable: Sequence[str] = (),
    is_limited: bool = False,
) -> tuple[str, ...]:
    """Return the warnings of a run, one sentence each, most important first.

    *about_data* are those of `data_warnings`; *unlearnable* are the classes without a training
    image; *is_limited* says whether a limit left images out.
    """
    found: list[str] = [*about_data]
    if _telemetry_is_on:
        found.append(
            "ONNX Runtime was imported before tlbench, so its telemetry is on: import tlbench first"
        )
    if dataset is not None:
        found += _about_data(dataset, unlearnable, is_limited=is_limited)
    if accuracy:
        found += _about_accuracy(accuracy)
        found += _left_out(accuracy)
    found += [
        f"{'folds' if isinstance(one, CrossValidation) else 'curve'} of {one.head} on "
        f"{one.features}: {note}"
        for one in protocols
        for note in one.notes
    ]
    if config.precision != FULL_PRECISION:
        found += [
            f"{ratio.label} is slower than {ratio.reference} on this machine: it takes "
            f"{ratio.ratio:.2f} times as long [{ratio.interval.low:.2f}, "
            f"{ratio.interval.high:.2f}] for one image, measured alternately"
            for ratio in ratios
            if ratio.interval is not None and ratio.interval.low > 1
        ]
    found += _cropped([one for one in passes if isinstance(one, ExtractionResult)])
    found += _placed_elsewhere(passes)
    return tuple(found)


class Rows(Protocol):
    """The readable images of a split: their labels, and their positions in it, int64 (n,)."""

    @property
    def labels(self) -> LabelArray:
        """The class of each."""

    @property
    def index(self) -> LabelArray:
        """The position of each."""


def data_warnings(
    context: RunContext, train: Rows, test: Rows, features: FloatArray | None = None
) -> tuple[str, ...]:
    """Return what makes an accuracy on these splits doubtful: leaks, dead features, one class.

    *features* are those of the train split, if heads were fitted on any.
    """
    dataset = context.dataset
    digests = [
        image_digests(context.store, split, title, context.listener)[rows.index]
        for title, split, rows in (
            ("train", dataset.train, train),
            ("test", dataset.test, test),
        )
    ]
    leaks = find_leaks(digests[0], train.labels, digests[1], test.labels)
    protocol, seed = context.config.protocol, context.config.seed
    return (
        *_about_leaks(leaks, train, test, is_curve=bool(protocol.curve)),
        *(_about_search(digests[0], train.labels, seed) if protocol.search else ()),
        *(_about_folds(digests, train, test, protocol.folds, seed) if protocol.folds else ()),
        *_about_test_classes(dataset, test),
        *(() if features is None else _about_features(features)),
    )


def _about_leaks(leaks: Leaks, train: Rows, test: Rows, *, is_curve: bool) -> list[str]:
    sentences = []
    if leaks.n_shared:
        pairs = ", ".join(
            f"test {test.index[theirs]} = train {train.index[ours]}" for theirs, ours in leaks.pairs
        )
        more = ", ..." if leaks.n_shared > len(leaks.pairs) else ""
        text = (
            f"{format_count(leaks.n_shared)} of {format_count(leaks.n_test)} test images are also "
            f"training images, pixel for pixel ({pairs}{more}): the accuracy says less about new "
            "images"
        )
        if leaks.n_contradicted:
            text += f"; {format_count(leaks.n_contradicted)} of them have another class in train"
        if is_curve:
            text += "; a longer learning curve draws more of these, so the curve rises too steeply"
        sentences.append(text)
    if leaks.n_repeated_train:
        text = f"{format_count(leaks.n_repeated_train)} training images are repeated"
        if leaks.n_relabelled_train:
            text += f", {format_count(leaks.n_relabelled_train)} of them under another class"
        sentences.append(text)
    if leaks.n_repeated_test:
        sentences.append(
            f"{format_count(leaks.n_repeated_test)} test images are repeated: the interval counts "
            "each copy as an independent image"
        )
    return sentences


def _about_search(digests: Digests, labels: LabelArray, seed: int) -> list[str]:
    """Return whether a search compares its values on images that it fitted them on."""
    is_held_out = np.zeros(len(labels), np.int64)
    is_held_out[validation_rows(labels, seed)] = 1
    duplicates = find_cross_fold_duplicates(digests, is_held_out)
    if not duplicates.n_images:
        return []
    n_shared = int(np.count_nonzero(duplicates.rows[is_held_out == 1]))
    text = (
        f"search: {format_count(n_shared)} of {format_count(int(is_held_out.sum()))} held-out "
        "images are copies, pixel for pixel, of images that the values were fitted on: this "
        "favours weak penalties"
    )
    return [text]


def _about_folds(
    digests: Sequence[Digests], train: Rows, test: Rows, n_folds: int, seed: int
) -> list[str]:
    """Return whether folds are tested on images that other folds contain as well."""
    labels = np.concatenate([train.labels, test.labels])
    folds = assign_folds(labels, n_folds, seed)
    duplicates = find_cross_fold_duplicates(np.concatenate(digests), folds)
    if not duplicates.n_images:
        return []
    text = (
        f"folds: {format_count(duplicates.n_images)} of {format_count(len(labels))} images have a "
        f"copy, pixel for pixel, in another fold ({format_count(duplicates.n_pairs)} pairs): heads "
        "are tested on images that they were fitted on"
    )
    return [text]


def _about_test_classes(dataset: Dataset, test: Rows) -> list[str]:
    present = np.unique(test.labels)
    if len(present) > 1:
        return []
    name = dataset.classes[int(present[0])]
    return [f"all {format_count(len(test.labels))} test images are of one class, {name}"]


def _about_features(features: FloatArray) -> list[str]:
    n_features, n_dead = features.shape[1], n_constant(features)
    if n_dead < _CONSTANT_SHARE * n_features:
        return []
    text = (
        f"{format_count(n_dead)} of {format_count(n_features)} features "
        f"({format_percent(n_dead / n_features)}) are constant over all training images: dead "
        "channels, lost precision or nearly identical images"
    )
    return [text]


def n_constant(features: FloatArray) -> int:
    """Return how many columns of *features*, float32 (n, n_features), hold a single value."""
    varies = np.zeros(features.shape[1], np.bool_)
    for start in range(0, len(features), _BLOCK_ROWS):
        varies |= (features[start : start + _BLOCK_ROWS] != features[0]).any(axis=0)
    return int(np.count_nonzero(~varies))


def _cropped(passes: Sequence[ExtractionResult]) -> list[str]:
    """Return which models see much less of the images than there is."""
    sentences = []
    for label in dict.fromkeys(one.label for one in passes):
        own = [one for one in passes if one.label == label]
        n_images = sum(one.n_images for one in own)
        share = sum(one.n_images * (one.cropped_fraction or 0.0) for one in own) / n_images
        if share > _CROPPED_SHARE:
            sentences.append(
                f"{f'{label}: ' if label else ''}the backbone does not see "
                f"{format_percent(share)} of the images' area on average, because it crops each "
                "image to a centred square; compare with the fits squash and pad"
            )
    return sentences


def _placed_elsewhere(passes: Sequence[ExtractionResult | LatencyResult]) -> dict[str, None]:
    """Return which operators of which model ran on another provider than the requested one."""
    operators: dict[tuple[str, str, str], dict[str, None]] = {}
    for one in passes:
        if one.placement is None:
            continue
        for provider, names in one.placement.operators.items():
            key = one.label or "", one.provider, provider
            operators.setdefault(key, {}).update(dict.fromkeys(names))
    return dict.fromkeys(
        f"{label}{': ' if label else ''}{', '.join(names)} ran on {provider}, not on {wanted}"
        for (label, wanted, provider), names in operators.items()
    )


def _about_data(dataset: DatasetInfo, unlearnable: Sequence[str], *, is_limited: bool) -> list[str]:
    found = []
    if dataset.skipped:
        first = dataset.skipped[0]
        found.append(
            f"{len(dataset.skipped)} unreadable images were left out, the first: {first.reason}"
        )
    if unlearnable:
        shown = ", ".join(unlearnable[:3]) + (", ..." if len(unlearnable) > 3 else "")  # noqa: PLR2004
        found.append(
            f"{len(unlearnable)} classes have no training image ({shown}): no head can predict them"
        )
    if is_limited:
        found.append(
            f"limited to {format_count(dataset.n_train)} train and "
            f"{format_count(dataset.n_test)} test images: not the whole of {dataset.name}"
        )
    return found


def _about_accuracy(accuracy: Sequence[AccuracyResult]) -> list[str]:
    found = []
    n_test = accuracy[0].n_test
    if n_test < _MANY_IMAGES:
        points = 50 * max(result.interval.high - result.interval.low for result in accuracy)
        found.append(
            f"{format_count(n_test)} test images: accuracies are known to about "
            f"±{points:.1f} points; smaller differences are noise"
        )
    found += [
        f"{result.head} on {result.features}: {note}"
        for result in accuracy
        for note in result.notes
    ]
    if other := next((result.fitted_on for result in accuracy if result.fitted_on), None):
        found.append(
            f"backbone*: the head was fitted on {other} features and tested on these; without the "
            "star, it was fitted on features of this precision"
        )
    if any(result.from_store for result in accuracy):
        found.append(FITTED_EARLIER)
    return found


def _left_out(accuracy: Sequence[AccuracyResult]) -> list[str]:
    """Return a line for each head that was fitted on some of the features only."""
    sets = {result.features: None for result in accuracy}
    heads = {result.head: None for result in accuracy}
    fitted = {(result.head, result.features) for result in accuracy}
    missing = {head: [name for name in sets if (head, name) not in fitted] for head in heads}
    return [
        f"{head} was not fitted on {' and '.join(names)} features: it needs a feature map, not a "
        "vector"
        for head, names in missing.items()
        if names
    ]
