"""Duplicate images: in the train and the test split, within a split, or in different folds.

Two images are duplicates if all their decoded pixels are equal, whatever the file format. Crops and
other compressions of an image are not found.
"""

import hashlib
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tlbench.core.arrays import BoolArray, ImageArray, Images, LabelArray

# Two of 10^9 images share a 128-bit digest by chance in one of 10^20 datasets.
_DIGEST_BYTES = 16
_SHOWN = 3

Digests = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class HashedImages:
    """Images that record the digest of each image that is read; as safe in threads as *images*."""

    images: Images
    digests: Digests = field(init=False)  # (n_images, 16): BLAKE2b of each image's shape and pixels
    known: BoolArray = field(init=False)  # (n_images,): which images have been read

    def __post_init__(self) -> None:
        n_images = len(self.images)
        object.__setattr__(self, "digests", np.zeros((n_images, _DIGEST_BYTES), np.uint8))
        object.__setattr__(self, "known", np.zeros(n_images, np.bool_))

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int, /) -> ImageArray:
        image = self.images[index]
        digest = hashlib.blake2b(repr(image.shape).encode(), digest_size=_DIGEST_BYTES)
        digest.update(np.ascontiguousarray(image).data)
        self.digests[index] = np.frombuffer(digest.digest(), np.uint8)
        self.known[index] = True
        return image


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaks:
    """The duplicates in two splits."""

    n_shared: int = 0  # test images that are also training images
    n_test: int = 0
    pairs: tuple[tuple[int, int], ...] = ()  # the first: positions in test, and first one in train
    n_contradicted: int = 0  # shared images that have another class in train
    n_repeated_train: int = 0  # images that occurred in the split before
    n_repeated_test: int = 0
    n_relabelled_train: int = 0  # repeated images whose class differs from the first occurrence's


def find_leaks(
    train: Digests, train_labels: LabelArray, test: Digests, test_labels: LabelArray
) -> Leaks:
    """Return the duplicates in two splits, from their digests (n, 16) and labels (n,)."""
    keys, firsts, number = np.unique(_keys(train), return_index=True, return_inverse=True)
    relabelled = train_labels != train_labels[firsts[number]]
    found = np.searchsorted(keys, _keys(test)).clip(max=len(keys) - 1)
    shared = np.flatnonzero(keys[found] == _keys(test))
    partners = found[shared]
    # A test image is contradicted by the class of its first copy in train, or of a later one.
    ambiguous = np.zeros(len(keys), np.bool_)
    ambiguous[number[relabelled]] = True
    contradicted = ambiguous[partners] | (test_labels[shared] != train_labels[firsts[partners]])
    return Leaks(
        n_shared=len(shared),
        n_test=len(test),
        pairs=tuple(
            (int(row), int(firsts[key]))
            for row, key in zip(shared[:_SHOWN], partners[:_SHOWN], strict=True)
        ),
        n_contradicted=int(np.count_nonzero(contradicted)),
        n_repeated_train=len(train) - len(keys),
        n_repeated_test=len(test) - len(np.unique(_keys(test))),
        n_relabelled_train=int(np.count_nonzero(relabelled)),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CrossFoldDuplicates:
    """Images that have a duplicate in another fold."""

    rows: BoolArray  # (n_images,): whether the image has a duplicate in another fold
    n_pairs: int  # pairs of equal images in two folds

    @property
    def n_images(self) -> int:
        """Number of images that have a duplicate in another fold."""
        return int(np.count_nonzero(self.rows))


def find_cross_fold_duplicates(digests: Digests, folds: LabelArray) -> CrossFoldDuplicates:
    """Return the duplicates in different folds, from digests (n, 16) and each image's fold (n,)."""
    number = np.unique(_keys(digests), return_inverse=True)[1]
    cells = number * (1 + int(folds.max(initial=0))) + folds
    _, cell, n_inside = np.unique(cells, return_inverse=True, return_counts=True)
    in_all_folds, in_own_fold = np.bincount(number)[number], n_inside[cell]
    # Each image counts its copies in other folds, so that each pair is counted twice.
    return CrossFoldDuplicates(
        rows=in_all_folds > in_own_fold, n_pairs=int((in_all_folds - in_own_fold).sum()) // 2
    )


def _keys(digests: Digests) -> NDArray[np.void]:
    """Return one comparable value per row."""
    return np.ascontiguousarray(digests).view(f"V{_DIGEST_BYTES}")[:, 0]
