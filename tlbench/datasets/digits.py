"""The handwritten digits that scikit-learn ships: the dataset that needs no network."""

from typing import Final

import numpy as np

from tlbench.datasets.base import Dataset, DatasetRequest, Split

_HIGHEST_VALUE: Final = 16
_SPLIT_SEED: Final = 0
"""The halves belong to the dataset: whatever the seed of a run, its results compare with others."""


def load(request: DatasetRequest, /) -> Dataset:
    """Load 1,797 grey images of 8 x 8 pixels, half for training and half for testing.

    Values 0 to 16 are scaled to 0 to 255 and rounded; the three channels are equal. The halves are
    stratified by class and always the same, independent of ``request.seed``.
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    digits = load_digits()
    grey = np.rint(digits.images * (255 / _HIGHEST_VALUE)).astype(np.uint8)
    images = np.repeat(grey[..., np.newaxis], 3, axis=-1)
    labels = digits.target.astype(np.int64)
    train, test = train_test_split(
        np.arange(len(labels)), test_size=0.5, stratify=labels, random_state=_SPLIT_SEED
    )
    train.sort()
    test.sort()
    return Dataset(
        name=request.name,
        classes=tuple(str(name) for name in digits.target_names),
        train=Split.from_arrays(images[train], labels[train]),
        test=Split.from_arrays(images[test], labels[test]),
        source="scikit-learn's copy of the UCI handwritten digits, split half and half",
    )
