"""The default policy by simulation: 500 pairs of predictions for 1,017 images, fixed seeds."""

import numpy as np
import pytest

from tlbench.gate import Policy
from tlbench.gate.accuracy import judge_accuracy
from tlbench.records import BaselineAccuracy, Predictions, pack_labels

N_PAIRS, N_IMAGES = 500, 1017
ACCURACY = 0.87


def _failures(disagreement, drop, n_heads=1, n_images=N_IMAGES, dropped_heads=None):
    """Return the share of pairs that fail.

    Each image is drawn by itself: lost, gained, right in both, or wrong in both.
    """
    rng = np.random.default_rng([round(1000 * disagreement), round(1000 * drop), n_heads])
    n_failed = 0
    for _ in range(N_PAIRS):
        labels = rng.integers(0, 10, n_images)
        entries, baseline = {}, []
        for head in range(n_heads):
            at = drop if dropped_heads is None or head < dropped_heads else 0.0
            lost, gained = (disagreement + at) / 2, (disagreement - at) / 2
            both = ACCURACY - lost
            kind = rng.choice(4, n_images, p=[lost, gained, both, 1 - lost - gained - both])
            first = np.where((kind == 0) | (kind == 2), labels, (labels + 1) % 10)
            second = np.where((kind == 1) | (kind == 2), labels, (labels + 2) % 10)
            entries[f"backbone.{head}"] = second
            baseline.append(
                BaselineAccuracy(
                    entry=f"backbone.{head}",
                    params={},
                    n_train=1,
                    n_test=n_images,
                    n_correct=int((first == labels).sum()),
                    predictions=pack_labels(first),
                )
            )
        found = Predictions(labels=labels, index=np.arange(n_images), entries=entries)
        _, checks = judge_accuracy(found, tuple(baseline), Policy().accuracy)
        n_failed += any(check.outcome == "fail" for check in checks)
    share = n_failed / N_PAIRS
    print(f"\n| {disagreement:.0%} | {100 * drop:g} | {n_heads} | {n_images} | {share:.1%} |")
    return share


@pytest.mark.parametrize("disagreement", [0.01, 0.02, 0.05, 0.1, 0.2])
def test_without_a_true_difference_at_most_one_percent_fails(disagreement):
    assert _failures(disagreement, 0.0) <= 0.01


def test_two_heads_together_keep_to_one_percent():
    """alpha is shared among the entries."""
    assert _failures(0.05, 0.0, n_heads=2) <= 0.01


def test_three_points_at_five_percent_disagreement_are_found():
    assert _failures(0.05, 0.03) >= 0.95


def test_three_points_of_one_head_of_two_are_found():
    """At half of alpha: the power of one head alone is 96 %."""
    assert _failures(0.05, 0.03, n_heads=2, dropped_heads=1) >= 0.95


def test_at_ten_percent_disagreement_the_data_are_too_few():
    """Three of four are found, and 1,774 images would do: what the verdict says."""
    assert 0.65 <= _failures(0.1, 0.03) <= 0.82
    # power of 95 % at 1,774; two standard errors of 500 pairs are 2 points
    assert _failures(0.1, 0.03, n_images=1774) >= 0.93
