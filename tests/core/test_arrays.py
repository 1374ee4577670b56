"""The cosine similarity of rows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics.pairwise import cosine_similarity as reference_cosines

from tlbench.core.arrays import cosine_similarity


@given(st.integers(0, 2**32 - 1), st.sampled_from([np.float16, np.float32, np.float64]))
def test_cosines_are_scikit_learns(seed, dtype):
    """Of row with row, in float64 whatever the type."""
    first, second = np.random.default_rng(seed).normal(size=(2, 20, 5)).astype(dtype)
    found = cosine_similarity(first, second)
    expected = np.diag(reference_cosines(first.astype(np.float64), second.astype(np.float64)))
    assert (found.dtype, found.shape) == (np.float64, (20,))
    np.testing.assert_allclose(found, expected, atol=1e-14)  # rounding of float64


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [([0, 0], [0, 0], 1.0), ([0, 0], [1, 2], 0.0), ([1, 2], [0, 0], 0.0), ([1, 2], [-1, -2], -1.0)],
    ids=["both zero", "first zero", "second zero", "opposite"],
)
def test_rows_of_zeros_have_a_rule(first, second, expected):
    """Two rows of zeros are equal; one alone has no direction."""
    found = cosine_similarity(np.array([first]), np.array([second]))
    assert found == pytest.approx([expected], abs=1e-14)  # rounding of float64


@given(st.integers(0, 2**32 - 1))
def test_rounding_never_leaves_the_range(seed):
    rows = np.random.default_rng(seed).normal(size=(50, 3))
    assert np.abs(cosine_similarity(rows, 3 * rows)).max() <= 1
