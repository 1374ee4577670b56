"""The dataset of Parquet files that hold images and labels, as Hugging Face lays them out."""

import hashlib
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

from tlbench.core.arrays import LabelArray
from tlbench.core.errors import MissingDependencyError
from tlbench.core.hashing import sha256_value
from tlbench.core.progress import Listener, task
from tlbench.core.unused import UnusedTally, account
from tlbench.datasets.base import Dataset, DatasetRequest, Split
from tlbench.datasets.decode import quiet_pillow
from tlbench.datasets.files import not_an_image
from tlbench.datasets.formats import HEAD_BYTES, decoder_versions
from tlbench.datasets.parquet_file import Content, ParquetFile, open_files
from tlbench.datasets.parquet_paths import find_files, split_of_file
from tlbench.datasets.row_groups import ImageRows, ParquetImages
from tlbench.datasets.splits import (
    Sides,
    choose_sides,
    divide,
    kind_of,
    sides_by_seed,
    warn_of_shared,
)


def load(request: DatasetRequest, /) -> Dataset:
    """Return the dataset ``parquet:PATH``: a file, a folder of files, or a pattern.

    A row is an image, as bytes or as ``{"bytes", "path"}``, and its label; class names come from
    Hugging Face's metadata. Splits are the names of the files or of their folders, or a column; a
    single set of images is split by ``request.seed``. Rows that are not used are counted in the
    dataset's ``unused``. Each image is read once for the fingerprint, and none is kept.
    """
    _require_pyarrow()
    quiet_pillow()
    tally = UnusedTally()
    root, paths = find_files(request.argument, tally)
    files = open_files(root, paths, request.columns, request.listener)
    rows = _Rows(files)
    labelled = []
    for row, label in enumerate(rows.labels):
        if label is None:
            tally.add("row without a label", rows.title(row))
        else:
            labelled.append(row)
    table = request.argument or ""
    sides = _sides(rows, labelled, table, request, tally)
    side_of = {row: one for row, one in zip(labelled, sides.of_row, strict=True) if one is not None}
    images = ImageRows([file.shard for file in files])
    digests = _digest(images, list(side_of), rows, tally, request.listener)
    division = divide(
        [label for row in digests if (label := rows.labels[row]) is not None],
        [side_of[row] for row in digests],
        classes=files[0].schema.classes,
        table=table,
        seed=request.seed,
        listener=request.listener,
        left_out=account(tally.result()),
    )
    used = list(digests)
    train, test = ([used[row] for row in half] for half in (division.train, division.test))
    warn_of_shared(train, test, digests, request.listener)
    names = rows.names(used)
    columns = files[0].schema.columns
    return Dataset(
        name=request.name,
        classes=division.classes,
        train=_split(images, division.train, division.labels, digests, names),
        test=_split(images, division.test, division.labels, digests, names),
        source=f"columns {columns.path!r} and {columns.label!r} of {len(files)} Parquet "
        f"file{'s' if len(files) > 1 else ''} in {root}, split: {sides.how}",
        unused=tally.result(),
    )


def _require_pyarrow() -> None:
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError(
            f"The dataset 'parquet' needs pyarrow, which cannot be imported ({error}). "
            "Run: pip install 'tlbench[parquet]'."
        ) from error


class _Rows:
    """What the rows of all files have besides their images."""

    def __init__(self, files: Sequence[ParquetFile]) -> None:
        self.files = files
        self.contents = [Content.of(file) for file in files]
        self.labels = [label for one in self.contents for label in one.labels]
        self._starts = list(accumulate((len(one.labels) for one in self.contents), initial=0))

    def title(self, row: int) -> str:
        """Return the name of a row: its file, and its number in there, from 0."""
        number = bisect_right(self._starts, row) - 1
        return f"{self.files[number].name}#{row - self._starts[number]}"

    def names(self, rows: Sequence[int]) -> dict[int, str]:
        """Return the paths of images where all are different; else the rows' own names."""
        paths = [path for one in self.contents for path in one.paths]
        names = {row: paths[row] or "" for row in rows}
        if "" in names.values() or len(set(names.values())) < len(names):
            return {row: self.title(row) for row in rows}
        return names

    def splits_by_file(self) -> list[str]:
        return [
            split_of_file(file.name)
            for file, content in zip(self.files, self.contents, strict=True)
            for _ in content.labels
        ]

    def splits_by_column(self) -> list[str]:
        return [split for one in self.contents for split in one.splits]


def _sides(
    rows: _Rows, labelled: Sequence[int], table: str, request: DatasetRequest, tally: UnusedTally
) -> Sides:
    """Return the sides of the labelled rows."""
    asked, column = request.columns.split_column, rows.files[0].schema.columns.split
    where, splits = "the names of the files", rows.splits_by_file()
    if asked or (column is not None and not any(map(kind_of, set(splits)))):
        where, splits = f"column {column!r}", rows.splits_by_column()
    if not asked and not any(map(kind_of, set(splits))):
        return sides_by_seed(len(labelled), request.seed)
    return choose_sides(
        [splits[row] for row in labelled],
        where=where,
        table=table,
        seed=request.seed,
        listener=request.listener,
        leave_out=lambda reason, index: tally.add(reason, rows.title(labelled[index])),
    )


def _digest(
    images: ImageRows, used: Sequence[int], rows: _Rows, tally: UnusedTally, listener: Listener
) -> dict[int, str]:
    """Return the SHA-256 of each image; leave out what is not one by its first bytes."""
    digests = {}
    with task(listener, "read images", len(used), "images"):
        for row in used:
            content = images[row]
            if not content:
                tally.add("row without an image", rows.title(row))
            elif reason := not_an_image(content[:HEAD_BYTES]):
                tally.add(reason, rows.title(row))
            else:
                digests[row] = hashlib.sha256(content).hexdigest()
            listener.advance()
    return digests


def _split(
    images: ImageRows,
    half: LabelArray,
    labels: LabelArray,
    digests: dict[int, str],
    names: dict[int, str],
) -> Split:
    import numpy as np

    used = np.array(list(digests), dtype=np.int64)[half]
    found = [digests[row] for row in used.tolist()]
    titles = tuple(names[row] for row in used.tolist())
    # Neither names nor files: the same images in other files are the same data.
    content = [list(one) for one in zip(found, labels[half].tolist(), strict=True)]
    return Split(
        images=ParquetImages(images, used, titles),
        labels=labels[half],
        fingerprint=sha256_value(content),
        images_fingerprint=sha256_value([decoder_versions(), found]),
        names=titles,
    )
