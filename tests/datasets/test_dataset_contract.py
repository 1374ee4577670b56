"""What every built-in dataset promises, whatever it is made of."""

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from tlbench.datasets import DATASETS, DatasetRequest, load_dataset


@pytest.fixture(params=DATASETS.names())
def request_of(request, tmp_path, make_cifar10, make_cifar100, make_images):
    """Return a request for each registered dataset, over small data made for the test."""
    make_cifar10(tmp_path / "data")
    make_cifar100(tmp_path / "data")
    for name in ("ant", "bee"):
        make_images(tmp_path / "photos" / name, 5)
    make_tables(tmp_path / "photos")
    inside = {"folder": "", "csv": "labels.csv", "parquet": "images.parquet"}.get(request.param)
    argument = "" if inside is None else f":{tmp_path / 'photos' / inside}"
    return DatasetRequest(
        name=request.param + argument,
        data_dir=tmp_path / "data",
        download_dir=tmp_path / "downloads",
    )


def make_tables(folder):
    """Write the images of a folder as the rows of tables as well."""
    files = sorted(folder.glob("*/*.png"))
    rows = [f"{path.relative_to(folder).as_posix()},{path.parent.name}\n" for path in files]
    (folder / "labels.csv").write_text("path,label\n" + "".join(rows))
    columns = {
        "image": [{"bytes": path.read_bytes(), "path": path.name} for path in files],
        "label": [path.parent.name for path in files],
    }
    parquet.write_table(pa.table(columns), folder / "images.parquet")


@pytest.fixture
def dataset(request_of):
    return load_dataset(request_of)


def splits(dataset):
    return [dataset.train, dataset.test]


def test_dataset_bears_its_name(dataset, request_of):
    """The name is the one that the user gave, and the source is told."""
    assert dataset.name == request_of.name
    assert dataset.source


def test_labels_are_int64_and_within_the_classes(dataset):
    """A label is an index into the class names."""
    for split in splits(dataset):
        assert split.labels.dtype == np.int64
        assert split.labels.shape == (len(split),)
        assert 0 <= split.labels.min() <= split.labels.max() < len(dataset.classes)


def test_class_names_are_different_texts(dataset):
    """No class is called as another is."""
    assert all(isinstance(name, str) and name for name in dataset.classes)
    assert len(set(dataset.classes)) == len(dataset.classes)


def test_images_are_rgb_bytes(dataset):
    """Each image is uint8 of shape (H, W, 3)."""
    for split in splits(dataset):
        assert len(split.images) == len(split) > 0
        for index in range(min(len(split), 3)):
            image = split.images[index]
            assert image.dtype == np.uint8
            assert image.ndim == 3
            assert image.shape[2] == 3


def test_images_of_a_subset_are_the_images(dataset):
    """Rows that are taken out of a split keep their pixels and labels."""
    last = len(dataset.train) - 1
    subset = dataset.train.take(np.array([last, 0]))
    np.testing.assert_array_equal(subset.images[0], dataset.train.images[last])
    assert subset.labels.tolist() == dataset.train.labels[[last, 0]].tolist()


def test_fingerprint_is_the_same_when_loaded_again(dataset, request_of):
    """The fingerprint is a property of the data."""
    assert load_dataset(request_of).fingerprint == dataset.fingerprint


def test_splits_have_different_fingerprints(dataset):
    """Train and test contain different data."""
    assert dataset.train.fingerprint != dataset.test.fingerprint


def test_images_have_a_fingerprint_of_their_own(dataset):
    """Other labels leave it alone, other images or another order do not."""
    split = dataset.train
    backwards = split.take(np.arange(len(split))[::-1].copy())
    assert split.images_fingerprint not in {split.fingerprint, dataset.test.images_fingerprint}
    assert backwards.images_fingerprint != split.images_fingerprint


def test_a_group_for_each_class(dataset):
    """A grouping says of every class which of its groups it belongs to."""
    for grouping in dataset.groupings:
        assert len(grouping.group_of) == len(dataset.classes)
        assert set(grouping.group_of) <= set(range(-1, len(grouping.groups)))
