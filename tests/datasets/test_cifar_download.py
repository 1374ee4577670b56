"""Where CIFAR comes from when the data folder lacks it."""

import dataclasses
import hashlib
import tarfile
from pathlib import Path

import pytest

from tlbench.core.errors import DataError
from tlbench.datasets import cifar


def test_nowhere_to_be_found_says_where_it_looked(tmp_path, request_for, no_network):
    """Without files and network the error names both places, the address and the parameter."""
    (tmp_path / "data" / "other").mkdir(parents=True)
    with pytest.raises(DataError) as caught:
        cifar.load_cifar10(request_for(tmp_path / "data"))
    message = str(caught.value)
    for part in (str(tmp_path / "data"), str(tmp_path / "downloads"), no_network, "data_dir"):
        assert part in message
    assert "\n" not in message


def test_no_data_dir_needs_no_warning(request_for, recorder, no_network):
    """A user who named no data folder is not told that it lacks something."""
    with pytest.raises(DataError, match="data_dir"):
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


def _nothing(folder):
    pass


def _broken_link(folder):
    folder.symlink_to("absent")


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (_nothing, "No such file"),
        (Path.mkdir, "is empty"),
        (Path.touch, "Not a directory"),
        (_broken_link, "No such file"),
    ],
    ids=["missing", "empty", "a file", "a broken link"],
)
@pytest.mark.parametrize("kept", [False, True], ids=["never downloaded", "downloaded before"])
def test_a_data_dir_that_has_nothing_is_an_error_and_no_download(
    published, request_for, recorder, tmp_path, make, reason, kept
):
    """A typing error, or a disk that is not mounted: another copy would hide it."""
    if kept:
        cifar.load_cifar10(request_for())
    n_downloads = len(recorder.tasks)
    make(tmp_path / "mine")
    with pytest.raises(DataError, match=f"data folder .*mine .*{reason}.*data_dir"):
        cifar.load_cifar10(request_for(tmp_path / "mine"))
    assert len(recorder.tasks) == n_downloads


def test_data_dir_without_the_folder_is_reported(published, request_for, recorder, tmp_path):
    """A data folder that lacks the files is named in a warning when another copy is used."""
    (tmp_path / "mine" / "other").mkdir(parents=True)
    cifar.load_cifar10(request_for(tmp_path / "mine"))
    cifar.load_cifar10(request_for(tmp_path / "mine"))
    first, second = recorder.warnings
    assert f"data folder {tmp_path / 'mine'}: using a download of http" in first
    assert f"using the copy in {tmp_path / 'downloads'}" in second
