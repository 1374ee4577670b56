"""A dataset in the user's own folder."""

import errno
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tlbench.core.errors import DataError, UnreadableImageError
from tlbench.datasets import DatasetRequest
from tlbench.datasets.folder import load


@pytest.fixture
def request_for(recorder):
    def make(argument, seed=0):
        return DatasetRequest(
            name=f"folder:{argument}", argument=str(argument), seed=seed, listener=recorder
        )

    return make


@pytest.fixture
def two(tmp_path, make_images):
    """Make a folder with train and test."""
    root = tmp_path / "two"
    for half, n, seed in (("train", 3, 1), ("test", 2, 2)):
        for name in ("cat", "ant"):
            make_images(root / half / name, n, seed)
    return root


@pytest.fixture
def tree(tmp_path, make_images):
    """Make a single tree: classes of 2, 5 and 13 images."""
    root = tmp_path / "tree"
    for name, n in (("a", 2), ("b", 5), ("c", 13)):
        make_images(root / name, n)
    return root


def names(split):
    return [f"{path.parent.name}/{path.name}" for path in split.images.paths]


def test_train_and_test_folders_are_the_splits(two, request_for):
    """Classes are the sorted folder names, files come in the order of their names."""
    dataset = load(request_for(two))
    assert dataset.classes == ("ant", "cat")
    assert names(dataset.test) == ["ant/00.png", "ant/01.png", "cat/00.png", "cat/01.png"]
    assert dataset.test.labels.tolist() == [0, 0, 1, 1]
    assert len(dataset.train) == 6


def test_single_tree_is_split_by_class(tree, request_for):
    """One fifth of each class is kept for testing, at least one image."""
    dataset = load(request_for(tree))
    assert np.bincount(dataset.test.labels).tolist() == [1, 1, 3]
    assert np.bincount(dataset.train.labels).tolist() == [1, 4, 10]
    everything = sorted(f"{path.parent.name}/{path.name}" for path in tree.rglob("*.png"))
    assert sorted(names(dataset.train) + names(dataset.test)) == everything


def test_single_tree_is_split_by_seed(tree, request_for):
    """One seed gives one split, another seed another."""
    first, again, other = (load(request_for(tree, seed)) for seed in (1, 1, 2))
    assert names(first.test) == names(again.test)
    assert names(first.test) != names(other.test)
    assert "80/20 by seed 1" in first.source


def test_a_class_may_be_called_train(tmp_path, make_images, request_for):
    """A single folder 'train' that contains images is an ordinary class."""
    for name in ("bus", "train"):
        make_images(tmp_path / "vehicles" / name, 2)
    assert load(request_for(tmp_path / "vehicles")).classes == ("bus", "train")


def test_other_files_change_nothing(tree, request_for):
    """Notes, hidden files, hidden folders and empty folders inside a class."""
    before = load(request_for(tree)).fingerprint
    (tree / "a" / "notes.txt").write_text("notes")
    (tree / "a" / ".hidden.png").write_bytes(b"")
    (tree / ".cache").mkdir()
    (tree / "a" / "inner.png").mkdir()
    (tree / "README.md").write_text("read")
    assert load(request_for(tree)).fingerprint == before


def test_suffixes_are_case_insensitive(two, request_for):
    """IMG.PNG is an image as img.png is."""
    path = two / "test" / "ant" / "00.png"
    path.rename(path.with_name("00.PNG"))
    assert names(load(request_for(two)).test)[0] == "ant/00.PNG"


def test_home_folder_is_expanded(two, request_for, monkeypatch):
    """~ stands for the user's home."""
    monkeypatch.setenv("HOME", str(two.parent))
    monkeypatch.setenv("USERPROFILE", str(two.parent))
    assert len(load(request_for("~/two")).train) == 6


def test_fingerprint_does_not_depend_on_the_place(two, request_for, tmp_path):
    """A moved dataset is the same dataset."""
    shutil.copytree(two, tmp_path / "moved")
    assert load(request_for(tmp_path / "moved")).fingerprint == load(request_for(two)).fingerprint


@pytest.mark.parametrize("change", ["content", "name", "class"])
def test_fingerprint_follows_the_data(two, request_for, change):
    """Other pixels, another name or another class make another split."""
    before = load(request_for(two)).test.fingerprint
    path = two / "test" / "ant" / "01.png"
    if change == "content":
        path.write_bytes((two / "train" / "ant" / "02.png").read_bytes())
    elif change == "name":
        path.rename(path.with_name("other.png"))
    else:
        path.rename(two / "test" / "cat" / "zz.png")
    assert load(request_for(two)).test.fingerprint != before


def test_images_are_decoded_on_access(two, request_for):
    """Loading decodes nothing: a broken image is an error, with its path, when it is asked for."""
    broken = two / "train" / "ant" / "01.png"
    broken.write_bytes(b"no image")
    dataset = load(request_for(two))
    assert dataset.train.images[0].shape == (5, 4, 3)
    with pytest.raises(UnreadableImageError, match=r"01\.png"):
        dataset.train.images[1]


def test_threads_decode_what_one_thread_decodes(tree, request_for):
    """Several threads reading the same images get the same pixels."""
    images = load(request_for(tree)).train.images
    expected = [images[index] for index in range(len(images))]
    with ThreadPoolExecutor(8) as pool:
        actual = list(pool.map(images.__getitem__, [*range(len(images))] * 8))
    for index, image in enumerate(actual):
        np.testing.assert_array_equal(image, expected[index % len(images)])


def test_progress_counts_the_files(two, request_for, recorder):
    """Reading the files for the fingerprint is reported."""
    load(request_for(two))
    assert recorder.tasks == [("read image files", 10, "images")]
    assert (recorder.steps, recorder.running) == (10, 0)


def test_test_images_among_the_training_images_are_reported(two, request_for, recorder):
    """Identical files on both sides change what the accuracy means: the user hears of it."""
    load(request_for(two))
    assert recorder.warnings == []
    shutil.copy(two / "train" / "ant" / "00.png", two / "test" / "cat" / "copy.png")
    load(request_for(two))
    assert recorder.warnings == [
        "1 of 5 test images are also training images, byte for byte: the accuracy will be too high."
    ]


@pytest.mark.parametrize("suffix", ["jpg", "JPE", "jfif", "bmp", "tif", "TIFF", "gif", "webp", ""])
def test_every_format_is_found(two, request_for, suffix):
    """Also in a file whose name says nothing."""
    path = two / "test" / "ant" / "00.png"
    name = f"00.{suffix}" if suffix else "00"
    kinds = {"jpg": "JPEG", "jpe": "JPEG", "jfif": "JPEG", "tif": "TIFF", "": "PNG"}
    with Image.open(path) as image:
        image.convert("RGB").save(
            path.with_name(name), format=kinds.get(suffix.lower(), suffix.upper())
        )
    path.unlink()
    dataset = load(request_for(two))
    assert names(dataset.test)[0] == f"ant/{name}"
    assert dataset.test.images[0].shape == (5, 4, 3)
    assert dataset.unused == ()


def test_a_class_has_the_images_of_all_folders_below_its_own(two, make_images, request_for):
    """As torchvision's ImageFolder reads them; the name tells the folder."""
    make_images(two / "test" / "ant" / "b" / "deep", 1)
    make_images(two / "test" / "ant" / "a", 1)
    test = load(request_for(two)).test
    found = ["00.png", "01.png", "a/00.png", "b/deep/00.png"]
    assert test.names[:4] == tuple(f"test/ant/{name}" for name in found)
    assert test.labels.tolist() == [0, 0, 0, 0, 1, 1]


def test_names_stay_with_their_images(two, request_for):
    test = load(request_for(two)).test
    part = test.take(np.array([3, 0]))
    assert part.names == ("test/cat/01.png", "test/ant/00.png")


@pytest.mark.parametrize("argument", [None, ""])
def test_missing_argument_says_what_to_write(argument):
    """'folder' alone is told how to give the path."""
    with pytest.raises(DataError, match="write folder:PATH"):
        load(DatasetRequest(name="folder", argument=argument))


def test_missing_folder_is_named(tmp_path, request_for):
    """A path that does not exist is named."""
    with pytest.raises(DataError, match=r"nowhere does not exist \(looked in "):
        load(request_for(tmp_path / "nowhere"))


def test_file_instead_of_folder_is_refused(tmp_path, request_for):
    """A file is not accepted as the folder."""
    (tmp_path / "photos.zip").write_bytes(b"")
    with pytest.raises(DataError, match=r"photos\.zip is a file"):
        load(request_for(tmp_path / "photos.zip"))


@pytest.mark.parametrize("inside", ["", "cat", "train/cat", "train"], ids=lambda v: v or "nothing")
def test_folder_without_images_is_refused(tmp_path, request_for, inside):
    """A folder with nothing usable in it is told the two layouts."""
    root = tmp_path / "empty"
    (root / inside).mkdir(parents=True)
    if inside.startswith("train"):
        (root / inside.replace("train", "test")).mkdir(parents=True)
    with pytest.raises(DataError, match=r"No images .*PATH/<class>/\*"):
        load(request_for(root))


def test_images_without_class_folders_are_refused(tmp_path, make_images, request_for):
    """A flat folder of images has no classes."""
    make_images(tmp_path / "flat", 3)
    with pytest.raises(DataError, match="no class folders"):
        load(request_for(tmp_path / "flat"))


@pytest.mark.parametrize(("kept", "missing"), [("train", "test"), ("test", "train")])
def test_half_a_dataset_is_refused(two, request_for, kept, missing):
    """A train folder without a test folder is not taken for a class, nor the other way round."""
    (two / missing).rename(two / "zoo")
    with pytest.raises(DataError, match=f"no folder '{missing}', only {kept}, zoo"):
        load(request_for(two))


@pytest.mark.parametrize("name", ["val", "valid", "validation"])
def test_validation_images_test_where_there_is_no_test_folder(two, request_for, recorder, name):
    """And the user hears of it."""
    before = load(request_for(two))
    (two / "test").rename(two / name)
    dataset = load(request_for(two))
    assert dataset.fingerprint == before.fingerprint
    assert dataset.test.names[0] == f"{name}/ant/00.png"
    assert dataset.source.endswith(f"split: its own train and {name} folders")
    assert recorder.warnings == [
        f"{two} has no folder test: the images in {name} are used for testing."
    ]


def test_validation_images_beside_a_test_folder_are_counted(
    two, make_images, request_for, recorder
):
    make_images(two / "val" / "ant", 2)
    dataset = load(request_for(two))
    assert recorder.warnings == []
    assert [str(one) for one in dataset.unused] == [
        "2 images outside the class folders: val/ant/00.png, val/ant/01.png"
    ]


def test_validation_images_beside_a_class_of_trains_are_a_class(tmp_path, make_images, request_for):
    """The folder train has images, not classes."""
    for name in ("train", "val"):
        make_images(tmp_path / "words" / name, 2)
    assert load(request_for(tmp_path / "words")).classes == ("train", "val")


def test_unknown_class_in_test_is_named(two, make_images, request_for):
    """A test class that was never trained is refused."""
    make_images(two / "test" / "dog", 1)
    with pytest.raises(DataError, match=r"classes that .*train lacks: dog"):
        load(request_for(two))


def test_class_without_training_images_is_named(two, request_for):
    """A class folder that is empty in train is refused."""
    (two / "train" / "dog").mkdir()
    with pytest.raises(DataError, match="no images of the class dog"):
        load(request_for(two))


@pytest.mark.parametrize(("n", "found"), [(0, "0 images"), (1, "1 image:")])
def test_class_with_one_image_is_named(tree, make_images, request_for, n, found):
    """A class that cannot have an image in each split is refused, with what to do."""
    make_images(tree / "lonely", n)
    with pytest.raises(DataError, match=f"Class 'lonely' .* has {found}.*Add images"):
        load(request_for(tree))


@pytest.mark.parametrize("number", [errno.EMFILE, errno.EIO])
def test_an_error_that_is_not_of_one_file_stops_the_loading(two, request_for, monkeypatch, number):
    """Too many open files, or a broken disk: other files would be left out next."""
    refuse_to_open(monkeypatch, two / "test" / "cat" / "01.png", number)
    with pytest.raises(DataError, match=rf"Cannot read .*01\.png: {os.strerror(number)}"):
        load(request_for(two))


def test_file_that_cannot_be_read_is_counted(two, request_for, monkeypatch):
    """Its image is in neither split."""
    refuse_to_open(monkeypatch, two / "test" / "cat" / "01.png", errno.EACCES)
    dataset = load(request_for(two))
    assert names(dataset.test) == ["ant/00.png", "ant/01.png", "cat/00.png"]
    assert [str(one) for one in dataset.unused] == [
        "1 file that cannot be read (Permission denied): test/cat/01.png"
    ]


def refuse_to_open(monkeypatch, blocked, number):
    original = Path.open

    def refuse(self, *args, **kwargs):
        if self == blocked:
            raise OSError(number, os.strerror(number))
        return original(self, *args, **kwargs)

    monkeypatch.setattr(Path, "open", refuse)
