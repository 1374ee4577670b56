"""``images.json`` and ``thumbnails.webp`` beside a run."""

import dataclasses
import json

import pytest

from tlbench.core.errors import ResultError
from tlbench.records import CodeMap, Confidence, ImagesDocument, RunImages, read_images

DOCUMENT = ImagesDocument(
    rows=(0, 2),
    n_test=3,
    names=("a.png", "caf\udce9.png"),
    tile_px=8,
    n_columns=2,
    confidence={"backbone.softmax": Confidence(kind="probability", values=(0.5, 0.75))},
    code_map=CodeMap(
        method="PCA",
        points=((0.0, 1.0), (-1.0, 0.5)),
        seed=0,
        n_features=4,
        n_components=2,
        recall_fraction=None,
        trustworthiness=None,
        n_neighbours=15,
        n_judged=0,
    ),
)


def _write(folder, document=DOCUMENT, **changes):
    images = RunImages(document=document, sheet=b"sheet")
    for name, content in images.files.items():
        (folder / name).write_bytes(content)
    if changes:
        path = folder / "images.json"
        found = json.loads(path.read_bytes()) | changes
        path.write_text(json.dumps(found), encoding="utf-8")


def test_a_document_comes_back_as_it_was(tmp_path):
    """Bytes of a name that are not UTF-8 are written out."""
    _write(tmp_path)
    expected = dataclasses.replace(DOCUMENT, names=("a.png", "caf\\udce9.png"))
    assert read_images(tmp_path) == RunImages(document=expected, sheet=b"sheet")


def test_an_older_run_has_none(tmp_path):
    assert read_images(tmp_path) is None
    _write(tmp_path)
    (tmp_path / "thumbnails.webp").unlink()
    assert read_images(tmp_path) is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema_version": 2}, "schema version 2"),
        ({"rows": [0]}, "values for confidence backbone.softmax, names, map do not fit 1 images"),
        ({"rows": [0, 3]}, "do not fit 2 images of 3"),
        ({"rows": [-1, 0]}, "do not fit"),
        ({"tile_px": 0}, "sheet of thumbnails"),
        ({"n_columns": 0}, "sheet of thumbnails"),
        ({"names": ["a"]}, "values for names do not fit"),
        ({"names": 5}, "is not a document of a run's test images"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_damaged_document_is_refused(tmp_path, changes, message):
    """The message says what is wrong, and to measure again."""
    _write(tmp_path, **changes)
    with pytest.raises(ResultError, match=message):
        read_images(tmp_path)


def test_an_unreadable_document_is_an_error(tmp_path):
    """It is not a run without images."""
    (tmp_path / "images.json").mkdir()
    with pytest.raises(ResultError, match="cannot be read"):
        read_images(tmp_path)


def test_a_new_map_replaces_the_document(tmp_path):
    _write(tmp_path)
    images = read_images(tmp_path)
    images.with_map(dataclasses.replace(DOCUMENT.code_map, method="t-SNE")).save(tmp_path)
    assert read_images(tmp_path).document.code_map.method == "t-SNE"
