"""--limit-train and --limit-test: a stratified, nested, repeatable subset."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tlbench.core.errors import ConfigError, DataError
from tlbench.heads import check_training, limit_rows

N_CLASSES = 6
LABELS = st.lists(st.integers(0, N_CLASSES - 1), min_size=1, max_size=80).map(np.array)
LIMITS = st.integers(1, 90)
SEEDS = st.integers(0, 5)


@settings(deadline=None)
@given(LABELS, LIMITS, SEEDS)
def test_as_many_different_rows_as_asked_for(labels, limit, seed):
    """Exactly min(limit, n) rows, in order, each once."""
    rows = limit_rows(labels, N_CLASSES, limit, seed)
    assert rows.dtype == np.int64
    assert len(rows) == min(limit, len(labels))
    assert (np.diff(rows) > 0).all()
    assert 0 <= rows[0] <= rows[-1] < len(labels)


@settings(deadline=None)
@given(LABELS, LIMITS, SEEDS)
def test_each_class_has_its_share_within_one_image(labels, limit, seed):
    """A class's rows are its proportional share, rounded up or down."""
    rows = limit_rows(labels, N_CLASSES, limit, seed)
    kept, whole = (np.bincount(part, minlength=N_CLASSES) for part in (labels[rows], labels))
    # in whole numbers: |kept - n * whole / total| < 1
    assert (np.abs(kept * len(labels) - len(rows) * whole) < len(labels)).all()


@settings(deadline=None)
@given(LABELS, LIMITS, LIMITS, SEEDS)
def test_a_smaller_limit_keeps_some_of_a_larger_ones_rows(labels, one, other, seed):
    """For one seed the subsets are nested: a learning curve adds images and drops none."""
    small, large = (set(limit_rows(labels, N_CLASSES, n, seed)) for n in sorted((one, other)))
    assert small <= large


def test_one_seed_gives_one_choice_and_another_seed_another():
    """The seed alone decides which rows of a class are kept."""
    labels = np.arange(1000) % 10
    first, again, other = (limit_rows(labels, 10, 100, seed).tolist() for seed in (0, 0, 1))
    assert first == again
    assert first != other


def test_equal_classes_have_equal_shares():
    """Ten classes of 100 give ten rows each at a limit of 100."""
    labels = np.repeat(np.arange(10), 100)
    assert np.bincount(labels[limit_rows(labels, 10, 100, 0)]).tolist() == [10] * 10


@pytest.mark.parametrize("limit", [0, -5])
def test_a_limit_below_one_is_refused(limit):
    """No images are no subset."""
    with pytest.raises(ConfigError, match=f"at least 1, got {limit}"):
        limit_rows(np.array([0, 1]), 2, limit, 0)


def test_classes_without_training_images_are_reported():
    """They are allowed, and the caller learns their names to tell the user."""
    assert check_training(np.array([0, 2, 2]), ("cat", "dog", "ox", "pig")) == ("dog", "pig")


def test_every_class_with_training_images_leaves_nothing_to_report():
    """The usual case reports no class."""
    assert check_training(np.array([1, 0]), ("cat", "dog")) == ()


def test_training_images_of_one_class_are_an_error_that_names_it():
    """There is nothing to tell apart."""
    with pytest.raises(DataError, match=r"at least two classes; the 3 here are of 'dog'"):
        check_training(np.array([1, 1, 1]), ("cat", "dog"))


def test_no_training_images_are_an_error():
    """An empty training set is of no class."""
    with pytest.raises(DataError, match="the 0 here are of no class"):
        check_training(np.array([], dtype=np.int64), ("cat", "dog"))
