"""What protocols promise, by simulation with fixed seeds. Figures are in docs/statistics.md."""

from statistics import NormalDist

import numpy as np
import pytest

from tlbench.heads import Head, SearchSpace, assign_folds, balanced_rows, cross_validate

N_COLUMNS = 20


class OneColumn:
    """Two classes told apart by one feature, at the middle between their means."""

    def __init__(self, column):
        self.column = column

    def fit(self, features, labels):
        values = features[:, self.column]
        means = values[labels == 0].mean(), values[labels == 1].mean()
        self.middle, self.sign = (means[0] + means[1]) / 2, np.sign(means[1] - means[0])
        return self

    def predict(self, features):
        values = features[:, self.column]
        return (self.sign * (values - self.middle) > 0).astype(np.int64)


HEAD = Head(
    name="column",
    summary="",
    defaults={"column": 0},
    build=lambda params, _seed: OneColumn(params["column"]),
)
SPACE = SearchSpace(parameter="column", values=tuple(range(N_COLUMNS)))


def nested_accuracy(features, labels, seed):
    """Mean accuracy where each fold searches its own training images."""
    found = cross_validate(
        HEAD,
        {"column": 0},
        (features,),
        labels,
        n_folds=6,
        features="noise",
        baseline=False,
        seed=seed,
        space=SPACE,
    )
    return found.mean_fraction


def accuracy_of_column(features, labels, seed, column):
    """Mean accuracy of one column on the same folds, without the cost of a record."""
    folds = assign_folds(labels, 6, seed)
    accuracies = []
    for test in (folds == number for number in range(6)):
        fitted = OneColumn(column).fit(features[~test], labels[~test])
        accuracies.append(np.mean(fitted.predict(features[test]) == labels[test]))
    return np.mean(accuracies)


def test_a_search_within_each_fold_does_not_flatter_and_one_over_all_images_does():
    """Features are noise, so that the truth is one half, whatever is chosen."""
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 2
    nested, leaking = [], []
    for seed in range(40):
        features = rng.normal(size=(60, N_COLUMNS)).astype(np.float32)
        nested.append(nested_accuracy(features, labels, seed))
        leaking.append(
            max(accuracy_of_column(features, labels, seed, one) for one in range(N_COLUMNS))
        )
    error = np.std(nested, ddof=1) / np.sqrt(len(nested))
    print(
        f"noise: nested {100 * np.mean(nested):.1f} % (standard error {100 * error:.1f}), "
        f"one choice for all folds {100 * np.mean(leaking):.1f} %"
    )
    assert abs(np.mean(nested) - 0.5) < 3 * error
    assert np.mean(leaking) > 0.58  # far outside any error of the simulation


def true_accuracy(features, labels, centre):
    """Accuracy on endless test images of the nearest of two class means."""
    plus, minus = features[labels == 1].mean(axis=0), features[labels == 0].mean(axis=0)
    weights, offset = plus - minus, (minus @ minus - plus @ plus) / 2
    size = np.linalg.norm(weights)
    sides = (centre @ weights + offset) / size, (centre @ weights - offset) / size
    return np.mean([NormalDist().cdf(float(side)) for side in sides])


@pytest.mark.parametrize("size", [10, 20, 30, 38])
def test_draws_from_one_pool_differ_less_than_separate_training_sets(size):
    """By about the root of 1 - m / M, for m of the M images of a class: what the note warns of.

    300 pools of 40 images a class in 20 dimensions, five draws each, against as many training sets
    without a pool. The root is exact for a mean; an accuracy is curved, which leaves up to 0.1 on
    top, and the standard error of a ratio of deviations is near 0.03.
    """
    rng = np.random.default_rng(size)
    centre = np.full(20, 0.2)
    labels = np.arange(80) % 2
    signs = np.where(labels == 1, 1, -1)
    within, apart = [], []
    for pool in range(300):
        features = rng.normal(size=(80, 20)) + signs[:, None] * centre
        rows = [balanced_rows(labels, size, 5 * pool + draw) for draw in range(5)]
        within.append(np.var([true_accuracy(features[r], labels[r], centre) for r in rows], ddof=1))
        apart.append(true_accuracy(features[rows[0]], labels[rows[0]], centre))
    ratio = float(np.sqrt(np.mean(within)) / np.std(apart, ddof=1))
    expected = np.sqrt(1 - size / 40)
    print(f"{size} of 40 a class: {ratio:.2f}, root of 1 - m/M {expected:.2f}")
    assert expected - 0.1 < ratio < expected + 0.15
    assert ratio < 1
