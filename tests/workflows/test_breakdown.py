"""From image to label: parts, their order, and the whole."""

from dataclasses import replace

import numpy as np
import pytest

from tlbench.engine import open_session
from tlbench.workflows import RunConfig, TimingConfig, run_benchmark
from tlbench.workflows.steps.breakdown import measure_breakdown


class Classifier:
    def __init__(self):
        self.shapes = []

    def predict(self, features):
        self.shapes.append(features.shape)
        return np.zeros(len(features), dtype=np.int64)


class StepClock:
    """Each reading is one second after the last."""

    def __init__(self):
        self.now = 0.0

    def now_s(self):
        self.now += 1.0
        return self.now


def test_each_part_and_the_whole_are_timed_by_themselves(tiny_model, images):
    """On the host there is no way to a device; the whole has its own pair of readings."""
    classifier = Classifier()
    with open_session(tiny_model) as session:
        found = measure_breakdown(
            session, images, classifier, "softmax", n_images=10, clock=StepClock()
        )
    assert list(found.parts) == ["decode", "backbone", "head"]
    assert found.sum_s == 3.0
    assert found.end_to_end_s == 1.0
    assert (found.n_images, found.head) == (10, "softmax")
    assert set(classifier.shapes) == {(1, 16)}


def test_a_device_has_a_way_to_it_and_back(tiny_model, images, monkeypatch):
    """The binding is real; only the claim that its memory is elsewhere is not."""
    monkeypatch.setattr("tlbench.workflows.steps.breakdown.device_of", lambda _: "cuda")
    classifier = Classifier()
    with open_session(tiny_model) as session:
        found = measure_breakdown(session, images, classifier, "softmax", n_images=3)
    assert list(found.parts) == ["decode", "to device", "backbone", "to host", "head"]
    assert set(classifier.shapes) == {(1, 16)}


def test_few_images_are_measured_as_they_are(tiny_model, images):
    with open_session(tiny_model) as session:
        found = measure_breakdown(session, images[:2], Classifier(), "softmax")
    assert found.n_images == 2


@pytest.mark.parametrize("heads", [("centroid", "knn"), ("knn", "centroid")], ids="-".join)
@pytest.mark.parametrize("again", [False, True], ids=["first run", "heads from the store"])
def test_a_run_breaks_the_first_head_down(tiny_path, tmp_path, again, heads):
    """The test images do not choose it: the first in either order."""
    config = RunConfig(
        model=str(tiny_path),
        heads=heads,
        limit_train=200,
        limit_test=100,
        breakdown=True,
        timing=TimingConfig(min_samples=11, min_duration_s=0, costs=False),
        cache_dir=tmp_path / "cache",
    )
    if again:
        run_benchmark(replace(config, latency=False))
    run = run_benchmark(config).result
    assert run.breakdown.head == heads[0]
    assert run.breakdown.n_images == 100
