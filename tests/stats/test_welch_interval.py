"""Welch's interval of a difference of means."""

import pytest
from scipy import stats

from tlbench.core.errors import ConfigError, DataError
from tlbench.stats import welch_interval


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ((0.7668, 0.0051, 6), (0.7701, 0.0042, 6)),
        ((0.9, 0.01, 3), (0.95, 0.001, 10)),
        ((0.5, 0.0, 6), (0.51, 0.02, 6)),
    ],
)
def test_it_is_scipys(first, second):
    """The interval excludes 0 exactly where scipy's test rejects, and is as wide as its own."""
    low, high = welch_interval(first, second)
    found = stats.ttest_ind_from_stats(*second, *first, equal_var=False)
    assert (low > 0 or high < 0) == (found.pvalue < 0.05)
    # at the confidence 1 - p the interval just touches 0
    if 0 < found.pvalue < 1:
        low, high = welch_interval(first, second, 1 - found.pvalue)
        # stdtrit inverts stdtr to about 1e-9
        assert min(abs(low), abs(high)) == pytest.approx(0, abs=1e-9)


def test_without_any_spread_it_is_the_difference():
    assert welch_interval((0.5, 0.0, 6), (0.75, 0.0, 6)) == (0.25, 0.25)


@pytest.mark.parametrize("sample", [(0.5, 0.1, 1), (0.5, -0.1, 6), (0.5, float("nan"), 6)])
def test_a_deviation_that_cannot_be_is_refused(sample):
    with pytest.raises(DataError, match="No interval"):
        welch_interval(sample, (0.5, 0.1, 6))


def test_a_confidence_is_a_fraction():
    with pytest.raises(ConfigError, match="confidence"):
        welch_interval((0.5, 0.1, 6), (0.5, 0.1, 6), 95)
