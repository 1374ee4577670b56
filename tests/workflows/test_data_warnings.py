"""Data that make an accuracy doubtful or impossible: each has its warning or its error."""

import itertools
import shutil
from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from PIL import Image

from tlbench.core.errors import ConfigError, DataError
from tlbench.datasets import HashedImages
from tlbench.heads import assign_folds, validation_rows
from tlbench.workflows import ProtocolConfig, RunConfig, run_benchmark
from tlbench.workflows.steps.warnings import n_constant


@pytest.fixture
def photos(tmp_path):
    """Two classes of noise that differ in brightness: 12 and 6 images of one size each."""
    generator = np.random.default_rng(4)
    root = tmp_path / "photos"
    for split, count in (("train", 12), ("test", 6)):
        for shift, name in enumerate(("dark", "light")):
            folder = root / split / name
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = generator.integers(0, 100, (9, 7, 3), dtype=np.uint8) + 120 * shift
                Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{number:02}.png")
    return root


@pytest.fixture
def config(tiny_path, tmp_path, photos):
    return RunConfig(
        model=str(tiny_path),
        dataset=f"folder:{photos}",
        heads=("centroid",),
        baselines=(),
        latency=False,
        cache_dir=tmp_path / "cache",
    )


def warnings(config, word):
    return [text for text in run_benchmark(config).result.warnings if word in text]


def test_clean_data_have_no_caution_about_themselves(config):
    found = run_benchmark(config).result.warnings
    assert [text for text in found if "test images: accuracies are known" not in text] == []


@pytest.mark.parametrize("suffix", ["png", "webp"])
def test_a_leak_is_found_whatever_the_file(config, photos, suffix):
    """The pixels count: the same picture in another file, name and format is the same image."""
    with Image.open(photos / "train" / "light" / "02.png") as image:
        image.save(photos / "test" / "light" / f"01.{suffix}", lossless=True)
    if suffix != "png":
        (photos / "test" / "light" / "01.png").unlink()
    (text,) = warnings(config, "pixel for pixel")
    # the position in the split: 6 dark ones before; in train 12
    assert text.startswith("1 of 12 test images are also training images")
    assert "(test 7 = train 14)" in text
    assert "another class" not in text


def test_a_leak_under_another_class_is_said(config, photos):
    shutil.copy(photos / "train" / "dark" / "05.png", photos / "test" / "light" / "00.png")
    (text,) = warnings(config, "pixel for pixel")
    assert "1 of them have another class in train" in text


def test_positions_count_unreadable_images(config, photos):
    """They are those of the dataset, as everywhere in the record."""
    (photos / "train" / "dark" / "00.png").write_bytes(b"no image")
    shutil.copy(photos / "train" / "light" / "02.png", photos / "test" / "light" / "01.png")
    (text,) = warnings(config, "pixel for pixel")
    assert "(test 7 = train 14)" in text


def test_broken_images_are_not_each_others_copies(config, photos):
    """Nothing is known of their pixels, in either split."""
    for split in ("train", "test"):
        for number in ("00", "01"):
            (photos / split / "dark" / f"{number}.png").write_bytes(b"no image")
    assert warnings(config, "pixel for pixel") == []
    assert warnings(config, "images are repeated") == []


def test_repetitions_within_a_split_are_said(config, photos):
    shutil.copy(photos / "train" / "dark" / "00.png", photos / "train" / "light" / "00.png")
    shutil.copy(photos / "test" / "dark" / "00.png", photos / "test" / "dark" / "01.png")
    train, test = warnings(config, "images are repeated")
    assert train.startswith("1 training images")
    assert "1 of them under another class" in train
    assert test.startswith("1 test images")


def test_copies_in_different_folds_are_counted(config, photos):
    """Six times one picture in train: whatever the deal, some folds are tested on it."""
    config = replace(config, protocol=ProtocolConfig(folds=3, curve=(2,)))
    assert warnings(config, "folds: ") == []
    dark = photos / "train" / "dark"
    for number in range(1, 6):
        shutil.copy(dark / "00.png", dark / f"{number:02}.png")
    (text,) = warnings(config, "folds: ")
    labels = np.repeat([0, 1, 0, 1], [12, 12, 6, 6])
    folds = assign_folds(labels, 3, 0)[:6].tolist()
    pairs = sum(one != two for one, two in itertools.combinations(folds, 2))
    assert text.startswith("folds: 6 of 36 images have a copy, pixel for pixel, in another fold")
    assert f"({pairs} pairs)" in text


def test_a_copy_in_the_other_split_is_a_copy_in_another_fold_or_in_the_same(config, photos):
    """Folds are dealt from train and test together: there is no split between the two."""
    shutil.copy(photos / "train" / "dark" / "00.png", photos / "test" / "dark" / "00.png")
    folds = assign_folds(np.repeat([0, 1, 0, 1], [12, 12, 6, 6]), 3, 0)
    config = replace(config, protocol=ProtocolConfig(folds=3))
    assert len(warnings(config, "folds: ")) == (folds[0] != folds[24])


def test_a_leak_makes_a_curve_too_steep(config, photos):
    """A small draw has few of the images that are in test as well, the whole has all."""
    shutil.copy(photos / "train" / "light" / "02.png", photos / "test" / "light" / "01.png")
    (text,) = warnings(replace(config, protocol=ProtocolConfig(curve=(2,))), "pixel for pixel")
    assert text.endswith("so the curve rises too steeply")


def test_copies_on_both_sides_of_a_search_are_said(config, photos):
    """Of twelve equal images some are held out and some are not."""
    config = replace(config, heads=("svm-linear",), protocol=ProtocolConfig(search=True))
    assert warnings(config, "search: ") == []
    dark = photos / "train" / "dark"
    for number in range(1, 12):
        shutil.copy(dark / "00.png", dark / f"{number:02}.png")
    labels = np.repeat([0, 1], 12)
    n_dark = int((labels[validation_rows(labels, 0)] == 0).sum())
    (text,) = warnings(config, "search: ")
    assert text.startswith(f"search: {n_dark} of 5 held-out images are copies")


def test_an_unreadable_image_may_leave_too_few_for_a_curve(config, photos):
    """What was promised for twelve images of a class cannot be kept with eleven."""
    (photos / "train" / "dark" / "00.png").write_bytes(b"no image")
    with pytest.raises(ConfigError, match="asks for 12 .* class 'dark' has 11"):
        run_benchmark(replace(config, protocol=ProtocolConfig(curve=(12,))))


def test_folds_that_leave_one_class_to_learn_are_refused_before_any_work(config, photos, reads):
    """One light image in all: the fold that tests it has dark ones only to learn from."""
    for split, kept in (("train", 1), ("test", 0)):
        for path in sorted((photos / split / "light").iterdir())[kept:]:
            path.unlink()
    with pytest.raises(ConfigError, match="folds=3 leaves only images of class . outside fold"):
        run_benchmark(replace(config, protocol=ProtocolConfig(folds=3)))
    assert reads == []


@pytest.fixture
def reads(monkeypatch):
    """Positions of images that were read through the hash."""
    found = []
    original = HashedImages.__getitem__

    def read(self, index):
        found.append(index)
        return original(self, index)

    monkeypatch.setattr(HashedImages, "__getitem__", read)
    return found


def test_digests_are_noted_in_the_pass_that_extracts(config, reads):
    """No image is decoded a second time for them, and in a second run none at all."""
    run_benchmark(config)
    assert sorted(reads) == sorted([*range(24), *range(12)])
    reads.clear()
    run_benchmark(config)
    assert reads == []


def test_without_digests_in_the_store_images_are_read_again(config, photos, reads):
    """Features that an earlier version stored have none beside them."""
    shutil.copy(photos / "train" / "light" / "02.png", photos / "test" / "light" / "01.png")
    run_benchmark(config)
    shutil.rmtree(config.cache_dir / "store" / "digests")
    reads.clear()
    assert len(warnings(config, "pixel for pixel")) == 1
    assert sorted(reads) == sorted([*range(24), *range(12)])


def test_a_test_split_of_one_class_is_said(config, photos):
    shutil.rmtree(photos / "test" / "light")
    (photos / "test" / "light").mkdir()
    assert warnings(config, "of one class") == ["all 6 test images are of one class, dark"]


@pytest.fixture
def with_kernel(config, tiny_path, tmp_path):
    """Return the configuration for the tiny backbone whose first channels have this weight."""

    def make(n_channels, value):
        model = onnx.load(tiny_path)
        (kernel,) = [each for each in model.graph.initializer if each.name == "kernel"]
        weights = numpy_helper.to_array(kernel).copy()
        weights[:n_channels] = value
        kernel.CopyFrom(numpy_helper.from_array(weights, "kernel"))
        path = tmp_path / "changed.onnx"
        onnx.save(model, path)
        return replace(config, model=str(path))

    return make


def test_dead_features_are_said_from_a_quarter_on(with_kernel):
    """A channel of weights zero is zero for every image."""
    (text,) = warnings(with_kernel(6, 0.0), "dead channels")
    n_dead, n_all = (int(word) for word in text.split(" features")[0].split(" of "))
    assert n_dead >= 6
    assert n_all == 16


def test_features_that_are_all_dead_are_refused(with_kernel):
    with pytest.raises(DataError, match="have the same backbone features"):
        run_benchmark(with_kernel(16, 0.0))


def test_features_that_are_no_numbers_are_refused(with_kernel):
    with pytest.raises(DataError, match="NaN or infinity"):
        run_benchmark(with_kernel(1, np.inf))


@pytest.mark.parametrize("n_rows", [1, 1024, 1025, 3000])
def test_constant_columns_are_counted(n_rows):
    """Also where they change in the last row only; one row varies nowhere."""
    features = np.full((n_rows, 3), 2.0, np.float32)
    features[-1, 0] += n_rows > 1
    features[0, 1] += n_rows > 1
    assert n_constant(features) == (3 if n_rows == 1 else 1)
