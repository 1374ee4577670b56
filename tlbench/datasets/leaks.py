"""Images that are there more than once: above all those of the test split that are in train too.

Two images are the same when all their decoded pixels are, whatever file or format they came in. A
crop or another compression of a picture is not found.
"""

import hashlib
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tlbench.core.arrays import BoolArray, ImageArray, Images, LabelArray

# Of 128 bits two of a billion images agree by chance once in 10^20 data sets.
_DIGEST_BYTES = 16
_SHOWN = 3

Digests = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class HashedImages:
    """Images that note the digest of each one that is read; as safe in threads as they are.

    Attributes
    ----------
    digests : ndarray of shape (n_images, 16), uint8
        BLAKE2b of each image's shape and pixels.
    known : ndarray of shape (n_images,), bool
        Which images have been read; one that cannot be decoded never is.
    """

    images: Images
    digests: Digests = field(init=False)
    known: BoolArray = field(init=False)

    def __post_init__(self) -> None:
        n_images = len(self.images)
        object.__setattr__(self, "digests", np.zeros((n_images, _DIGEST_BYTES), np.uint8))
        object.__setattr__(self, "known", np.zeros(n_images, np.bool_))

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.images)

    def __getitem__(self, index: int, /) -> ImageArray:
        """Return one image, as the images underneath give it."""
        image = self.images[index]
        digest = hashlib.blake2b(repr(image.shape).encode(), digest_size=_DIGEST_BYTES)
        digest.update(np.ascontiguousarray(image).data)
        self.digests[index] = np.frombuffer(digest.digest(), np.uint8)
        self.known[index] = True
        return image


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaks:
    """What two splits have in common.

    Attributes
    ----------
    n_shared : int
        Test images that are training images too.
    n_test : int
        Test images looked at.
    pairs : tuple of (int, int)
        The first of them: position in the test split, and of the first such image in train.
    n_contradicted : int
        Those of the shared that have another class in train.
    n_repeated_train, n_repeated_test : int
        Images of a split that stood in it before.
    n_relabelled_train : int
        Those repeated in train under another class than the first time.
    """

    n_shared: int = 0
    n_test: int = 0
    pairs: tuple[tuple[int, int], ...] = ()
    n_contradicted: int = 0
    n_repeated_train: int = 0
    n_repeated_test: int = 0
    n_relabelled_train: int = 0


def find_leaks(
    train: Digests, train_labels: LabelArray, test: Digests, test_labels: LabelArray
) -> Leaks:
    """Compare the images of two splits by their digests.

    Parameters
    ----------
    train, test : ndarray of shape (n_train | n_test, 16), uint8
        See `HashedImages.digests`.
    train_labels, test_labels : ndarray of shape (n_train | n_test,), int64

    Notes
    -----
    An image that is in train several times contradicts a test image's class if any of them does.
    Sorting 60,000 digests takes some ten milliseconds; nothing larger than they is made.
    """
    keys, firsts, number = np.unique(_keys(train), return_index=True, return_inverse=True)
    relabelled = train_labels != train_labels[firsts[number]]
    found = np.searchsorted(keys, _keys(test)).clip(max=len(keys) - 1)
    shared = np.flatnonzero(keys[found] == _keys(test))
    partners = found[shared]
    # A class of an image in train is contradicted by its first copy's class, or by a later one's.
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
    """Images whose copies stand in another part of the same data.

    Attributes
    ----------
    rows : ndarray of shape (n_images,), bool
        Whether an image has a copy in another part than its own.
    n_pairs : int
        Pairs of equal images in two parts.
    """

    rows: BoolArray
    n_pairs: int

    @property
    def n_images(self) -> int:
        """How many images have a copy in another part."""
        return int(np.count_nonzero(self.rows))


def find_cross_fold_duplicates(digests: Digests, parts: LabelArray) -> CrossFoldDuplicates:
    """Look for equal images in different parts, such as the folds of a cross-validation.

    Parameters
    ----------
    digests : ndarray of shape (n_images, 16), uint8
        See `HashedImages.digests`.
    parts : ndarray of shape (n_images,), int64
        The part of each image, 0 or more.
    """
    number = np.unique(_keys(digests), return_inverse=True)[1]
    cells = number * (1 + int(parts.max(initial=0))) + parts
    _, cell, n_inside = np.unique(cells, return_inverse=True, return_counts=True)
    everywhere, own_part = np.bincount(number)[number], n_inside[cell]
    # Each image counts its copies elsewhere; each pair is counted from both ends.
    return CrossFoldDuplicates(
        rows=everywhere > own_part, n_pairs=int((everywhere - own_part).sum()) // 2
    )


def _keys(digests: Digests) -> NDArray[np.void]:
    """Return one comparable value a row."""
    return np.ascontiguousarray(digests).view(f"V{_DIGEST_BYTES}")[:, 0]
