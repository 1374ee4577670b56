"""A download ends with a whole folder or with none."""

import gzip
import hashlib
import io
import logging
import os
import stat
import tarfile

import pytest

from tlbench.core.download import fetch_archive
from tlbench.core.errors import DataError, StorageError

FILES = {"one": b"1" * 300_000, "two": b"2"}


def add_file(tar, name, content=b"x"):
    info = tarfile.TarInfo(name)
    info.size = len(content)
    tar.addfile(info, io.BytesIO(content))


def add_link(tar, name, target, kind=tarfile.SYMTYPE):
    info = tarfile.TarInfo(name)
    info.type = kind
    info.linkname = target
    tar.addfile(info)


@pytest.fixture
def site(tmp_path, serve):
    """Return a function that serves an archive with extra entries; gives address and hash."""
    folder = tmp_path / "site"
    folder.mkdir()
    address = serve(folder)

    def publish(*extra, files=FILES):
        path = folder / "archive.tar.gz"
        with tarfile.open(path, "w:gz", compresslevel=0) as tar:
            root = tarfile.TarInfo("data")
            root.type = tarfile.DIRTYPE
            root.mode = 0o755
            tar.addfile(root)
            for name, content in files.items():
                add_file(tar, f"data/{name}", content)
            for add in extra:
                add(tar)
        return f"{address}/archive.tar.gz", hashlib.sha256(path.read_bytes()).hexdigest()

    return publish


@pytest.fixture
def destination(tmp_path):
    return tmp_path / "downloads" / "data"


def assert_nothing_left(destination):
    assert list(destination.parent.iterdir()) == []


def test_good_archive_is_unpacked(site, destination, recorder):
    """The named files arrive with their content, and nothing else is left behind."""
    url, digest = site()
    assert fetch_archive(url, digest, FILES, destination, recorder) == destination
    assert {path.name: path.read_bytes() for path in destination.iterdir()} == FILES
    assert [path.name for path in destination.parent.iterdir()] == ["data"]


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002], ids="umask={:03o}".format)
def test_umask_is_honoured(site, destination, recorder, umask):
    """The files are as private as the user wants, whatever permissions the archive gives them."""
    url, digest = site()
    before = os.umask(umask)
    try:
        fetch_archive(url, digest, FILES, destination, recorder)
    finally:
        os.umask(before)
    assert stat.S_IMODE(destination.stat().st_mode) == 0o777 & ~umask
    for path in destination.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask


def test_progress_counts_the_bytes(site, destination, recorder, tmp_path):
    """The listener hears the size of the archive, as many bytes, and the end."""
    url, digest = site()
    fetch_archive(url, digest, FILES, destination, recorder)
    size = (tmp_path / "site" / "archive.tar.gz").stat().st_size
    assert recorder.tasks == [("download archive.tar.gz", size, "bytes")]
    assert recorder.steps == size
    assert recorder.running == 0


def test_pooch_says_nothing(site, destination, recorder, capfd):
    """Nothing is printed, and pooch's logger keeps its level."""
    level = logging.getLogger("pooch").level
    url, digest = site()
    fetch_archive(url, digest, FILES, destination, recorder)
    assert capfd.readouterr() == ("", "")
    assert logging.getLogger("pooch").level == level


def test_wrong_hash_leaves_nothing(site, destination, recorder):
    """An archive with another hash is refused and deleted."""
    url, _ = site()
    with pytest.raises(DataError, match="hash"):
        fetch_archive(url, "0" * 64, FILES, destination, recorder)
    assert_nothing_left(destination)


@pytest.mark.parametrize(
    "add",
    [
        lambda tar: add_file(tar, "../evil"),
        lambda tar: add_file(tar, "data/../../evil"),
        lambda tar: add_file(tar, "/tmp/evil"),
        lambda tar: add_file(tar, "data/extra"),
        lambda tar: add_file(tar, "elsewhere/one"),
        lambda tar: add_file(tar, "data/one", b"again"),
        lambda tar: add_link(tar, "data/three", "/etc/passwd"),
        lambda tar: add_link(tar, "data/three", "data/one", tarfile.LNKTYPE),
        lambda tar: add_link(tar, "data", "/tmp"),
        lambda tar: add_link(tar, "data/three", "", tarfile.FIFOTYPE),
    ],
    ids=[
        "parent",
        "hidden-parent",
        "absolute",
        "unexpected",
        "other-folder",
        "twice",
        "symlink",
        "hardlink",
        "folder-is-link",
        "fifo",
    ],
)
def test_evil_member_is_refused(site, destination, recorder, tmp_path, add):
    """Whatever does not belong in the archive stops it, and nothing is unpacked."""
    url, digest = site(add)
    with pytest.raises(DataError, match="does not belong"):
        fetch_archive(url, digest, [*FILES, "three"], destination, recorder)
    assert_nothing_left(destination)
    assert list(tmp_path.rglob("evil")) == []


def test_missing_member_is_named(site, destination, recorder):
    """An archive without one of the files is no whole dataset."""
    url, digest = site(files={"one": b"1"})
    with pytest.raises(DataError, match="lacks data/two"):
        fetch_archive(url, digest, FILES, destination, recorder)
    assert_nothing_left(destination)


@pytest.mark.parametrize("damage", ["no-tar", "truncated", "bad-checksum"])
def test_damaged_archive_is_a_data_error(site, destination, recorder, tmp_path, damage):
    """An archive that is no archive is reported as that, not as a full disk."""
    url, _ = site()
    path = tmp_path / "site" / "archive.tar.gz"
    whole = path.read_bytes()
    # Without its end mark the archive is read to the last byte, where the checksum stands.
    unended = gzip.compress(gzip.decompress(whole)[: 512 * 590])
    content = {
        "no-tar": b"<html>moved</html>",
        "truncated": whole[: len(whole) // 2],
        "bad-checksum": unended[:-8] + b"\0\0\0\0" + unended[-4:],
    }[damage]
    path.write_bytes(content)
    with pytest.raises(DataError, match="is damaged"):
        fetch_archive(url, hashlib.sha256(content).hexdigest(), FILES, destination, recorder)
    assert_nothing_left(destination)


def test_not_found_is_one_line(site, destination, recorder):
    """The server's answer is in the message."""
    url, digest = site()
    with pytest.raises(DataError, match="404") as caught:
        fetch_archive(f"{url}.old", digest, FILES, destination, recorder)
    assert "\n" not in str(caught.value)
    assert_nothing_left(destination)


def test_refused_connection_is_one_line(closed_address, destination, recorder):
    """Without a network the message names the address, and no task is left running."""
    with pytest.raises(DataError, match="The download of http://127") as caught:
        fetch_archive(f"{closed_address}/a.tar.gz", "0" * 64, FILES, destination, recorder)
    assert "\n" not in str(caught.value)
    assert recorder.running == 0
    assert_nothing_left(destination)


def test_folder_of_a_faster_process_is_kept(site, destination, recorder):
    """If the folder has appeared meanwhile, it stays as it is."""
    url, digest = site()
    destination.mkdir(parents=True)
    (destination / "theirs").write_bytes(b"t")
    assert fetch_archive(url, digest, FILES, destination, recorder) == destination
    assert [path.name for path in destination.iterdir()] == ["theirs"]
    assert [path.name for path in destination.parent.iterdir()] == ["data"]


def test_unwritable_place_is_a_storage_error(site, tmp_path, recorder):
    """A file where the folder should be made is reported as a place that cannot be written."""
    url, digest = site()
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match="Cannot write"):
        fetch_archive(url, digest, FILES, tmp_path / "file" / "data", recorder)
