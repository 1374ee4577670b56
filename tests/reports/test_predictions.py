"""Predictions as table, JSON and CSV."""

import csv
import io
import json

import pytest

from tlbench.records import ClassifiedImage, ClassifiedImages
from tlbench.reports.predictions import predictions_csv, predictions_document, predictions_table


@pytest.fixture
def found():
    """Two images; the label of the second is not its most probable class."""
    return ClassifiedImages(
        classifier="c.onnx",
        sha256="ab" * 32,
        head="svm-linear",
        provider="cpu",
        classes=("cat", "dog, large", "emu"),
        images=(
            ClassifiedImage(
                image="a.png", label=0, probability=0.75, ranked=((0, 0.75), (2, 0.125))
            ),
            ClassifiedImage(
                image="b,c.png", label=1, probability=0.4375, ranked=((0, 0.5), (1, 0.4375))
            ),
        ),
        unreadable=(("d.png", "Cannot decode d.png: broken."),),
        elapsed_s=0.5,
    )


def test_json_holds_all_of_it(found):
    document = json.loads(predictions_document(found))
    assert document["classifier"]["classes"] == ["cat", "dog, large", "emu"]
    second = document["images"][1]
    assert (second["label"], second["class"], second["probability"]) == (1, "dog, large", 0.4375)
    assert [one["class"] for one in second["ranked"]] == ["cat", "dog, large"]
    assert document["unreadable"] == [{"image": "d.png", "reason": "Cannot decode d.png: broken."}]


def test_csv_is_read_back(found):
    """Commas in names of files and classes."""
    rows = list(csv.DictReader(io.StringIO(predictions_csv(found))))
    assert [row["image"] for row in rows] == ["a.png", "b,c.png"]
    assert [row["class"] for row in rows] == ["cat", "dog, large"]
    assert [float(row["probability_2"]) for row in rows] == [0.125, 0.4375]


def test_one_rank_needs_no_columns_of_its_own(found):
    from dataclasses import replace

    images = tuple(replace(one, ranked=one.ranked[:1]) for one in found.images)
    text = predictions_csv(replace(found, images=images))
    assert text.splitlines()[0] == "image,label,class,probability"


def test_the_table_gives_the_label_first_and_then_the_other_ranks(found):
    assert predictions_table(found).splitlines() == [
        "a.png    cat (75.0 %), emu (12.5 %)",
        "b,c.png  dog, large (43.8 %), cat (50.0 %)",
    ]


def test_a_long_path_is_cut_at_the_front(found):
    """The file's own name says more than the folder it lies in."""
    from dataclasses import replace

    long = replace(found.images[0], image="/".join(["folder"] * 30) + "/cat.png")
    (line,) = predictions_table(replace(found, images=(long,)), width=60).splitlines()
    assert len(line) == 60
    assert line.startswith("…")
    assert "cat.png  cat" in line
