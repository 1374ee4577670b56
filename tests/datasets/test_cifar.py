"""CIFAR-10 and CIFAR-100 from their original files."""

import dataclasses
import hashlib
import pickle
import shutil
import tarfile

import numpy as np
import pytest

from tlbench.datasets import cifar
from tlbench.datasets.base import DatasetRequest
from tlbench.errors import ConfigError, DataError, UnknownNameError


@pytest.fixture
def request_for(tmp_path, recorder):
    """Return a function that makes a request which downloads to a folder of the test."""

    def make(data_dir=None, name="cifar10"):
        return DatasetRequest(
            name=name,
            data_dir=data_dir,
            download_dir=tmp_path / "downloads",
            listener=recorder,
        )

    return make


@pytest.fixture
def no_network(monkeypatch, closed_address):
    """Point the downloads at an address where nothing listens, and return it."""
    for name in ("_CIFAR10", "_CIFAR100"):
        archive = getattr(cifar, name)
        monkeypatch.setattr(
            cifar, name, dataclasses.replace(archive, url=f"{closed_address}/{archive.folder}.tgz")
        )
    return closed_address


@pytest.fixture
def folder(tmp_path, make_cifar10, no_network):
    return make_cifar10(tmp_path / "data")


def test_rows_become_images(folder, request_for, python2_pickle):
    """A planar row (red, green, blue planes) becomes an image (32, 32, 3)."""
    row = np.zeros((1, 3072), dtype=np.uint8)
    row[0, 5 * 32 + 7] = 10
    row[0, 1024 + 5 * 32 + 7] = 20
    row[0, 2048 + 5 * 32 + 7] = 30
    (folder / "test_batch").write_bytes(python2_pickle({b"data": row, b"labels": [2]}))
    test = cifar.load_cifar10(request_for(folder.parent)).test
    assert test.images.shape == (1, 32, 32, 3)
    assert test.images[0][5, 7].tolist() == [10, 20, 30]
    assert int(test.images.sum(dtype=int)) == 60
    assert test.labels.tolist() == [2]


def test_batches_keep_their_order(folder, request_for):
    """The five batches follow one another, with as many rows as each file has."""
    dataset = cifar.load_cifar10(request_for(folder.parent))
    assert dataset.train.labels.tolist() == [0, 1, 1, 2, 2, 0, 0, 1, 1, 2]
    assert len(dataset.test) == 2
    assert dataset.classes == ("airplane", "bird", "cat")
    assert dataset.source == f"10 train and 2 test rows of {folder} (labels)"


def test_folder_itself_may_be_the_data_folder(folder, request_for, recorder):
    """--data-dir may name cifar-10-batches-py itself; the fingerprint is the same."""
    inside = cifar.load_cifar10(request_for(folder))
    above = cifar.load_cifar10(request_for(folder.parent))
    assert inside.fingerprint == above.fingerprint
    assert recorder.warnings == []


def test_fingerprint_does_not_depend_on_the_place(folder, request_for, tmp_path):
    """Copied to another place and renamed, it is the same dataset."""
    copy = tmp_path / "elsewhere" / "renamed"
    shutil.copytree(folder, copy)
    here = cifar.load_cifar10(request_for(folder.parent))
    assert cifar.load_cifar10(request_for(copy)).fingerprint == here.fingerprint


def test_files_of_python3_give_the_same_dataset(folder, request_for):
    """A file written again by Python 3, with text keys and protocol 4, is the same data."""
    expected = cifar.load_cifar10(request_for(folder.parent)).fingerprint
    path = folder / "test_batch"
    content = pickle.loads(path.read_bytes(), encoding="latin1")
    path.write_bytes(pickle.dumps(content, protocol=4))
    assert cifar.load_cifar10(request_for(folder.parent)).fingerprint == expected


@pytest.mark.parametrize(
    ("load", "train", "test", "classes"),
    [
        (cifar.load_cifar100, [3, 0, 1, 2], [3, 0, 1], ("apple", "baby", "bear", "bed")),
        (cifar.load_cifar100_coarse, [1, 0, 0, 1], [1, 0, 0], ("fruit", "people")),
    ],
    ids=["fine", "coarse"],
)
def test_cifar100_has_two_sets_of_labels(
    tmp_path, make_cifar100, request_for, load, train, test, classes
):
    """The fine and the coarse dataset differ in labels and classes."""
    make_cifar100(tmp_path / "data")
    dataset = load(request_for(tmp_path / "data", "cifar100"))
    assert dataset.train.labels.tolist() == train
    assert dataset.test.labels.tolist() == test
    assert dataset.classes == classes


def arguments_of(request_for, folder, argument):
    request = request_for(folder.parent, f"cifar10:{argument}")
    return dataclasses.replace(request, argument=argument)


@pytest.mark.parametrize(
    ("argument", "labels"),
    [
        ("data_batch_1", [0, 1]),
        ("data_batch_2+data_batch_4", [1, 2, 0, 1]),
        ("data_batch_4 + data_batch_2", [1, 2, 0, 1]),
    ],
)
def test_training_files_can_be_chosen(folder, request_for, argument, labels):
    """One or several, in the archive's order; the test images stay."""
    whole = cifar.load_cifar10(request_for(folder.parent))
    (folder / "data_batch_5").unlink()  # what is not asked for may be absent
    part = cifar.load_cifar10(arguments_of(request_for, folder, argument))
    assert part.train.labels.tolist() == labels
    assert part.test.fingerprint == whole.test.fingerprint
    assert part.name == f"cifar10:{argument}"
    assert part.source.startswith(f"{len(labels)} train")


@pytest.fixture
def same_digests(monkeypatch, folder):
    """Take the digests of the small folder for the published ones."""
    names = [*cifar._CIFAR10.train, *cifar._CIFAR10.test]
    md5 = {name: hashlib.md5((folder / name).read_bytes()).hexdigest() for name in names}
    monkeypatch.setattr(cifar, "_CIFAR10", dataclasses.replace(cifar._CIFAR10, md5=md5))
    return md5


def test_files_have_their_digests(folder, request_for, same_digests):
    """Each file that images were read from, in order; these are all the published ones."""
    files = cifar.load_cifar10(request_for(folder.parent)).files
    assert {file.name: file.md5 for file in files} == same_digests
    assert [file.name for file in files] == list(same_digests)
    assert all(file.published for file in files)


def test_one_byte_makes_another_file(folder, request_for, same_digests):
    """Of the same format and size, with one pixel changed, it is not the published file."""
    path = folder / "data_batch_2"
    content = bytearray(path.read_bytes())
    content[content.index(b"U\x04data") + 300] ^= 1
    path.write_bytes(content)
    dataset = cifar.load_cifar10(request_for(folder.parent))
    assert [file.name for file in dataset.files if not file.published] == ["data_batch_2"]
    part = cifar.load_cifar10(arguments_of(request_for, folder, "data_batch_1"))
    assert [file.name for file in part.files] == ["data_batch_1", "test_batch"]
    assert all(file.published for file in part.files)


def test_made_up_files_are_not_the_published_ones(tmp_path, make_cifar100, request_for, folder):
    """The built-in digests are of other files than these, of either data set."""
    make_cifar100(tmp_path / "data")
    fine = cifar.load_cifar100(request_for(tmp_path / "data", "cifar100"))
    assert [(file.name, file.published) for file in fine.files] == [
        ("train", False),
        ("test", False),
    ]
    ten = cifar.load_cifar10(request_for(folder.parent))
    assert [file.published for file in ten.files] == [False] * 6


@pytest.mark.parametrize(
    ("argument", "error", "match"),
    [
        ("data_batch_9", UnknownNameError, "training file of cifar10 'data_batch_9'"),
        ("test_batch", UnknownNameError, "'test_batch'"),
        ("", UnknownNameError, "Known: data_batch_1, data_batch_2"),
        ("data_batch_1+data_batch_1", ConfigError, "names a file twice"),
    ],
)
def test_training_files_that_cannot_be_chosen(folder, request_for, argument, error, match):
    """Test images are nothing to train on, and no image counts double."""
    with pytest.raises(error, match=match):
        cifar.load_cifar10(arguments_of(request_for, folder, argument))


@pytest.mark.parametrize("name", ["data_batch_3", "test_batch", "batches.meta"])
def test_missing_file_is_named(folder, request_for, name):
    """A folder without one of its files is refused with the file's name."""
    (folder / name).unlink()
    with pytest.raises(DataError, match=f"lacks the file {name}"):
        cifar.load_cifar10(request_for(folder.parent))


@pytest.mark.parametrize("name", ["data_batch_2", "test_batch", "batches.meta"])
@pytest.mark.parametrize("kept_fraction", [0, 0.5, 0.99])
def test_truncated_file_is_named(folder, request_for, name, kept_fraction):
    """A file that ends too early is refused with its name."""
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: int(len(content) * kept_fraction)])
    with pytest.raises(DataError, match=f"{name} is truncated or damaged"):
        cifar.load_cifar10(request_for(folder.parent))


ROWS = np.zeros((2, 3072), dtype=np.uint8)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({b"labels": [0, 1]}, "has no 'data', only 'labels'"),
        ({b"data": ROWS}, "has no 'labels', only 'data'"),
        ({b"data": [1, 2], b"labels": [0, 1]}, "'data' is no array but list"),
        ({b"data": ROWS.astype("<i4"), b"labels": [0, 1]}, "found int32"),
        ({b"data": ROWS[:, :3071], b"labels": [0, 1]}, r"found uint8 of shape \(2, 3071\)"),
        ({b"data": ROWS.reshape(-1), b"labels": [0, 1]}, r"found uint8 of shape \(6144,\)"),
        ({b"data": ROWS, b"labels": [0]}, "2 images but 1 labels"),
        ({b"data": ROWS, b"labels": [0, b"1"]}, "no list of whole numbers"),
        ({b"data": ROWS, b"labels": b"01"}, "no list of whole numbers"),
        ({b"data": ROWS, b"labels": [0, 3]}, "must be 0 to 2, found 0 to 3"),
        ({b"data": ROWS, b"labels": [-1, 0]}, "must be 0 to 2, found -1 to 0"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_wrong_content_is_named(folder, request_for, python2_pickle, content, message):
    """What a batch must hold and does not is said with the file's name and what was found."""
    (folder / "data_batch_4").write_bytes(python2_pickle(content))
    with pytest.raises(DataError, match=f"data_batch_4.*{message}"):
        cifar.load_cifar10(request_for(folder.parent))


@pytest.mark.parametrize("names", [b"airplane", [1, 2]], ids=["text", "numbers"])
def test_wrong_class_names_are_refused(folder, request_for, python2_pickle, names):
    """Class names must be a list of texts."""
    (folder / "batches.meta").write_bytes(python2_pickle({b"label_names": names}))
    with pytest.raises(DataError, match=r"batches\.meta: 'label_names' is no list"):
        cifar.load_cifar10(request_for(folder.parent))


def test_empty_dataset_is_refused(folder, request_for, python2_pickle):
    """A test batch without rows makes no dataset."""
    empty = {b"data": ROWS[:0], b"labels": []}
    (folder / "test_batch").write_bytes(python2_pickle(empty))
    with pytest.raises(DataError, match="no test images"):
        cifar.load_cifar10(request_for(folder.parent))


def test_file_that_calls_is_refused(folder, request_for, tmp_path):
    """A batch file that would run a command is refused, and the command is not run."""
    marker = tmp_path / "was-run"
    hostile = b"\x80\x02cposix\nsystem\nX\x00\x00\x00\x00\x85R."
    command = f"touch {marker}".encode()
    hostile = hostile.replace(b"X\x00\x00\x00\x00", b"U" + bytes([len(command)]) + command)
    (folder / "data_batch_1").write_bytes(hostile)
    with pytest.raises(DataError, match=r"data_batch_1 asks for 'posix\.system'"):
        cifar.load_cifar10(request_for(folder.parent))
    assert not marker.exists()


def test_nowhere_to_be_found_says_where_it_looked(tmp_path, request_for, no_network):
    """Without files and network the error names both places, the address and the option."""
    (tmp_path / "data").mkdir()
    with pytest.raises(DataError) as caught:
        cifar.load_cifar10(request_for(tmp_path / "data"))
    message = str(caught.value)
    for part in (str(tmp_path / "data"), str(tmp_path / "downloads"), no_network, "--data-dir"):
        assert part in message
    assert "\n" not in message


def test_no_data_dir_needs_no_warning(request_for, recorder, no_network):
    """A user who named no data folder is not told that it lacks something."""
    with pytest.raises(DataError, match="--data-dir"):
        cifar.load_cifar100(request_for())
    assert recorder.warnings == []


@pytest.fixture
def published(monkeypatch, tmp_path, serve, make_cifar10):
    """Serve a small CIFAR-10 archive in place of the original; return its folder."""
    site = tmp_path / "site"
    folder = make_cifar10(tmp_path / "original")
    site.mkdir()
    with tarfile.open(site / "cifar.tar.gz", "w:gz") as tar:
        tar.add(folder, folder.name)
    digest = hashlib.sha256((site / "cifar.tar.gz").read_bytes()).hexdigest()
    archive = dataclasses.replace(cifar._CIFAR10, url=f"{serve(site)}/cifar.tar.gz", sha256=digest)
    monkeypatch.setattr(cifar, "_CIFAR10", archive)
    return folder


def test_download_gives_the_same_dataset(published, request_for):
    """The downloaded files are the dataset that lies in the archive."""
    downloaded = cifar.load_cifar10(request_for())
    assert downloaded.fingerprint == cifar.load_cifar10(request_for(published)).fingerprint


def test_download_is_used_again(published, request_for, recorder):
    """What was unpacked once is not downloaded again."""
    cifar.load_cifar10(request_for())
    cifar.load_cifar10(request_for())
    assert len(recorder.tasks) == 1


def test_data_dir_without_the_folder_is_reported(published, request_for, recorder, tmp_path):
    """A data folder that lacks the files is named in a warning when another copy is used."""
    (tmp_path / "mine").mkdir()
    cifar.load_cifar10(request_for(tmp_path / "mine"))
    cifar.load_cifar10(request_for(tmp_path / "mine"))
    first, second = recorder.warnings
    assert f"data folder {tmp_path / 'mine'}: using a download of http" in first
    assert f"using the copy in {tmp_path / 'downloads'}" in second


def test_real_cifar10_has_the_rows_of_the_files(real_data, request_for):
    """The real, smaller copy has 5 x 1,017 training and 1,017 test images of ten classes."""
    dataset = cifar.load_cifar10(request_for(real_data))
    assert (len(dataset.train), len(dataset.test)) == (5 * 1017, 1017)
    assert dataset.classes[0] == "airplane"
    assert dataset.classes[9] == "truck"
    # The first test images of CIFAR-10 are a cat, two ships and an airplane.
    assert dataset.test.labels[:4].tolist() == [3, 8, 8, 0]


@pytest.mark.parametrize(
    ("load", "n_classes"), [(cifar.load_cifar100, 100), (cifar.load_cifar100_coarse, 20)]
)
def test_real_cifar100_has_the_rows_of_the_files(real_data, request_for, load, n_classes):
    """The real, smaller copy has 916 training and 486 test images."""
    dataset = load(request_for(real_data))
    assert (len(dataset.train), len(dataset.test)) == (916, 486)
    assert len(dataset.classes) == n_classes


def test_fine_labels_carry_the_coarse_ones_as_groups(tmp_path, make_cifar100, request_for):
    """Which group a class belongs to is read from the rows, which have both labels."""
    make_cifar100(tmp_path / "data")
    dataset = cifar.load_cifar100(request_for(tmp_path / "data", "cifar100"))
    (grouping,) = dataset.groupings
    assert (grouping.name, grouping.groups) == ("coarse", ("fruit", "people"))
    assert grouping.group_of == (0, 0, 1, 1)


def test_a_class_without_rows_has_no_known_group(
    tmp_path, make_cifar100, request_for, python2_pickle
):
    """Nothing in the data says where it belongs."""
    folder = make_cifar100(tmp_path / "data")
    content = {b"data": np.zeros((1, 3072), np.uint8), b"fine_labels": [1], b"coarse_labels": [0]}
    for name in ("train", "test"):
        (folder / name).write_bytes(python2_pickle(content))
    dataset = cifar.load_cifar100(request_for(tmp_path / "data", "cifar100"))
    assert dataset.groupings[0].group_of == (-1, 0, -1, -1)


def test_a_class_of_two_coarse_labels_is_damage(
    tmp_path, make_cifar100, request_for, python2_pickle
):
    """A coarse label is a function of the fine one; the message names the class."""
    folder = make_cifar100(tmp_path / "data")
    content = {b"data": np.zeros((1, 3072), np.uint8), b"fine_labels": [1], b"coarse_labels": [1]}
    (folder / "test").write_bytes(python2_pickle(content))
    with pytest.raises(DataError, match="rows of class 'baby' have coarse labels 0 and 1"):
        cifar.load_cifar100(request_for(tmp_path / "data", "cifar100"))


def test_both_sets_of_labels_have_the_same_images(tmp_path, make_cifar100, request_for):
    """Features are cached under the images: the network runs once for both."""
    make_cifar100(tmp_path / "data")
    request = request_for(tmp_path / "data", "cifar100")
    fine, coarse = cifar.load_cifar100(request), cifar.load_cifar100_coarse(request)
    assert fine.train.images_fingerprint == coarse.train.images_fingerprint
    assert fine.train.fingerprint != coarse.train.fingerprint
