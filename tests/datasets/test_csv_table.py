"""A dataset whose images and labels are the rows of a CSV file."""

import csv
import io
import os
import shutil
import string
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tlbench.core.errors import ConfigError, DataError, UnknownNameError
from tlbench.core.unused import missed
from tlbench.datasets import Columns, DatasetRequest
from tlbench.datasets.csv_table import load


@pytest.fixture
def folder(tmp_path, make_images):
    """Eight images, in two folders."""
    for name in ("ant", "bee"):
        make_images(tmp_path / "photos" / name, 4)
    return tmp_path / "photos"


ROWS = [(f"{name}/{i:02}.png", name) for name in ("ant", "bee") for i in range(4)]


def text_of(rows, header=("path", "label"), **dialect):
    file = io.StringIO()
    csv.writer(file, **dialect).writerows([header, *rows])
    return file.getvalue()


@pytest.fixture
def read(folder, recorder):
    """Return a function that writes a table beside the images, and loads it."""

    def write_and_load(table, name="labels.csv", seed=0, **columns):
        content = table if isinstance(table, bytes) else table.encode()
        (folder / name).write_bytes(content)
        return load(
            DatasetRequest(
                name=f"csv:{name}",
                argument=str(folder / name),
                seed=seed,
                columns=Columns(**columns),
                listener=recorder,
            )
        )

    return write_and_load


def names(dataset):
    return sorted([*dataset.train.names, *dataset.test.names])


def unused(dataset):
    return [str(one) for one in dataset.unused]


def with_splits(split_of):
    """Return the rows with a third column: what *split_of* gives for the image's number."""
    return [(path, label, split_of(int(path[4:6]))) for path, label in ROWS]


def test_rows_without_splits_are_split_by_seed(read, folder):
    """One image in five of each class, as in a folder of classes."""
    dataset = read(text_of(ROWS))
    assert dataset.classes == ("ant", "bee")
    assert np.bincount(dataset.test.labels).tolist() == [1, 1]
    assert names(dataset) == sorted(path for path, _ in ROWS)
    assert dataset.unused == ()
    assert dataset.source == (
        f"columns 'path' and 'label' of {folder / 'labels.csv'}, split: 80/20 by seed 0"
    )
    chosen = {read(text_of(ROWS), seed=seed).test.names for seed in range(6)}
    assert len(chosen) > 1


def test_labels_are_those_of_the_images(read):
    dataset = read(text_of(ROWS))
    for split in (dataset.train, dataset.test):
        for name, label in zip(split.names, split.labels, strict=True):
            assert name.startswith(dataset.classes[label])


@pytest.mark.parametrize("names", [("train", "test"), ("Training", "TESTING ")])
def test_a_split_column_says_which_images_test(read, names, recorder):
    dataset = read(text_of(with_splits(lambda i: names[i == 3]), header=("path", "label", "split")))
    assert dataset.test.names == ("ant/03.png", "bee/03.png")
    assert len(dataset.train) == 6
    assert dataset.source.endswith("split: by column 'split'")
    assert recorder.warnings == []


@pytest.mark.parametrize("name", ["val", "valid", "validation", "dev"])
def test_validation_rows_test_where_there_are_no_test_rows(read, recorder, name):
    dataset = read(
        text_of(with_splits(lambda i: ("train", name)[i == 3]), header=("path", "label", "set"))
    )
    assert dataset.test.names == ("ant/03.png", "bee/03.png")
    assert "validation as test" in dataset.source
    (warning,) = recorder.warnings
    assert "has no test images: its validation images are used for testing" in warning


def test_validation_rows_beside_test_rows_are_counted(read):
    splits = ("train", "train", "val", "test")
    dataset = read(text_of(with_splits(lambda i: splits[i]), header=("path", "label", "split")))
    assert dataset.test.names == ("ant/03.png", "bee/03.png")
    assert unused(dataset) == [
        "2 rows of the split 'val': ant/02.png (line 4), bee/02.png (line 8)"
    ]


def test_training_rows_alone_are_split_by_seed(read, recorder):
    """And the user hears of it, with what was found."""
    dataset = read(text_of(with_splits(lambda _: "train"), header=("path", "label", "split")))
    assert (len(dataset.train), len(dataset.test)) == (6, 2)
    assert dataset.source.endswith("split: the training images, 80/20 by seed 0")
    (warning,) = recorder.warnings
    assert "no test images: the splits in column 'split' are 'train' (8)" in warning


def test_a_column_of_numbered_folds_is_not_one_of_splits(read):
    """Unless it is named: then its values are."""
    table = text_of(with_splits(str), header=("path", "label", "fold"))
    assert read(table).source.endswith("split: 80/20 by seed 0")
    with pytest.raises(DataError, match=r"no training images: .*column 'fold' are '0' \(2\)"):
        read(table, split_column="fold")


@pytest.mark.parametrize(
    "header",
    [
        ("image", "category"),
        ("Filename", "Class"),
        ("image_id", "target"),
        ("id", "breed"),  # of two columns, one known
        ("what", "label"),
        ("File Name", "class-name"),
    ],
    ids=str,
)
def test_columns_with_usual_names_are_found(read, header):
    assert read(text_of(ROWS, header)).classes == ("ant", "bee")


def test_the_path_is_preferred_to_the_id(read):
    rows = [(number, "x", *row) for number, row in enumerate(ROWS)]
    dataset = read(text_of(rows, ("id", "note", "filename", "class")))
    assert "'filename' and 'class'" in dataset.source


def test_columns_may_be_named(read):
    rows = [(label, path, ("train", "test")[path[5] == "3"], "x") for path, label in ROWS]
    dataset = read(
        text_of(rows, ("a", "b", "c", "label")),
        path_column="b",
        label_column="a",
        split_column="c",
    )
    assert dataset.classes == ("ant", "bee")
    assert len(dataset.test) == 2


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ({"label_column": "lable"}, "Unknown label column 'lable'. Did you mean 'label'?"),
        ({"path_column": "PATH"}, "Unknown path column 'PATH'. Did you mean 'path'?"),
        ({"split_column": "zzz"}, "Unknown split column 'zzz'. Known: path, label."),
    ],
    ids=str,
)
def test_a_column_that_is_not_there_is_named(read, column, message):
    with pytest.raises(UnknownNameError) as caught:
        read(text_of(ROWS), **column)
    assert str(caught.value).startswith(message)


def test_one_column_has_one_role():
    with pytest.raises(ConfigError, match="must differ, got 'x' twice"):
        Columns(path_column="x", split_column="x")


@pytest.mark.parametrize(
    ("header", "rows", "said"),
    [
        (("a", "b", "c"), [(1, 2, 3)], "no column that is called as the image usually is; .*'a', "),
        (ROWS[0], ROWS[1:], "no column .*'ant/00.png', 'ant'.*first line with the names path and"),
        (("path", "b", "c"), [(1, 2, 3)], "the class usually is; .*Name one with label_column="),
        (("path", "label", "label"), [(1, 2, 3)], "several columns named 'label'"),
        (("path",), [("x",)], "no column that is called as the class"),
    ],
    ids=str,
)
def test_a_header_without_the_columns_is_shown(read, header, rows, said):
    with pytest.raises(DataError, match=said):
        read(text_of(rows, header))


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"])
def test_delimiters_and_line_ends_are_detected(read, delimiter, newline, start):
    """With or without the mark that Excel writes before UTF-8."""
    text = text_of(ROWS, delimiter=delimiter, lineterminator=newline)
    assert read(start + text.encode()).classes == ("ant", "bee")


def test_quotes_newlines_and_delimiters_belong_to_fields(read, folder):
    odd = 'an "odd", name;\nin two lines'
    (folder / "ant" / "00.png").rename(folder / "ant" / odd)
    rows = [(f"ant/{odd}", "an, ant"), *((path, label) for path, label in ROWS[1:])]
    rows = [(path, "an, ant" if path.startswith("ant") else label) for path, label in rows]
    dataset = read(text_of(rows))
    assert dataset.classes == ("an, ant", "bee")
    assert f"ant/{odd}" in names(dataset)


def test_blank_lines_and_spaces_around_labels_change_nothing(read):
    spaced = text_of(ROWS).replace(",ant", ",  ant ").replace("\r\n", "\r\n\r\n")
    assert read(spaced).fingerprint == read(text_of(ROWS)).fingerprint


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        ({"ant": "10", "bee": "9"}, ("9", "10")),  # whole numbers in their order
        ({"ant": "-1", "bee": "1"}, ("-1", "1")),
        ({"ant": "10", "bee": "09"}, ("09", "10")),  # text
        ({"ant": "1.0", "bee": "0.0"}, ("0.0", "1.0")),
        ({"ant": "b", "bee": "10"}, ("10", "b")),
        ({"ant": "fourmi", "bee": "Bienenkönigin 🐝"}, ("Bienenkönigin 🐝", "fourmi")),
    ],
    ids=str,
)
def test_labels_are_text_or_whole_numbers(read, labels, classes):
    dataset = read(text_of([(path, labels[label]) for path, label in ROWS]))
    assert dataset.classes == classes
    for name, label in zip(dataset.train.names, dataset.train.labels, strict=True):
        assert classes[label] == labels[name[:3]]


@pytest.mark.parametrize("place", ["train", "images", "train_images"])
@pytest.mark.parametrize("suffix", ["", ".png"])
def test_the_kaggle_shape(read, folder, make_images, place, suffix):
    """Ids without suffix, and the images of ``train.csv`` in a folder beside it."""
    make_images(folder / place, 6)
    make_images(folder / "test_images", 9)
    rows = [(f"{i:02}{suffix}", "ab"[i % 2]) for i in range(6)]
    table = text_of(rows, ("id", "breed"))
    name = "train.csv"
    if place == "images":
        shutil.rmtree(folder / "test_images")
        name = "labels.csv"
    shutil.rmtree(folder / "ant")
    shutil.rmtree(folder / "bee")
    dataset = read(table, name)
    assert names(dataset) == [f"{i:02}.png" for i in range(6)]
    assert f"images in {folder / place}" in dataset.source
    assert dataset.unused == ()


def test_images_in_several_folders_are_not_guessed(read, folder):
    with pytest.raises(DataError, match=r"are in several folders: ant, bee\. Write each path"):
        read(text_of([(f"{i:02}", "ab"[i % 2]) for i in range(4)], ("id", "label")))


def test_a_name_that_several_files_have_is_counted(read, folder):
    shutil.copy(folder / "ant" / "00.png", folder / "ant" / "00.jpg")
    dataset = read(text_of([(path.removesuffix(".png"), label) for path, label in ROWS]))
    assert "1 row whose name several files have, but for the suffix: ant/00 (line 2)" in unused(
        dataset
    )


def test_paths_may_be_absolute_and_leave_the_folder(read, folder, tmp_path):
    """The file is the user's own. A name tells where the image is."""
    shutil.move(folder / "bee", tmp_path / "bee")
    rows = [(f"../{path}" if label == "bee" else path, label) for path, label in ROWS]
    rows[0] = (str(folder / rows[0][0]), "ant")
    rows[-1] = (str(tmp_path / "bee" / "03.png"), "bee")
    dataset = read(text_of(rows))
    assert "../bee/00.png" in names(dataset)
    assert str(tmp_path / "bee" / "03.png") in names(dataset)
    assert "ant/00.png" in names(dataset)
    assert dataset.unused == ()


def test_windows_paths_are_read(read):
    rows = [(path.replace("/", "\\"), label) for path, label in ROWS]
    assert names(read(text_of(rows))) == sorted(path for path, _ in ROWS)


def test_a_moved_dataset_is_the_same(read, folder, tmp_path):
    before = read(text_of(ROWS)).fingerprint
    shutil.copytree(folder, tmp_path / "moved")
    moved = load(DatasetRequest(name="csv", argument=str(tmp_path / "moved" / "labels.csv")))
    assert moved.fingerprint == before


@pytest.mark.parametrize("change", ["content", "name", "label", "order"])
def test_the_fingerprint_follows_the_data(read, folder, change):
    rows = with_splits(lambda i: ("train", "test")[i == 3])
    header = ("path", "label", "split")
    before = read(text_of(rows, header))
    if change == "content":
        shutil.copy(folder / "bee" / "01.png", folder / "ant" / "00.png")
    elif change == "name":
        (folder / "ant" / "00.png").rename(folder / "ant" / "other.png")
        rows[0] = ("ant/other.png", *rows[0][1:])
    elif change == "label":
        rows[0] = ("ant/00.png", "bee", "train")
    else:
        rows[0], rows[1] = rows[1], rows[0]
    after = read(text_of(rows, header))
    assert after.train.fingerprint != before.train.fingerprint
    assert after.test.fingerprint == before.test.fingerprint
    same_images = change in {"name", "label"}
    assert (after.train.images_fingerprint == before.train.images_fingerprint) is same_images


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("ant/gone.png,ant", "1 row whose file does not exist: ant/gone.png (line 10)"),
        ("gone/gone.png,ant", "1 row whose file does not exist: gone/gone.png (line 10)"),
        ("ant,ant", "1 row whose path is a folder: ant (line 10)"),
        (",ant", "1 row without a path: line 10"),
        ("ant/00.png,", "1 row without a label: ant/00.png (line 10)"),
        ("ant/00.png", "1 row with fewer fields than the header: line 10"),
        ("ant/00.png,ant,ant", "1 row with more fields than the header: line 10"),
        ("https://a.b/c.jpg,ant", "1 row with a web address: https://a.b/c.jpg (line 10)"),
        ("ant/empty.jpg,ant", "1 empty file: ant/empty.jpg (line 10)"),
        ("ant/x.psd,ant", "1 .psd file (format not supported): ant/x.psd (line 10)"),
        ("ant/page.jpg,ant", "1 web page: ant/page.jpg (line 10)"),
        ("ant/pipe,ant", "1 row whose path is a pipe or device: ant/pipe (line 10)"),
        (f"{'x' * 5000},ant", f"1 row whose file does not exist: {'x' * 5000} (line 10)"),
        ("a\0b,ant", "1 row whose file does not exist: a\0b (line 10)"),
        ("ant/00.png,ant", "1 repeated row: ant/00.png (line 10)"),
        ("./bee/../ant/00.png,ant", "1 repeated row: ./bee/../ant/00.png (line 10)"),
    ],
    ids=lambda value: value[:30],
)
def test_a_row_that_is_not_used_is_counted(read, folder, row, reason):
    (folder / "ant" / "empty.jpg").write_bytes(b"")
    (folder / "ant" / "x.psd").write_bytes(b"8BPS")
    (folder / "ant" / "page.jpg").write_bytes(b"<!DOCTYPE html>")
    os.mkfifo(folder / "ant" / "pipe")
    dataset = read(text_of(ROWS) + row + "\r\n")
    found = [one for one in unused(dataset) if "no row" not in one]
    assert found == [reason]
    assert len(dataset.train) + len(dataset.test) == 8
    assert missed([one for one in dataset.unused if str(one) == reason]) is (
        "repeated" not in reason
    )


def test_an_image_of_a_row_without_a_label_is_named(read):
    dataset = read(text_of([*ROWS[1:], ("ant/00.png", " ")]))
    assert unused(dataset) == ["1 row without a label: ant/00.png (line 9)"]


def test_images_that_no_row_names_are_counted(read, folder, make_images):
    """In the folders of the images; strictness is about rows."""
    make_images(folder / "wasp", 3)
    dataset = read(text_of(ROWS[1:]))
    assert unused(dataset) == ["1 image that no row of the table names: ant/00.png"]
    assert not missed(dataset.unused)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (("ant/00.png", "bee", "train"), r"has the labels 'ant' \(line 2\) and 'bee' \(line 10\)"),
        (("ant/00", "ant", "test"), r"has the splits 'train' \(line 2\) and 'test' \(line 10\)"),
    ],
    ids=str,
)
def test_rows_that_contradict_each_other_are_named(read, row, said):
    rows = with_splits(lambda i: ("train", "test")[i == 3])
    with pytest.raises(DataError, match=rf"{said}.* earlier one: 1\."):
        read(text_of([*rows, row], ("path", "label", "split")))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (b"\xef\xbb\xbf", "is empty"),
        (b"path,label\n", "has no rows below its header"),
        (b"path,label\n,\n", "no rows that can be used. Not used: 1 row without a path: line 2"),
        (b"path,label\nx,\xe9t\xe9\n", "is not UTF-8 text: it has the byte 0xe9 after line"),
        ("path,label\n".encode("utf-16"), "is UTF-16 text. Save it as UTF-8"),
        (b'path,label\n"ant/00.png,ant\n', "line 2: unexpected end of data. Check the quotation"),
        (b'path,label\n"a"b,ant\n', "line 2: ',' expected after '\"'"),
        (b"path,label\nx,a\n", "names no image that can be used. Not used: 1 row whose file does"),
        (b"path,label\n" + b"y" * 200_000 + b",a\n", "field larger than field limit"),
    ],
    ids=lambda value: repr(value[:40]),
)
def test_a_file_that_cannot_be_read_is_refused(read, content, said):
    with pytest.raises(DataError) as caught:
        read(content)
    assert said in str(caught.value)
    assert "labels.csv" in str(caught.value)


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        (None, "'csv' needs a file: write csv:FILE.csv"),
        ("", "'csv' needs a file"),
        ("absent.csv", r"absent.csv does not exist \(looked in "),
        ("photos", r"photos is a folder, not a CSV file\. Name one of its files: a\.csv, b\.csv"),
        ("photos/ant", r"It has no \.csv file"),
    ],
    ids=str,
)
def test_an_argument_that_is_no_file_is_refused(folder, monkeypatch, argument, said):
    for name in ("b.csv", "a.csv"):
        (folder / name).touch()
    monkeypatch.chdir(folder.parent)
    with pytest.raises(DataError, match=said):
        load(DatasetRequest(name="csv", argument=argument))


def test_a_class_with_a_single_image_is_named(read):
    """One image cannot train and test."""
    with pytest.raises(DataError, match=r"The class 'wasp' has a single image in .*labels\.csv"):
        read(text_of([*ROWS[:-1], (ROWS[-1][0], "wasp")]))


def test_a_column_that_differs_in_each_row_is_not_one_of_labels(read):
    with pytest.raises(
        DataError, match=r"8 of 8 classes \('ant/00', .*, \.\.\.\) have a single .*"
    ):
        read(text_of([(path, path.removesuffix(".png")) for path, _ in ROWS]))


def test_a_class_that_is_missing_in_a_split_is_named(read, recorder):
    """In train nothing can learn it; in test it is only not measured."""
    rows = with_splits(lambda i: ("train", "test")[i == 3])
    header = ("path", "label", "split")
    without = [row for row in rows if row[1:] != ("bee", "train")]
    with pytest.raises(DataError, match=r"test images of classes without a training image: 'bee'"):
        read(text_of(without, header))
    read(text_of([row for row in rows if row[1:] != ("bee", "test")], header))
    (warning,) = recorder.warnings
    assert warning.endswith("labels.csv has no test images of 'bee'.")


def test_rows_of_a_split_whose_files_are_all_missing_are_named(read, folder):
    rows = with_splits(lambda i: ("train", "test")[i == 3])
    for name in ("ant", "bee"):
        (folder / name / "03.png").unlink()
    with pytest.raises(DataError, match="no test image that can be used. Not used: 2 rows whose"):
        read(text_of(rows, ("path", "label", "split")))


FIELDS = st.text(
    st.characters(blacklist_categories=("Cs", "Cc")) | st.sampled_from("\n\"',;|\t"), min_size=1
)
LABELS = FIELDS.map(str.strip).filter(bool)
NAMES = st.text(string.ascii_letters + string.digits + " ,;'\"|\n-_=éß", min_size=1, max_size=20)


@settings(max_examples=60)
@given(
    labels=st.dictionaries(NAMES.filter(lambda one: one.strip(" ") == one), LABELS, min_size=1),
    delimiter=st.sampled_from([",", ";", "\t", "|"]),
    newline=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)
def test_what_is_written_is_what_is_read(labels, delimiter, newline, quoting):
    """Whatever characters names and labels have, each image has its label."""
    with tempfile.TemporaryDirectory() as place:
        rows = []
        for number, (name, label) in enumerate(labels.items()):
            for copy in "ab":
                path = Path(place, f"{name}{copy}.png")
                path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes([number % 256]) + copy.encode())
                rows.append((path.name, label, {"a": "train", "b": "test"}[copy]))
        text = text_of(
            rows,
            ("path", "label", "split"),
            delimiter=delimiter,
            lineterminator=newline,
            quoting=quoting,
        )
        table = Path(place, "labels.csv")
        table.write_bytes(text.encode())
        dataset = load(DatasetRequest(name="csv", argument=str(table)))
    found = {
        name: dataset.classes[label]
        for split in (dataset.train, dataset.test)
        for name, label in zip(split.names, split.labels, strict=True)
    }
    assert found == {path: label for path, label, _ in rows}
    assert dataset.unused == ()
