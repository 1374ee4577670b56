"""Saved runs whose predictions agree and disagree on as many images as a test needs."""

import dataclasses
import itertools
from pathlib import Path

import numpy as np
import pytest

from tlbench.compare import open_compared_run
from tlbench.gate import judge_run, make_baseline
from tlbench.records import Interval, decode_run, save_run
from tlbench.stats import wilson_interval

GOLDEN = Path(__file__).parents[1] / "golden"
N_IMAGES = 1017
CLASSES = tuple(f"class {i}" for i in range(10))

replace = dataclasses.replace


class Images:
    """Labels of some images, and predictions for them of any accuracy."""

    def __init__(self, n_images=N_IMAGES, n_correct=887):
        rng = np.random.default_rng(n_images)
        self.labels = rng.integers(0, 10, n_images)
        self.index = np.arange(n_images)
        # the wrong ones are evenly spread, so that no order can hide a mistake
        wrong = rng.permutation(n_images)[n_correct:]
        self.first = self.labels.copy()
        self.first[wrong] = (self.labels[wrong] + 1) % 10

    def second(self, *, lost=0, gained=0, other_mistakes=0):
        """Return predictions that differ from the first for exactly so many images."""
        found = self.first.copy()
        right = np.flatnonzero(found == self.labels)
        wrong = np.flatnonzero(found != self.labels)
        found[right[:lost]] = (self.labels[right[:lost]] + 3) % 10
        found[wrong[:gained]] = self.labels[wrong[:gained]]
        again = wrong[gained : gained + other_mistakes]
        found[again] = (self.labels[again] + 5) % 10
        return found


@pytest.fixture
def images():
    """1,017 images, of which the first predictions have 887 right: as Lite0 on the copies."""
    return Images()


@pytest.fixture(scope="session")
def few_images():
    """Return images of any number."""
    return Images


@pytest.fixture(scope="session")
def saved_run():
    """A run with two timings and four accuracies."""
    return decode_run((GOLDEN / "run-simple.json").read_bytes(), "run-simple.json")


def _result(old, entry, labels, predicted, fitted_on):
    features, head = entry.split(".")
    n_correct, n_test = int((labels == predicted).sum()), len(labels)
    low, high = wilson_interval(n_correct, n_test)
    return replace(
        old.accuracy[0],
        features=features.removesuffix(f"-{fitted_on}"),
        head=head,
        n_test=n_test,
        n_correct=n_correct,
        accuracy_fraction=n_correct / n_test,
        interval=Interval(low=low, high=high, method="wilson"),
        baseline=features == "pixels",
        fitted_on=fitted_on if features.endswith(f"-{fitted_on}") else None,
    )


@pytest.fixture
def save(saved_run, tmp_path):
    """Save a run with these predictions by entry; return its folder."""

    def saved(run_id, images, entries, *, latency=(), dataset=None, **changes):
        n_test = len(images.labels)
        run = replace(
            saved_run,
            id=run_id,
            dataset=replace(saved_run.dataset, n_test=n_test, classes=CLASSES, **(dataset or {})),
            accuracy=tuple(
                _result(saved_run, entry, images.labels, predicted, "fp32")
                for entry, predicted in entries.items()
            ),
            latency=latency,
            **changes,
        )
        arrays = {"labels": images.labels, "index": images.index, **entries}
        return save_run(run, arrays, tmp_path / "work" / "runs")

    return saved


@pytest.fixture
def gated(save, images, tmp_path):
    """Judge a run of these predictions against a baseline of the first predictions."""
    numbers = itertools.count()

    def judge(second=None, policy=None, *, entries=None, before=None, base=None, data=None, **run):
        output, number = tmp_path / "work" / "runs", next(numbers)
        save(f"base{number}", images, before or {"backbone.softmax": images.first}, **(base or {}))
        baseline = make_baseline(open_compared_run(f"base{number}", output))
        found = entries if entries is not None else {"backbone.softmax": second}
        save(f"run{number}", data or images, found, **run)
        return judge_run(open_compared_run(f"run{number}", output), baseline, policy)

    return judge
