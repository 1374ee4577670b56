"""`predict_images`: which files, in which order, with which answers."""

import os

import numpy as np
import pytest
from PIL import Image

from tlbench.core.errors import ConfigError, DataError, ModelError, UnreadableImageError
from tlbench.datasets import formats
from tlbench.workflows import RunConfig, find_images, fuse_run, predict, predict_images


@pytest.fixture
def classifier(measure, tmp_path):
    return fuse_run(str(measure()), head="softmax", destination=tmp_path / "c.onnx")


@pytest.fixture
def photos(tmp_path, digits_images):
    """Twenty digits as PNG files, every third one doubled in size; and their folder."""
    folder = tmp_path / "photos"
    (folder / "sub").mkdir(parents=True)
    for number, pixels in enumerate(digits_images[:20]):
        large = pixels.repeat(2, axis=0).repeat(2, axis=1) if number % 3 == 0 else pixels
        place = folder / "sub" if number >= 15 else folder
        Image.fromarray(large).save(place / f"{number:02}.png")
    return folder


def arrays(paths):
    return [np.asarray(Image.open(path)) for path in paths]


def test_answers_are_those_of_the_file_in_the_order_given(classifier, photos, ask):
    """Images of two sizes, several batches: each keeps its own answer."""
    files = find_images([str(photos)])
    found = predict_images(classifier.path, files, config=RunConfig(batch_size=8), top_k=3)
    assert [one.image for one in found.images] == [str(path) for path in files.paths]
    for one, pixels in zip(found.images, arrays(files.paths), strict=True):
        (label,), (probabilities,) = ask(classifier, pixels[np.newaxis])
        assert one.label == label
        # float32 rounding: another batch size, another kernel
        assert one.probability == pytest.approx(probabilities[label], abs=1e-6)
        assert [i for i, _ in one.ranked] == np.argsort(-probabilities)[:3].tolist()
    assert (found.head, found.classes) == ("softmax", tuple("0123456789"))


def test_more_ranks_than_classes_are_all_classes(classifier, photos):
    files = find_images([str(photos / "01.png")])
    (one,) = predict_images(classifier.path, files, config=RunConfig(), top_k=99).images
    assert sorted(i for i, _ in one.ranked) == list(range(10))


def test_an_unreadable_file_is_left_out_and_named(classifier, photos):
    (photos / "07.png").write_bytes(b"no image")
    files = find_images([str(photos)])
    found = predict_images(classifier.path, files, config=RunConfig())
    assert len(found.images) == 19
    ((image, reason),) = found.unreadable
    assert image == str(photos / "07.png")
    assert "Cannot decode" in reason


@pytest.fixture
def spoilt(photos):
    """Of the twenty, two are damaged and one is gone; three further files are no images."""
    for number in ("07", "sub/16"):
        (photos / f"{number}.png").write_bytes(b"no image")
    (photos / "03.png").unlink()
    (photos / "03.png").symlink_to("absent.png")
    (photos / "sub" / "README").write_text("about")
    (photos / "sub" / "empty.bin").write_bytes(b"")
    (photos / ".DS_Store").write_bytes(b"x")
    return photos


def counted(unused):
    return {one.reason: one.count for one in unused}


def test_files_left_out_of_a_folder_are_counted_by_reason(classifier, spoilt):
    found = predict_images(classifier.path, find_images([str(spoilt)]), config=RunConfig())
    assert (len(found.images), len(found.unreadable)) == (17, 2)
    assert counted(found.unused) == {
        "broken link": 1,
        "empty file": 1,
        "file without an image": 1,
        "hidden file": 1,
    }


def test_counts_of_several_folders_are_added(spoilt):
    found = find_images([str(spoilt), str(spoilt / "sub")])
    (empty,) = [one for one in found.unused if one.reason == "empty file"]
    names = (str(spoilt / "sub" / "empty.bin"),) * 2
    assert (empty.count, empty.examples) == (2, names)


def test_strict_accounts_for_every_file(classifier, spoilt):
    with pytest.raises(UnreadableImageError) as caught:
        predict_images(classifier.path, find_images([str(spoilt)]), config=RunConfig(strict=True))
    for part in (
        f"2 images that cannot be decoded: {spoilt / '07.png'}, {spoilt / 'sub' / '16.png'}",
        f"1 broken link: {spoilt / '03.png'}",
        "1 empty file",
        "1 hidden file",
        "1 file without an image",
    ):
        assert part in str(caught.value)


def test_strict_does_not_mind_what_no_one_takes_for_an_image(classifier, photos):
    (photos / "README").write_text("about")
    (photos / ".DS_Store").write_bytes(b"x")
    files = find_images([str(photos)])
    assert len(predict_images(classifier.path, files, config=RunConfig(strict=True)).images) == 20


def test_the_time_is_that_from_the_first_file_on(classifier, photos, monkeypatch):
    """Opening a session, which may take seconds, is not a part of it."""
    now = [0.0]
    original = predict.open_session

    def slow(*arguments, **options):
        now[0] += 1000.0
        return original(*arguments, **options)

    monkeypatch.setattr(predict, "open_session", slow)
    monkeypatch.setattr("time.perf_counter", lambda: now[0])
    files = find_images([str(photos)])
    assert predict_images(classifier.path, files, config=RunConfig()).elapsed_s == 0
    assert now[0] == 1000.0


def test_no_readable_file_is_an_error(classifier, tmp_path):
    (tmp_path / "a.png").write_bytes(b"no image")
    with pytest.raises(DataError, match="None of the 1 images can be decoded"):
        predict_images(classifier.path, [tmp_path / "a.png"], config=RunConfig())


def test_a_backbone_is_no_classifier(tiny_path, photos):
    with pytest.raises(ModelError, match="not a classifier but a tiny backbone.*tlbench fuse"):
        predict_images(tiny_path, find_images([str(photos)]), config=RunConfig())


def test_top_k_is_one_or_more(classifier, photos):
    with pytest.raises(ConfigError, match="top_k must be at least 1"):
        predict_images(classifier.path, find_images([str(photos)]), config=RunConfig(), top_k=0)


def test_a_folder_means_its_images_and_those_below(photos):
    (photos / "notes.txt").write_text("no image")
    (photos / ".hidden.png").write_bytes(b"")
    (photos / ".cache").mkdir()
    (photos / ".cache" / "thumb.png").write_bytes(b"")
    names = [path.relative_to(photos).as_posix() for path in find_images([str(photos)]).paths]
    assert names == [*(f"{i:02}.png" for i in range(15)), *(f"sub/{i}.png" for i in range(15, 20))]


def test_a_list_names_files_and_folders(photos):
    """Line ends of both kinds, empty lines, and names with spaces."""
    spaced = photos / "a b.png"
    (photos / "00.png").rename(spaced)
    lines = [f"{spaced}\n", "\n", f"{photos / 'sub'}\r\n"]
    assert len(find_images(["-"], lines).paths) == 6
    found = find_images([str(photos / "01.png"), "-"], lines)
    assert found.paths[:2] == (photos / "01.png", spaced)


def test_a_file_is_taken_whatever_its_suffix(photos):
    (photos / "01.png").rename(photos / "scan")
    assert find_images([str(photos / "scan")]).paths == (photos / "scan",)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["absent.png"], "no file or folder absent.png"),
        (["-"], "list on standard input is empty"),
        (["{empty}"], "No images in the folder .*: it is empty"),
        (["{other}"], r"No images in the folder .*: only 2 \.heic files \(install pillow-heif\)"),
    ],
    ids=str,
)
def test_names_that_mean_nothing_are_errors(names, said, tmp_path, monkeypatch):
    monkeypatch.setattr(formats, "_reads_heif", lambda: False)
    folders = {name: tmp_path / name for name in ("empty", "other")}
    for folder in folders.values():
        folder.mkdir()
    for number in range(2):
        (folders["other"] / f"{number}.heic").write_bytes(b"photo")
    with pytest.raises(DataError, match=said):
        find_images([name.format(**folders) for name in names])


@pytest.mark.skipif(os.name == "nt", reason="file names are no bytes there")
def test_a_name_that_is_no_utf8_can_be_shown(classifier, photos):
    (photos / "01.png").rename(photos / os.fsdecode(b"caf\xe9.png"))
    files = find_images([str(photos)])
    found = predict_images(classifier.path, files, config=RunConfig())
    assert any(one.image.endswith(r"caf\udce9.png") for one in found.images)


def test_probabilities_that_are_no_numbers_are_an_error(classifier, photos, monkeypatch):
    """A file of lower precision may overflow for an image unlike those it was verified on."""
    answer = predict.classify_images

    def overflow(*arguments, **options):
        found = answer(*arguments, **options)
        found.probabilities[2] = np.nan
        return found

    monkeypatch.setattr(predict, "classify_images", overflow)
    files = find_images([str(photos)])
    with pytest.raises(ModelError, match=r"1 of 20 images .* the first is \S+02\.png"):
        predict_images(classifier.path, files, config=RunConfig())
