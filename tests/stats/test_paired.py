"""McNemar's test and Tango's interval, against other ways to the same figures."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.stats import binomtest, norm

from tlbench.core.errors import ConfigError, DataError
from tlbench.stats import mcnemar_p, paired_interval

COUNTS = st.tuples(st.integers(0, 400), st.integers(0, 400))
TABLES = COUNTS.flatmap(
    lambda counts: st.tuples(
        st.just(counts[0]), st.just(counts[1]), st.integers(max(1, sum(counts)), 20_000)
    )
)


@settings(deadline=None)
@given(COUNTS)
def test_mcnemar_is_scipys_binomial_test(counts):
    """Written by others, with another summation."""
    lost, gained = counts
    if lost + gained == 0:
        return
    two_sided = binomtest(lost, lost + gained, 0.5).pvalue
    drop = binomtest(lost, lost + gained, 0.5, alternative="greater").pvalue
    # rounding of two sums of probabilities
    assert mcnemar_p(lost, gained) == pytest.approx(two_sided, rel=1e-9)
    assert mcnemar_p(lost, gained, alternative="drop") == pytest.approx(drop, rel=1e-9)


def test_mcnemar_by_hand():
    """Six of six: (1/2)^6 to one side, twice that to both; 1 where there is nothing to tell."""
    assert mcnemar_p(6, 0, alternative="drop") == pytest.approx(1 / 64)
    assert mcnemar_p(6, 0) == mcnemar_p(0, 6) == pytest.approx(2 / 64)
    assert mcnemar_p(0, 6, alternative="drop") == 1
    assert mcnemar_p(0, 0) == mcnemar_p(5, 5) == 1


def _likeliest_rate(lost, gained, n, difference):
    """Return the rate of losses that maximises the likelihood of the table, by search."""

    def badness(rate):
        both = 1 - 2 * rate - difference
        terms = ((lost, rate), (gained, rate + difference), (n - lost - gained, both))
        return -sum(count * np.log(max(p, 1e-300)) for count, p in terms if count)

    low, high = max(0.0, -difference), (1 - difference) / 2
    return minimize_scalar(
        badness, bounds=(low, high), method="bounded", options={"xatol": 1e-12}
    ).x


@pytest.mark.parametrize(
    "table", [(9, 16, 86), (14, 12, 1000), (40, 10, 1017), (0, 5, 30), (3, 0, 3), (200, 190, 400)]
)
def test_ends_of_the_interval_are_where_the_score_test_turns(table):
    """Found again from Tango's definition: the likelihood maximised by search, not by formula."""
    lost, gained, n = table
    z = norm.ppf(0.975)
    for end, side in zip(paired_interval(*table), (-1, 1), strict=True):
        if abs(end) == 1:
            continue
        rate = _likeliest_rate(lost, gained, n, end)
        deviation = np.sqrt(n * (2 * rate + end - end**2))
        # the search stops at about the square root of the rounding
        assert (n * end - (gained - lost)) / deviation == pytest.approx(side * z, rel=1e-4)


@settings(deadline=None)
@given(TABLES)
def test_interval_holds_the_difference_and_stays_within_bounds(table):
    """Also without disagreements, where Wald's interval has no width."""
    lost, gained, n = table
    low, high = paired_interval(*table)
    assert -1 <= low <= (gained - lost) / n <= high <= 1
    assert low < high


@settings(deadline=None)
@given(TABLES)
def test_exchanged_predictions_have_the_mirrored_interval(table):
    lost, gained, n = table
    low, high = paired_interval(lost, gained, n)
    # two searches by halving, each to the last digits
    np.testing.assert_allclose(paired_interval(gained, lost, n), (-high, -low), atol=1e-12)


@settings(deadline=None)
@given(TABLES)
def test_interval_leaves_zero_out_where_mcnemars_statistic_is_large(table):
    """Interval and test without correction are one: (lost - gained)^2 / (lost + gained) > z^2."""
    lost, gained, _ = table
    low, high = paired_interval(*table)
    statistic = abs(lost - gained) / np.sqrt(max(1, lost + gained))
    limit = norm.ppf(0.975)
    if abs(statistic - limit) > 1e-6:
        assert (low > 0 or high < 0) == (statistic > limit)


def test_without_disagreements_the_width_is_known():
    """Then the score test turns at z^2 / (n + z^2)."""
    z = norm.ppf(0.975)
    end = z**2 / (1017 + z**2)
    np.testing.assert_allclose(paired_interval(0, 0, 1017), (-end, end), rtol=1e-9)


@pytest.mark.parametrize("n", [50, 200, 1017])
@pytest.mark.parametrize(
    ("disagreement", "difference"), [(0.02, 0.0), (0.05, -0.03), (0.1, 0.0), (0.2, 0.05)]
)
def test_simulated_coverage(n, disagreement, difference):
    """4,000 tables each, fixed seed; printed with ``-s``."""
    lost = (disagreement - difference) / 2
    gained = (disagreement + difference) / 2
    rng = np.random.default_rng([n, round(1000 * disagreement), round(1000 * difference) + 999])
    tables = rng.multinomial(n, [lost, gained, 1 - disagreement], 4000)
    distinct, counts = np.unique(tables, axis=0, return_counts=True)
    covered = 0
    for (one, two, _), times in zip(distinct, counts, strict=True):
        low, high = paired_interval(int(one), int(two), n)
        covered += times * (low <= difference <= high)
    coverage = covered / 4000
    print(f"\n| {n} | {disagreement} | {difference:+} | {coverage:.1%} |")
    # standard error 0.35 points; of one expected disagreement (50 images at 2 %) counts are so
    # coarse that coverage can only be too high
    assert 0.935 <= coverage <= (1.0 if n * disagreement < 5 else 0.975)


@pytest.mark.parametrize("counts", [(-1, 0), (0, -1)])
def test_negative_counts_are_refused(counts):
    with pytest.raises(DataError, match="counts from 0"):
        mcnemar_p(*counts)


@pytest.mark.parametrize("table", [(0, 0, 0), (3, 3, 5), (-1, 0, 5)])
def test_impossible_tables_are_refused(table):
    with pytest.raises(DataError, match="no more disagreements than images"):
        paired_interval(*table)


def test_a_confidence_outside_zero_and_one_is_refused():
    with pytest.raises(ConfigError, match="got 95"):
        paired_interval(1, 2, 10, 95)
