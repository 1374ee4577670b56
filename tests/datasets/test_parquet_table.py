"""A dataset whose images and labels are the rows of Parquet files."""

import io
import json
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pyarrow import parquet

from tlbench.core.errors import (
    DataError,
    MissingDependencyError,
    UnknownNameError,
    UnreadableImageError,
)
from tlbench.datasets import Columns, DatasetRequest, row_groups
from tlbench.datasets.parquet_table import load
from tlbench.datasets.row_groups import ImageRows, Shard

NAMES = ["ant", "bee"]


def png(seed, size=(4, 5)):
    """Return the bytes of an image, and its pixels."""
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "png")
    return file.getvalue(), pixels


def metadata_of(names=NAMES, label="label"):
    """Return what Hugging Face's library writes into a file's schema."""
    features = {
        "image": {"_type": "Image"},
        label: {"names": names, "_type": "ClassLabel"},
    }
    return {"huggingface": json.dumps({"info": {"features": features}})}


def table_of(seeds, labels=None, *, names=NAMES, label="label", **further):
    """Return a table in the layout of Hugging Face, a row for each seed."""
    columns = {
        "image": [{"bytes": png(seed)[0], "path": f"{seed}.png"} for seed in seeds],
        label: labels if labels is not None else [seed % 2 for seed in seeds],
        **further,
    }
    table = pa.table(columns)
    return table.replace_schema_metadata(metadata_of(names, label)) if names else table


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


@pytest.fixture
def write(folder):
    """Return a function that writes a table of the folder."""

    def write_table(name, table, **options):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        parquet.write_table(table, path, **options)
        return path

    return write_table


@pytest.fixture
def read(folder, recorder):
    """Return a function that loads the folder, or something else."""

    def load_dataset(argument=None, seed=0, **columns):
        return load(
            DatasetRequest(
                name="parquet",
                argument=str(folder if argument is None else argument),
                seed=seed,
                columns=Columns(**columns),
                listener=recorder,
            )
        )

    return load_dataset


def unused(dataset):
    return [str(one) for one in dataset.unused]


def seeds_of(split):
    """Return the seeds of the images of a split, from their names; check the pixels and labels."""
    seeds = [int(name.removesuffix(".png")) for name in split.names]
    for index, seed in enumerate(seeds):
        np.testing.assert_array_equal(split.images[index], png(seed)[1])
    assert split.labels.tolist() == [seed % 2 for seed in seeds]
    return seeds


def test_files_are_splits_by_their_names(write, read, recorder):
    """Sorted by name, with the class names of the metadata."""
    write("train-00001-of-00002.parquet", table_of(range(4, 7)))
    write("train-00000-of-00002.parquet", table_of(range(4)), row_group_size=3)
    write("test-00000-of-00001.parquet", table_of(range(10, 13)))
    dataset = read()
    assert dataset.classes == ("ant", "bee")
    assert seeds_of(dataset.train) == [0, 1, 2, 3, 4, 5, 6]
    assert seeds_of(dataset.test) == [10, 11, 12]
    assert dataset.source.endswith("split: by the names of the files")
    assert "columns 'image' and 'label' of 3 Parquet files" in dataset.source
    assert (dataset.unused, recorder.warnings) == ((), [])
    assert recorder.tasks == [("read images", 10, "images")]
    assert (recorder.steps, recorder.running) == (10, 0)


@pytest.mark.parametrize(
    "names",
    [
        ("train.parquet", "test.parquet"),
        ("train/0000.parquet", "test/0000.parquet"),
        ("default/train/0000.parquet", "default/test/0000.parquet"),
        ("data/Training-0.parquet", "data/testing_0.PARQUET"),
    ],
    ids=str,
)
def test_names_of_splits(write, read, names):
    for seed, name in enumerate(names):
        write(name, table_of([2 * seed, 2 * seed + 1]))
    dataset = read()
    assert (seeds_of(dataset.train), seeds_of(dataset.test)) == ([0, 1], [2, 3])


@pytest.mark.parametrize("name", ["validation-00000-of-00001", "val", "valid-0", "dev"])
def test_validation_files_test_where_no_test_file_has_labels(write, read, recorder, name):
    """Test labels that are not published are -1."""
    write("train-0.parquet", table_of(range(4)))
    write(f"{name}.parquet", table_of(range(4, 6)))
    write("test-0.parquet", table_of(range(6, 8), [-1, None]))
    dataset = read()
    assert seeds_of(dataset.test) == [4, 5]
    assert unused(dataset) == ["2 rows without a label: test-0.parquet#0, test-0.parquet#1"]
    (warning,) = recorder.warnings
    assert "its validation images are used for testing" in warning


def test_validation_files_beside_test_files_are_counted(write, read):
    for number, name in enumerate(("train", "test", "validation")):
        write(f"{name}.parquet", table_of([2 * number, 2 * number + 1]))
    assert unused(read()) == [
        "2 rows of the split 'validation': validation.parquet#0, validation.parquet#1"
    ]


def test_a_single_set_is_split_by_seed(write, read):
    path = write("images.parquet", table_of(range(20)))
    dataset = read(path)
    assert np.bincount(dataset.test.labels).tolist() == [2, 2]
    assert sorted(seeds_of(dataset.train) + seeds_of(dataset.test)) == list(range(20))
    assert dataset.source.endswith("split: 80/20 by seed 0")
    assert read(path, seed=1).test.names != dataset.test.names


def test_training_files_alone_are_split_by_seed(write, read, recorder):
    write("train-0.parquet", table_of(range(20)))
    dataset = read()
    assert len(dataset.test) == 4
    (warning,) = recorder.warnings
    assert "in the names of the files are 'train' (20). The training images are split" in warning


@pytest.mark.parametrize("column", ["split", "part"])
def test_a_column_says_the_split(write, read, column):
    splits = ["train"] * 6 + ["test"] * 3 + [None]
    table = table_of(range(10), **{column: pa.array(splits).dictionary_encode()})
    path = write("images.parquet", table)
    dataset = read(path, split_column=None if column == "split" else column)
    assert seeds_of(dataset.test) == [6, 7, 8]
    assert unused(dataset) == ["1 row without a split: images.parquet#9"]


def test_one_set_of_folders_is_not_one_of_splits(write, read):
    """Names that tell nothing, and a column that is not of splits."""
    write("a.parquet", table_of(range(10), split=[0] * 10))
    write("b.parquet", table_of(range(10, 20), split=[1] * 10))
    assert read().source.endswith("80/20 by seed 0")


@pytest.mark.parametrize(
    "argument", ["*.parquet", "t*-0.parquet", "**/*.parquet", "[t]*.parquet"], ids=str
)
def test_a_pattern_names_files(write, read, folder, argument):
    write("train-0.parquet", table_of(range(4)))
    write("test-0.parquet", table_of(range(4, 6)))
    assert seeds_of(read(folder / argument).test) == [4, 5]


def test_other_files_of_the_folder_are_counted(write, read, folder):
    write("train-0.parquet", table_of(range(4)))
    write("test-0.parquet", table_of(range(4, 6)))
    write(".cache/test-0.parquet", table_of([9]))
    (folder / "README.md").write_text("---")
    (folder / "x.jpg").write_bytes(png(0)[0])
    assert unused(read()) == [
        "1 file without an image: README.md",
        "1 hidden file: .cache/test-0.parquet",
        "1 image outside the Parquet files: x.jpg",
    ]


@pytest.mark.parametrize(
    ("labels", "names", "classes"),
    [
        ([0, 1] * 5, None, ("0", "1")),
        ([10, 9] * 5, None, ("9", "10")),
        (["cat", "ant"] * 5, None, ("ant", "cat")),
        (["9", "10"] * 5, None, ("9", "10")),
        ([True, False] * 5, None, ("False", "True")),
        (["bee", "ant"] * 5, ["bee", "ant"], ("bee", "ant")),
        (pa.array(["b", "a"] * 5).dictionary_encode(), None, ("a", "b")),
        (pa.array([0, 1] * 5, pa.uint8()), ["x", "y"], ("x", "y")),
        ([0, 1] * 5, ["x", "y", "never"], ("x", "y", "never")),
    ],
    ids=str,
)
def test_labels(write, read, labels, names, classes):
    dataset = read(write("a.parquet", table_of(range(10), labels, names=names)))
    assert dataset.classes == classes
    values = pa.table({"label": labels})["label"].to_pylist()
    for name, label in zip(dataset.train.names, dataset.train.labels, strict=True):
        value = values[int(name.removesuffix(".png"))]
        assert classes[label] == (names[value] if names and value in {0, 1} else str(value))


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary()])
def test_images_may_be_plain_bytes(write, read, kind):
    """In a column of any name; a row is called by its file and number then."""
    table = pa.table(
        {
            "pixels": pa.array([png(seed)[0] for seed in range(10)], kind),
            "path": ["x"] * 10,
            "label": [0, 1] * 5,
        }
    )
    dataset = read(write("a.parquet", table))
    assert "columns 'pixels' and 'label'" in dataset.source
    assert set(dataset.train.names + dataset.test.names) == {f"a.parquet#{i}" for i in range(10)}


def test_columns_may_be_named(write, read):
    table = table_of(range(10), label="fine", names=None).append_column(
        "coarse", pa.array(["x", "y"] * 5)
    )
    table = table.append_column("thumbnail", table["image"])
    path = write("a.parquet", table)
    dataset = read(path, path_column="thumbnail", label_column="coarse")
    assert dataset.classes == ("x", "y")
    with pytest.raises(DataError, match=r"the class usually is; its columns: 'image', 'fine', "):
        read(path)
    with pytest.raises(UnknownNameError, match="Unknown label column 'fin'. Did you mean 'fine'"):
        read(path, label_column="fin")


def test_the_one_column_of_classes_is_the_label(write, read):
    """Whatever its name: the metadata say which it is."""
    dataset = read(write("a.parquet", table_of(range(10), label="species")))
    assert dataset.classes == ("ant", "bee")


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ([0, 1, 2] * 3, "has labels from 0 to 2, but names 2 classes: labels must be 0 to 1"),
        ([0, 1, -2] * 3, "has labels from -2 to 1, but names 2 classes"),
        (["ant", "bee", "cat"] * 3, "has the label 'cat', which is not one of the classes"),
        ([0.5] * 9, "has values of the type double; labels are whole numbers or text"),
        ([[0]] * 9, "has values of the type list"),
        ([None, -1, None] * 3, "has no training image that can be used. Not used: 9 rows without"),
        ([0] * 8 + [1], "class 'bee' has a single image"),
    ],
    ids=str,
)
def test_labels_that_cannot_be_used_are_named(write, read, labels, said):
    with pytest.raises(DataError, match=said):
        read(write("a.parquet", table_of(range(9), labels)))


def test_a_class_that_is_missing_in_a_split_is_named(write, read, recorder):
    write("train.parquet", table_of([0, 2, 4]))
    write("test.parquet", table_of([6, 7]))
    with pytest.raises(DataError, match="classes without a training image: 'bee'"):
        read()
    write("train.parquet", table_of(range(4)))
    write("test.parquet", table_of([6, 8]))
    read()
    assert recorder.warnings[-1].endswith("has no test images of 'bee'.")


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (None, "1 row without an image: a.parquet#10"),
        ({"bytes": None, "path": "/tmp/x.png"}, "1 row without an image: a.parquet#10"),
        ({"bytes": b"", "path": None}, "1 row without an image: a.parquet#10"),
        ({"bytes": b"<html>", "path": "x"}, "1 web page: a.parquet#10"),
        ({"bytes": b"8BPS", "path": "x"}, "1 Photoshop file (format not supported): a.parquet#10"),
    ],
    ids=str,
)
def test_a_row_without_an_image_is_counted(write, read, image, reason):
    table = table_of(range(10))
    extra = pa.table({"image": pa.array([image], table["image"].type), "label": [0]})
    dataset = read(write("a.parquet", pa.concat_tables([table, extra])))
    assert unused(dataset) == [reason]
    assert len(dataset.train) + len(dataset.test) == 10


def test_a_damaged_image_is_named_when_it_is_decoded(write, read):
    table = table_of(range(4), split=["train"] * 2 + ["test"] * 2)
    images = table["image"].to_pylist()
    images[1]["bytes"] = b"no image"
    table = table.set_column(0, "image", pa.array(images))
    train = read(write("a.parquet", table)).train
    assert train.images[0].shape == (4, 5, 3)
    with pytest.raises(UnreadableImageError, match=r"Cannot decode 1\.png: its content is not of"):
        train.images[1]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", r"cannot be read as a Parquet file: it is an empty file\. Get"),
        (b"PAR1 and no more", "cannot be read as a Parquet file: "),
        (b"version https://git-lfs.github.com/spec/v1\n", r"it is a Git LFS pointer file \(run: "),
        (b"<html>", "it is a web page"),
    ],
    ids=str,
)
def test_a_file_of_another_kind_is_refused(read, folder, content, said):
    (folder / "train.parquet").write_bytes(content)
    with pytest.raises(DataError, match=said):
        read()


def test_a_damaged_row_group_is_named(write, read, folder):
    """Found when the dataset is loaded: the fingerprint needs each image."""
    path = write("a.parquet", table_of(range(40), names=None), row_group_size=10)
    start = parquet.read_metadata(path).row_group(2).column(0)
    content = bytearray(path.read_bytes())
    first = start.dictionary_page_offset or start.data_page_offset
    content[first : first + 60] = bytes(60)
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"Row group 2 of .*a\.parquet cannot be read: "):
        read(path)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (table_of(range(2), names=["x", "y", "z"]), "b.parquet names other classes than a.parquet"),
        (table_of(range(2), label="class"), "b.parquet has other columns than a.parquet"),
        (pa.table({"x": [1]}), r"b\.parquet has no column with image bytes; .*: x \(int64\)"),
    ],
    ids=["classes", "columns", "no image"],
)
def test_files_that_do_not_belong_together_are_refused(write, read, other, said):
    write("a.parquet", table_of(range(2)))
    write("b.parquet", other)
    with pytest.raises(DataError, match=said):
        read()


def test_a_column_of_paths_is_not_one_of_images(write, read):
    path = write("a.parquet", table_of(range(10), file=["x.png"] * 10))
    with pytest.raises(DataError, match="'file' of .* values of the type string, not image bytes"):
        read(path, path_column="file")


@pytest.mark.parametrize(
    "raw", [b"{", b"[]", b'{"info": 3}', b'{"info": {"features": []}}', b"\xff"]
)
def test_metadata_that_cannot_be_read_are_said(write, read, recorder, raw):
    table = table_of(range(10)).replace_schema_metadata({"huggingface": raw})
    assert read(write("a.parquet", table)).classes == ("0", "1")
    (warning,) = recorder.warnings
    assert "metadata 'huggingface' of" in warning


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        (None, "'parquet' needs a path: write parquet:PATH"),
        ("absent.parquet", r"absent\.parquet does not exist \(looked in "),
        ("*.nothing", "No file matches "),
        (".", "The folder . has no Parquet file"),
    ],
    ids=str,
)
def test_an_argument_without_files_is_refused(folder, monkeypatch, argument, said):
    monkeypatch.chdir(folder)
    with pytest.raises(DataError, match=said):
        load(DatasetRequest(name="parquet", argument=argument))


def test_files_without_rows_add_nothing(write, read):
    empty = table_of(range(2)).slice(0, 0)
    path = write("train-1.parquet", empty)
    with pytest.raises(DataError, match="has no training image"):
        read(path)
    write("train-0.parquet", table_of(range(4)))
    write("test-0.parquet", table_of(range(4, 6)))
    assert len(read().train) == 4


def test_a_missing_pyarrow_names_the_extra(monkeypatch, folder):
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'tlbench\[parquet\]'"):
        load(DatasetRequest(name="parquet", argument=str(folder)))


def test_the_fingerprint_is_that_of_the_images(write, read, folder):
    """Other files, row groups and names hold the same data; other labels or pixels do not."""
    splits = ["train"] * 7 + ["test"] * 3
    before = read(write("a.parquet", table_of(range(10), split=splits)))
    shutil.rmtree(folder)
    write("train-0.parquet", table_of(range(3)), row_group_size=2)
    write("train-1.parquet", table_of(range(3, 7)), compression="zstd")
    write("test.parquet", table_of(range(7, 10)))
    after = read()
    assert after.fingerprint == before.fingerprint
    write("test.parquet", table_of(range(7, 10), [0, 1, 0]))
    relabelled = read()
    assert relabelled.test.fingerprint != before.test.fingerprint
    assert relabelled.test.images_fingerprint == before.test.images_fingerprint
    write("test.parquet", table_of([7, 8, 11]))
    assert read().test.images_fingerprint != before.test.images_fingerprint


def test_test_images_among_the_training_images_are_reported(write, read, recorder):
    write("train.parquet", table_of([0, 1, 2, 3]))
    write("test.parquet", table_of([3, 4]))
    read()
    (warning,) = recorder.warnings
    assert warning.startswith("1 of 2 test images are also training images")


def test_names_that_repeat_give_way_to_numbers(write, read):
    table = table_of(range(4), split=["train", "train", "test", "test"])
    images = [one | {"path": "image.png"} for one in table["image"].to_pylist()]
    dataset = read(write("a.parquet", table.set_column(0, "image", pa.array(images))))
    assert dataset.test.names == ("a.parquet#2", "a.parquet#3")


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks of some rows, of which few are kept, as for row groups of gigabytes."""
    monkeypatch.setattr(row_groups, "_GROUP_BYTES", 300)
    monkeypatch.setattr(row_groups, "_BLOCK_BYTES", 300)
    monkeypatch.setattr(row_groups, "_KEPT_BYTES", 1200)


@pytest.fixture
def counted(monkeypatch):
    """The row groups that reading began, one entry for each time."""
    begun = []
    original = row_groups._read

    def read(shard, number, n_rows):
        begun.append(number)
        return original(shard, number, n_rows)

    monkeypatch.setattr(row_groups, "_read", read)
    return begun


def open_rows(*paths):
    return ImageRows(
        [
            Shard(path=path, metadata=parquet.read_metadata(path), column="image.bytes")
            for path in paths
        ]
    )


def test_rows_in_their_order_read_each_group_once(write, small_blocks, counted):
    rows = open_rows(write("a.parquet", table_of(range(60)), row_group_size=20))
    assert [rows[index] for index in range(60)] == [png(seed)[0] for seed in range(60)]
    assert counted == [0, 1, 2]
    assert rows._n_bytes <= 1200
    assert rows._cursors == []


def test_small_row_groups_are_kept_whole(write, counted):
    rows = open_rows(write("a.parquet", table_of(range(60)), row_group_size=20))
    order = np.random.default_rng(0).permutation(60)
    assert [rows[int(index)] for index in order] == [png(seed)[0] for seed in order]
    assert sorted(counted) == [0, 1, 2]


def test_memory_is_bounded_in_any_order(write, small_blocks):
    rows = open_rows(write("a.parquet", table_of(range(60)), row_group_size=30))
    for index in np.random.default_rng(0).integers(0, 60, 200):
        assert rows[int(index)] == png(index)[0]
        kept = sum(len(row) for block in rows._blocks.values() for row in block)
        assert rows._n_bytes == kept <= 1200
        assert len(rows._cursors) <= row_groups._MAX_CURSORS


def test_threads_read_what_one_thread_reads(write, small_blocks):
    """Each at its own place, as the decoding of batches does, and all at once."""
    rows = open_rows(
        write("a.parquet", table_of(range(90)), row_group_size=40),
        write("b.parquet", table_of(range(90, 100))),
    )
    batches = [range(start, start + 5) for start in range(0, 100, 5)] * 4

    def read_batch(batch):
        return [rows[index] for index in batch]

    with ThreadPoolExecutor(8) as pool:
        for batch, found in zip(batches, pool.map(read_batch, batches), strict=True):
            assert found == [png(seed)[0] for seed in batch]


def test_reading_goes_on_after_a_damaged_group(write, small_blocks):
    path = write("a.parquet", table_of(range(40)), row_group_size=20)
    rows = open_rows(path)
    start = parquet.read_metadata(path).row_group(1).column(0)
    content = bytearray(path.read_bytes())
    first = start.dictionary_page_offset or start.data_page_offset
    content[first : first + 60] = bytes(60)
    path.write_bytes(content)
    for _ in range(2):
        with pytest.raises(DataError, match="Row group 1 of"):
            rows[25]
    assert rows[3] == png(3)[0]


@settings(max_examples=40)
@given(
    groups=st.lists(st.lists(st.none() | st.binary(max_size=400), min_size=1), min_size=1),
    order=st.lists(st.integers(0, 10**6), max_size=30),
    kept=st.integers(1, 2000),
)
def test_what_is_written_is_what_is_read(tmp_path_factory, groups, order, kept):
    """Whatever the row groups, the order of reading and the memory."""
    path = tmp_path_factory.getbasetemp() / "property.parquet"
    kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    schema = pa.schema({"image": kind})
    with parquet.ParquetWriter(path, schema) as writer:
        for group in groups:
            images = [None if one is None else {"bytes": one, "path": None} for one in group]
            writer.write_table(pa.table({"image": pa.array(images, kind)}, schema))
    written = [one for group in groups for one in group]
    with pytest.MonkeyPatch.context() as patch:
        for name in ("_GROUP_BYTES", "_BLOCK_BYTES", "_KEPT_BYTES"):
            patch.setattr(row_groups, name, kept)
        rows = open_rows(path)
        assert len(rows) == len(written)
        for index in (*(one % len(written) for one in order), *range(len(written))):
            assert rows[index] == written[index]
