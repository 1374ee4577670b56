"""What makes an accuracy doubtful although it can be computed: leaks, dead features, one class."""

import numpy as np

from tlbench.arrays import FloatArray
from tlbench.datasets import Dataset, Leaks, find_leaks
from tlbench.pipeline.digests import image_digests
from tlbench.pipeline.extraction import SplitFeatures, Workplace
from tlbench.units import format_count, format_percent

__all__ = ["doubts_about", "n_constant"]

_BLOCK_ROWS = 1024
# Some channels are dead by nature: 110 of EfficientNet-Lite0's 1,280 on the digits, none on CIFAR.
_CONSTANT_SHARE = 0.25


def doubts_about(
    workplace: Workplace, dataset: Dataset, train: SplitFeatures, test: SplitFeatures
) -> tuple[str, ...]:
    """Return what to hold against an accuracy on these splits, one sentence each."""
    digests = [
        image_digests(workplace.store, split, title, workplace.listener)[features.index]
        for title, split, features in (
            ("train", dataset.train, train),
            ("test", dataset.test, test),
        )
    ]
    found = find_leaks(digests[0], train.labels, digests[1], test.labels)
    return (
        *_about_leaks(found, train, test),
        *_about_test_classes(dataset, test),
        *_about_features(train.features),
    )


def _about_leaks(found: Leaks, train: SplitFeatures, test: SplitFeatures) -> list[str]:
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
