"""From image to label: parts, their order, and the whole."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import tlbench
from tlbench.core.errors import UnreadableImageError
from tlbench.engine import open_session
from tlbench.model import OnnxModel
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


def test_the_preprocessing_is_timed_by_itself(tmp_path, images):
    tlbench.export("efficientnet-lite0", tmp_path / "lite0.onnx", input_size=96)
    with open_session(OnnxModel(tmp_path / "lite0.onnx")) as session:
        found = measure_breakdown(
            session, images, Classifier(), "softmax", n_images=10, clock=StepClock()
        )
    assert list(found.parts) == ["decode", "backbone", "head"]
    assert (found.sum_s, found.preprocess_s, found.end_to_end_s) == (3.0, 1.0, 1.0)


def test_a_file_that_does_not_mark_its_preprocessing_is_timed_without_it(tiny_model, images):
    with open_session(tiny_model) as session:
        found = measure_breakdown(session, images, Classifier(), "softmax", n_images=3)
    assert found.preprocess_s is None


def test_few_images_are_measured_as_they_are(tiny_model, images):
    with open_session(tiny_model) as session:
        found = measure_breakdown(session, images[:2], Classifier(), "softmax")
    assert found.n_images == 2


class Photos:
    """Images of which some cannot be read, from the start or from the given read on."""

    def __init__(self, images, broken=(), broken_after=None):
        self.images, self.broken, self.broken_after = images, broken, broken_after
        self.n_reads = 0

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        self.n_reads += 1
        if index in self.broken or self.n_reads > (self.broken_after or self.n_reads):
            raise UnreadableImageError(f"image {index} is broken")
        return self.images[index]


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("broken", [{0}, {0, 1, 2}, {7}, {11}], ids=str)
def test_images_that_cannot_be_read_are_left_out(tiny_model, images, monkeypatch, device, broken):
    """The first, the first few, one in the middle, the last."""
    monkeypatch.setattr("tlbench.workflows.steps.breakdown.device_of", lambda _: device)
    photos = Photos(images[:12], broken)
    with open_session(tiny_model) as session:
        found = measure_breakdown(session, photos, Classifier(), "softmax")
    assert found.n_images == 12 - len(broken)


def test_the_size_is_that_of_the_first_readable_image(tiny_model, images):
    sizes = [
        np.repeat(image, 2, axis=0) if i in (0, 5) else image for i, image in enumerate(images)
    ]
    photos = Photos(sizes[:10], broken={0})
    with open_session(tiny_model) as session:
        assert measure_breakdown(session, photos, Classifier(), "softmax").n_images == 8


@pytest.mark.parametrize(("after", "expected"), [(14, None), (19 + 2 * 5, 5)])
def test_images_that_vanish_during_the_measurement_cost_their_timing_only(
    tiny_model, images, after, expected
):
    """Ten are looked at, five warm up with two reads each, then two reads make one timing."""
    photos = Photos(images[:10], broken_after=after + 1)
    with open_session(tiny_model) as session:
        found = measure_breakdown(session, photos, Classifier(), "softmax")
    assert (found and found.n_images) == expected


def test_no_readable_image_is_no_breakdown(tiny_model, images):
    photos = Photos(images[:10], broken=range(10))
    with open_session(tiny_model) as session:
        assert measure_breakdown(session, photos, Classifier(), "softmax") is None


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


def test_one_broken_test_image_does_not_cost_the_run(tiny_path, tmp_path, images):
    """The very first one, which the measurement would begin with."""
    for split, count in (("train", 6), ("test", 4)):
        for shift, name in enumerate(("a", "b")):
            folder = tmp_path / "photos" / split / name
            folder.mkdir(parents=True)
            for i in range(count):
                Image.fromarray(images[10 * shift + i]).save(folder / f"{i}.png")
    (tmp_path / "photos" / "test" / "a" / "0.png").write_bytes(b"no image")
    config = RunConfig(
        model=str(tiny_path),
        dataset=f"folder:{tmp_path / 'photos'}",
        heads=("centroid",),
        baselines=(),
        breakdown=True,
        timing=TimingConfig(min_samples=11, min_duration_s=0, costs=False),
        cache_dir=tmp_path / "cache",
    )
    assert run_benchmark(config).result.breakdown.n_images == 7
