"""What makes an accuracy doubtful although it can be computed: leaks, dead features, one class."""

from collections.abc import Sequence

import numpy as np

from tlbench.core.arrays import FloatArray, LabelArray
from tlbench.core.units import format_count, format_percent
from tlbench.datasets import Dataset, Digests, Leaks, find_cross_fold_duplicates, find_leaks
from tlbench.heads import assign_folds, validation_rows
from tlbench.workflows.steps.digests import image_digests
from tlbench.workflows.steps.features import RunContext, SplitFeatures

_BLOCK_ROWS = 1024
# Some channels are dead by nature: 110 of EfficientNet-Lite0's 1,280 on the digits, none on CIFAR.
_CONSTANT_SHARE = 0.25


def data_warnings(
    context: RunContext, dataset: Dataset, train: SplitFeatures, test: SplitFeatures
) -> tuple[str, ...]:
    """Return what to hold against an accuracy on these splits, one sentence each."""
    digests = [
        image_digests(context.store, split, title, context.listener)[features.index]
        for title, split, features in (
            ("train", dataset.train, train),
            ("test", dataset.test, test),
        )
    ]
    found = find_leaks(digests[0], train.labels, digests[1], test.labels)
    protocol, seed = context.config.protocol, context.config.seed
    return (
        *_about_leaks(found, train, test, is_curve=bool(protocol.curve)),
        *(_about_search(digests[0], train.labels, seed) if protocol.search else ()),
        *(_about_folds(digests, train, test, protocol.folds, seed) if protocol.folds else ()),
        *_about_test_classes(dataset, test),
        *_about_features(train.features),
    )


def _about_leaks(
    found: Leaks, train: SplitFeatures, test: SplitFeatures, *, is_curve: bool
) -> list[str]:
    sentences = []
    if found.n_shared:
        pairs = ", ".join(
            f"test {test.index[theirs]} = train {train.index[ours]}" for theirs, ours in found.pairs
        )
        text = (
            f"{format_count(found.n_shared)} of {format_count(found.n_test)} test images are "
            f"training images too, pixel for pixel ({pairs}"
            + (", ...): " if found.n_shared > len(found.pairs) else "): ")
            + "the accuracy says less about new images"
        )
        if found.n_contradicted:
            text += f"; {format_count(found.n_contradicted)} of them have another class in train"
        if is_curve:
            text += (
                "; a learning curve draws more of these the longer it gets, and rises too steeply"
            )
        sentences.append(text)
    if found.n_repeated_train:
        text = f"{format_count(found.n_repeated_train)} training images are there more than once"
        if found.n_relabelled_train:
            text += f", {format_count(found.n_relabelled_train)} of them under another class"
        sentences.append(text)
    if found.n_repeated_test:
        sentences.append(
            f"{format_count(found.n_repeated_test)} test images are there more than once: the "
            "interval counts each as a picture of its own"
        )
    return sentences


def _about_search(digests: Digests, labels: LabelArray, seed: int) -> list[str]:
    """Return whether a search compares its values on images that it fitted them on."""
    is_held_out = np.zeros(len(labels), np.int64)
    is_held_out[validation_rows(labels, seed)] = 1
    spread = find_cross_fold_duplicates(digests, is_held_out)
    if not spread.n_images:
        return []
    n_shared = int(np.count_nonzero(spread.rows[is_held_out == 1]))
    n_held_out = int(is_held_out.sum())
    text = (
        f"search: {format_count(n_shared)} of {format_count(n_held_out)} held-out images "
        "are among those that the values were fitted on too, pixel for pixel: that speaks for "
        "weak penalties"
    )
    return [text]


def _about_folds(
    digests: Sequence[Digests], train: SplitFeatures, test: SplitFeatures, n_folds: int, seed: int
) -> list[str]:
    """Return whether folds are tested on images that stand in other folds as well."""
    labels = np.concatenate([train.labels, test.labels])
    spread = find_cross_fold_duplicates(
        np.concatenate(digests), assign_folds(labels, n_folds, seed)
    )
    if not spread.n_images:
        return []
    text = (
        f"folds: {format_count(spread.n_images)} of {format_count(len(labels))} images have a "
        f"copy, pixel for pixel, in another fold ({format_count(spread.n_pairs)} pairs): heads "
        "are tested on images that they were fitted on"
    )
    return [text]


def _about_test_classes(dataset: Dataset, test: SplitFeatures) -> list[str]:
    present = np.unique(test.labels)
    if len(present) > 1:
        return []
    name = dataset.classes[int(present[0])]
    return [f"all {format_count(len(test.labels))} test images are of class {name}, and no other"]


def _about_features(features: FloatArray) -> list[str]:
    n_features, n_dead = features.shape[1], n_constant(features)
    if n_dead < _CONSTANT_SHARE * n_features:
        return []
    text = (
        f"{format_count(n_dead)} of {format_count(n_features)} features "
        f"({format_percent(n_dead / n_features)}) are the same for all training images: dead "
        "channels, lost precision or images much alike"
    )
    return [text]


def n_constant(features: FloatArray) -> int:
    """Return how many columns of *features*, float32 (n, n_features), hold one value only."""
    varies = np.zeros(features.shape[1], np.bool_)
    for start in range(0, len(features), _BLOCK_ROWS):
        varies |= (features[start : start + _BLOCK_ROWS] != features[0]).any(axis=0)
    return int(np.count_nonzero(~varies))
