"""Duplicate images, in both splits, in one, or in different folds."""

import hashlib
import itertools
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlbench.core.errors import UnreadableImageError
from tlbench.datasets import HashedImages, Leaks, Split, find_cross_fold_duplicates, find_leaks


def pictures(n, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, 6, 5, 3), dtype=np.uint8)


def digests_of(images):
    hashed = HashedImages(images)
    for position in range(len(hashed)):
        hashed[position]
    return hashed.digests


def leaks(train, train_labels, test, test_labels):
    return find_leaks(
        digests_of(train), np.array(train_labels), digests_of(test), np.array(test_labels)
    )


def test_different_images_share_nothing():
    found = leaks(pictures(4), [0, 1, 0, 1], pictures(3, seed=1), [0, 1, 1])
    assert found == Leaks(n_test=3)


def test_an_image_of_both_splits_is_found_with_its_place():
    train, test = pictures(4), pictures(3, seed=1)
    test[1] = train[2]
    found = leaks(train, [0, 1, 0, 1], test, [0, 0, 1])
    assert found == Leaks(n_test=3, n_shared=1, pairs=((1, 2),))


def test_one_pixel_makes_another_image():
    train = pictures(2)
    test = train.copy()
    test[:, 0, 0, 0] ^= 1
    assert leaks(train, [0, 1], test, [0, 1]).n_shared == 0


def test_the_memory_layout_does_not_matter():
    """CIFAR's images are views of planar rows; a file's are contiguous."""
    train = pictures(3)
    planar = np.ascontiguousarray(train.transpose(0, 3, 1, 2)).transpose(0, 2, 3, 1)
    assert leaks(train, [0, 1, 1], planar, [0, 1, 1]).n_shared == 3


def test_the_shape_is_part_of_an_image():
    """The same bytes as 4 x 6 and as 6 x 4 pixels are two pictures."""
    wide = np.zeros((1, 4, 6, 3), np.uint8)
    assert leaks(wide, [0], wide.reshape(1, 6, 4, 3), [0]).n_shared == 0


@pytest.mark.parametrize(("label", "n_contradicted"), [(0, 0), (1, 1)])
def test_a_shared_image_of_another_class_is_counted(label, n_contradicted):
    train = pictures(2)
    assert leaks(train, [0, 1], train[:1], [label]).n_contradicted == n_contradicted


def test_only_the_first_pairs_are_told():
    train = pictures(10)
    found = leaks(train, range(10), train, range(10))
    assert found.n_shared == 10
    assert found.pairs == ((0, 0), (1, 1), (2, 2))


def test_repetitions_within_a_split_are_counted():
    """Each copy after the first; one of them under another class."""
    train, test = pictures(4)[[0, 1, 0, 0, 2]], pictures(3, seed=1)[[0, 0, 1]]
    found = leaks(train, [0, 1, 0, 3, 2], test, [0, 0, 1])
    assert (found.n_repeated_train, found.n_relabelled_train, found.n_repeated_test) == (2, 1, 1)
    assert found.n_shared == 0


@given(
    st.lists(st.tuples(st.integers(0, 6), st.integers(0, 2)), min_size=1, max_size=12),
    st.lists(st.tuples(st.integers(0, 6), st.integers(0, 2)), min_size=1, max_size=12),
)
def test_the_counts_are_those_of_a_plain_search(train, test):
    """Rows are (picture, class), drawn from seven pictures so that most collide."""
    drawn = pictures(7)
    found = leaks(
        drawn[[p for p, _ in train]], [c for _, c in train],
        drawn[[p for p, _ in test]], [c for _, c in test],
    )  # fmt: skip
    classes, rows = defaultdict(set), defaultdict(list)
    for row, (picture, label) in enumerate(train):
        classes[picture].add(label)
        rows[picture].append(row)
    shared = [(row, picture, c) for row, (picture, c) in enumerate(test) if picture in rows]
    assert found.n_shared == len(shared)
    assert found.pairs == tuple((row, rows[picture][0]) for row, picture, _ in shared[:3])
    assert found.n_contradicted == sum(classes[picture] != {c} for _, picture, c in shared)
    assert found.n_repeated_train == len(train) - len(rows)
    assert found.n_relabelled_train == sum(c != train[rows[picture][0]][1] for picture, c in train)
    assert found.n_repeated_test == len(test) - len({picture for picture, _ in test})


def test_hashed_images_are_the_images():
    images = pictures(3)
    hashed = HashedImages(images)
    assert len(hashed) == 3
    np.testing.assert_array_equal(hashed[1], images[1])
    np.testing.assert_array_equal(hashed.known, [False, True, False])


def test_a_digest_is_that_of_shape_and_pixels():
    (image,) = pictures(1)
    expected = hashlib.blake2b(b"(6, 5, 3)" + image.tobytes(), digest_size=16).digest()
    assert digests_of(image[np.newaxis])[0].tobytes() == expected


def test_an_unreadable_image_stays_unknown():
    class Broken:
        def __len__(self):
            return 2

        def __getitem__(self, index):
            raise UnreadableImageError("broken")

    hashed = HashedImages(Broken())
    with pytest.raises(UnreadableImageError):
        hashed[0]
    assert not hashed.known.any()


def test_a_split_can_be_hashed():
    split = Split.from_arrays(pictures(4), np.zeros(4, np.int64)).take(np.array([3, 1]))
    np.testing.assert_array_equal(digests_of(split.images), digests_of(pictures(4))[[3, 1]])


def duplicates(images, folds):
    return find_cross_fold_duplicates(digests_of(images), np.array(folds))


def test_duplicates_within_a_fold_do_not_count():
    """A copy in the fold of its original does not leak into another fold."""
    images = pictures(4)
    images[1] = images[0]
    found = duplicates(images, [0, 0, 1, 2])
    assert (found.n_images, found.n_pairs) == (0, 0)


def test_an_image_in_three_folds_makes_three_pairs():
    """Three copies, one per fold: each has duplicates in two other folds."""
    images = pictures(6)
    images[2] = images[5] = images[0]
    found = duplicates(images, [0, 0, 1, 1, 2, 2])
    assert found.rows.tolist() == [True, False, True, False, False, True]
    assert (found.n_images, found.n_pairs) == (3, 3)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), min_size=1, max_size=25))
def test_duplicates_are_what_comparing_every_pair_finds(rows):
    """Each row is the picture and the fold of an image."""
    images = pictures(5)[[picture for picture, _ in rows]]
    pairs = [
        (i, j)
        for (i, one), (j, two) in itertools.combinations(enumerate(rows), 2)
        if one[0] == two[0] and one[1] != two[1]
    ]
    found = duplicates(images, [fold for _, fold in rows])
    assert found.n_pairs == len(pairs)
    assert np.flatnonzero(found.rows).tolist() == sorted({i for pair in pairs for i in pair})
