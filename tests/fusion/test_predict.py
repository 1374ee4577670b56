"""`predict_images`: which files, in which order, with which answers."""

import os

import numpy as np
import pytest
from PIL import Image

from tlbench.core.errors import ConfigError, DataError, ModelError, UnreadableImageError
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
    assert [one.image for one in found.images] == [str(path) for path in files]
    for one, pixels in zip(found.images, arrays(files), strict=True):
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


def test_strict_stops_at_an_unreadable_file(classifier, photos):
    (photos / "07.png").write_bytes(b"no image")
    with pytest.raises(UnreadableImageError, match="07.png"):
        predict_images(classifier.path, find_images([str(photos)]), config=RunConfig(strict=True))


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
    names = [path.relative_to(photos).as_posix() for path in find_images([str(photos)])]
    assert names == [*(f"{i:02}.png" for i in range(15)), *(f"sub/{i}.png" for i in range(15, 20))]


def test_a_list_names_files_and_folders(photos):
    """Line ends of both kinds, empty lines, and names with spaces."""
    spaced = photos / "a b.png"
    (photos / "00.png").rename(spaced)
    lines = [f"{spaced}\n", "\n", f"{photos / 'sub'}\r\n"]
    assert len(find_images(["-"], lines)) == 6
    assert find_images([str(photos / "01.png"), "-"], lines)[:2] == (photos / "01.png", spaced)


def test_a_file_is_taken_whatever_its_suffix(photos):
    (photos / "01.png").rename(photos / "scan")
    assert find_images([str(photos / "scan")]) == (photos / "scan",)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["absent.png"], "no file or folder absent.png"),
        (["-"], "list on standard input is empty"),
        (["{empty}"], r"No images \(.jpeg, .jpg, .png, .webp\) in the folder"),
    ],
    ids=str,
)
def test_names_that_mean_nothing_are_errors(names, said, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=said):
        find_images([name.format(empty=tmp_path / "empty") for name in names])


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
