"""Files of a folder that are not used: each is counted under a reason, or named in an error."""

import os
import shutil

import pytest

from tlbench.core.errors import DataError
from tlbench.core.unused import UnusedFiles, missed
from tlbench.datasets import DatasetRequest, formats
from tlbench.datasets.folder import load

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
HEIC = b"\0\0\0\x1cftypheic\0\0\0\0mif1heicmiaf"


@pytest.fixture(autouse=True)
def no_heif(monkeypatch):
    """Act as if pillow-heif were not installed."""
    monkeypatch.setattr(formats, "_reads_heif", lambda: False)


@pytest.fixture
def root(tmp_path, make_images):
    for name in ("ant", "cat"):
        make_images(tmp_path / "photos" / name, 4)
    return tmp_path / "photos"


@pytest.fixture
def unused_of(recorder):
    """Return a function that loads a folder and gives what is not used, as text."""

    def load_folder(folder):
        dataset = read(folder, recorder)
        n_files = sum(len(names) for _, _, names in os.walk(folder))
        n_used = len(dataset.train) + len(dataset.test)
        # A link to a folder is none of the files that walking finds.
        n_folders = sum(one.count for one in dataset.unused if "folder that is" in one.reason)
        assert n_used + sum(one.count for one in dataset.unused) - n_folders == n_files
        return [str(one) for one in dataset.unused]

    return load_folder


def read(folder, recorder):
    return load(DatasetRequest(name="folder", argument=str(folder), listener=recorder))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("ant/x.jpg", b"", "1 empty file: ant/x.jpg"),
        ("ant/x", b"", "1 empty file: ant/x"),
        ("ant/x.heic", HEIC, "1 .heic file (install pillow-heif): ant/x.heic"),
        ("ant/IMG.HEIF", HEIC, "1 .heif file (install pillow-heif): ant/IMG.HEIF"),
        ("ant/x.jpg", HEIC, "1 HEIC image (install pillow-heif): ant/x.jpg"),
        ("ant/x.psd", b"8BPS", "1 .psd file (format not supported): ant/x.psd"),
        ("ant/x.NEF", b"II*\0", "1 .nef file (format not supported): ant/x.NEF"),
        ("ant/x.png", POINTER, "1 Git LFS pointer file (run: git lfs pull): ant/x.png"),
        ("ant/x.png", b"<!DOCTYPE html>", "1 web page: ant/x.png"),
        ("ant/x.txt", b"text", "1 file without an image: ant/x.txt"),
        ("ant/x.bmp.txt", b"BMW and Audi, two makers", "1 file without an image: ant/x.bmp.txt"),
        ("README.md", b"text", "1 file without an image: README.md"),
        (".DS_Store", b"x", "1 hidden file: .DS_Store"),
        ("ant/._x.jpg", b"x", "1 hidden file: ant/._x.jpg"),
        ("ant/Thumbs.db", b"x", "1 hidden file: ant/Thumbs.db"),
        ("__MACOSX/ant/x.jpg", b"x", "1 hidden file: __MACOSX/ant/x.jpg"),
        ("ant/.git/objects/x", b"x", "1 hidden file: ant/.git/objects/x"),
    ],
)
def test_the_reason_is_said(root, unused_of, name, content, said):
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_bytes(content)
    assert unused_of(root) == [said]


def test_a_damaged_heic_photo_is_an_image_where_heic_is_read(root, recorder, monkeypatch):
    """Its decoding says what is wrong, and strictness does not pass over it."""
    monkeypatch.setattr(formats, "_reads_heif", lambda: True)
    monkeypatch.setattr("tlbench.datasets.folder.decoder_versions", list)
    (root / "ant" / "x.HEIC").write_bytes(b"torn")
    dataset = read(root, recorder)
    assert "ant/x.HEIC" in {*dataset.train.names, *dataset.test.names}
    assert dataset.unused == ()


@pytest.mark.parametrize("target", ["absent.png", "link.png", "../gone/x.png"])
def test_a_link_that_leads_nowhere_is_counted(root, unused_of, target):
    """To nothing, to itself, or into a folder that does not exist."""
    (root / "ant" / "link.png").symlink_to(target)
    assert unused_of(root) == ["1 broken link: ant/link.png"]


def test_a_pipe_is_counted_and_not_opened(root, unused_of):
    os.mkfifo(root / "ant" / "x.png")
    os.mkfifo(root / "ant" / "y")
    assert unused_of(root) == ["2 special files (pipe, socket or device): ant/x.png, ant/y"]


def test_a_link_to_a_file_is_an_image(root, recorder):
    """Its own name counts."""
    (root / "ant" / "zz.png").symlink_to("../cat/00.png")
    dataset = read(root, recorder)
    assert (len(dataset.train) + len(dataset.test), dataset.unused) == (9, ())


@pytest.mark.parametrize("target", [".", "..", "inner"])
def test_links_to_folders_never_go_round_in_circles(root, make_images, unused_of, target):
    """To the class itself, to the root, and to a folder of the class, which is read once."""
    make_images(root / "ant" / "inner", 1)
    (root / "ant" / "a_link").symlink_to(target, target_is_directory=True)
    assert unused_of(root) == ["1 link to a folder that is read already: ant/a_link"]


def test_classes_that_link_to_each_other_end(root, recorder):
    (root / "ant" / "other").symlink_to("../cat", target_is_directory=True)
    (root / "cat" / "other").symlink_to("../ant", target_is_directory=True)
    dataset = read(root, recorder)
    assert len(dataset.train) + len(dataset.test) == 16
    assert [str(one) for one in dataset.unused] == [
        "2 links to a folder that is read already: ant/other/other, cat/other/other"
    ]


def test_images_beside_the_class_folders_are_counted(root, make_images, unused_of):
    make_images(root, 2)
    assert unused_of(root) == ["2 images outside the class folders: 00.png, 01.png"]


def test_images_beside_train_and_test_are_counted(tmp_path, make_images, unused_of):
    for half in ("train", "test"):
        for name in ("ant", "cat"):
            make_images(tmp_path / "p" / half / name, 2)
        make_images(tmp_path / "p" / half, 1)
    make_images(tmp_path / "p" / "val" / "ant", 2)
    assert unused_of(tmp_path / "p") == [
        "4 images outside the class folders: train/00.png, test/00.png, val/ant/00.png, ..."
    ]


def test_names_that_are_not_utf8_are_used(root, recorder):
    name = os.fsdecode(b"caf\xe9.png")
    (root / "ant" / "00.png").rename(root / "ant" / name)
    dataset = read(root, recorder)
    assert f"ant/{name}" in {*dataset.train.names, *dataset.test.names}
    assert dataset.unused == ()


def test_no_image_is_opened_to_list_it(root, monkeypatch):
    """A hundred thousand files are listed by their names."""
    from pathlib import Path

    from tlbench.datasets import ImageFinder

    monkeypatch.setattr(Path, "open", lambda *_: pytest.fail("a file was opened"))
    assert len(ImageFinder(root).below(root)) == 8


@pytest.mark.parametrize(
    ("content", "names", "said"),
    [
        (
            HEIC,
            ("ant", "cat"),
            r"No images of a class .*8 \.heic files \(install pillow-heif\): ant/00",
        ),
        (b"", ("ant", "cat"), "No images of a class .*8 empty files"),
        (HEIC, ("cat",), r"Class 'cat' .* has 0 images: .*4 \.heic files"),
    ],
)
def test_errors_say_what_was_found(root, recorder, content, names, said):
    for name in names:
        for path in (root / name).iterdir():
            path.write_bytes(content)
            path.rename(path.with_suffix(".heic" if content else ".jpg"))
    with pytest.raises(DataError, match=said):
        read(root, recorder)


def test_images_without_classes_are_counted_in_the_error(tmp_path, make_images, recorder):
    make_images(tmp_path / "flat", 8)
    with pytest.raises(DataError, match="no class folders, and 8 images outside the class folders"):
        read(tmp_path / "flat", recorder)


@pytest.mark.parametrize(
    ("places", "said"),
    [
        (
            ["photos"],
            r"All images lie one level deeper, in photos: .*folders ant, cat are .*folder:",
        ),
        (["all/photos"], "All images lie 2 levels deeper, in all/photos"),
        (["Testing", "Training"], "Testing, Training in .* look like splits, not classes"),
        (
            ["train/x", "test/x"],
            "All images lie one level deeper, in x: no other folder in .*train",
        ),
    ],
    ids=str,
)
def test_classes_that_lie_deeper_are_named(root, tmp_path, recorder, places, said):
    for place in places:
        shutil.copytree(root, tmp_path / "outer" / place)
    (tmp_path / "outer" / places[0]).with_name("empty").mkdir()
    with pytest.raises(DataError, match=said):
        read(tmp_path / "outer", recorder)


@pytest.mark.parametrize(
    ("reason", "count", "text"),
    [
        ("empty file", 1, "1 empty file: a"),
        ("empty file", 1234, "1,234 empty files: a, ..."),
        ("broken link", 2, "2 broken links: a, ..."),
        ("file without an image", 2, "2 files without an image: a, ..."),
    ],
)
def test_a_count_is_in_words(reason, count, text):
    assert str(UnusedFiles(reason=reason, count=count, examples=("a",))) == text


def test_only_hidden_and_other_files_are_not_missed():
    def one(reason):
        return [UnusedFiles(reason=reason, count=1, examples=())]

    assert not missed([*one("hidden file"), *one("file without an image")])
    assert missed([*one("hidden file"), *one("empty file")])
