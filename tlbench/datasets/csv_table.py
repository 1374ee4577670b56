"""The dataset of a CSV file that names image files, with a label in each row."""

import csv
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

from tlbench.core.arrays import LabelArray
from tlbench.core.errors import DataError, one_line
from tlbench.core.hashing import sha256_value
from tlbench.core.unused import REPEATED, UNNAMED, UnusedTally, account
from tlbench.datasets.base import Dataset, DatasetRequest, Split
from tlbench.datasets.columns import FoundColumns, find_columns
from tlbench.datasets.decode import ImageFiles, quiet_pillow
from tlbench.datasets.files import digest_files
from tlbench.datasets.formats import decoder_versions
from tlbench.datasets.named_files import NamedFiles, folder_of
from tlbench.datasets.splits import choose_sides, divide, kind_of, sides_by_seed, warn_of_shared

_DELIMITERS: Final = (",", ";", "\t", "|")  # where two give as many columns, the first counts
_PROBED_ROWS: Final = 50
_UTF_16: Final = (b"\xff\xfe", b"\xfe\xff")
_ADVICE: Final = "write csv:FILE.csv, with a column of image paths and a column of labels"


class _Row(NamedTuple):
    line: int  # on which the row ends
    path: str
    label: str
    split: str
    side: str = ""

    @property
    def title(self) -> str:
        return f"{self.path} (line {self.line})"


_LeaveOut: TypeAlias = Callable[[str, _Row], None]


def load(request: DatasetRequest, /) -> Dataset:
    """Return the dataset ``csv:FILE.csv``: a row for each image, with its path and label.

    Paths are relative to the file. Where none of the first rows' files is there, the folders beside
    the file are searched for them, and a name may lack its suffix, as Kaggle's ids do. Absolute
    paths, and paths that leave the folder, are followed: the file is the user's own. Rows and
    images that are not used are counted in the dataset's ``unused``.
    """
    file = _file(request.argument)
    quiet_pillow()
    tally, left_out = UnusedTally(), list[_Row]()

    def leave_out(reason: str, row: _Row) -> None:
        tally.add(reason, row.title)
        left_out.append(row)

    columns, rows = _read(file, request, tally, leave_out)
    rows, how = _with_sides(file, columns, rows, request, leave_out)
    base = folder_of(file, [row.path for row in rows[:_PROBED_ROWS]])
    finder = NamedFiles(base)
    row_of = _find(file, rows, finder, tally)
    digests = digest_files(
        list(row_of), lambda reason, path: tally.add(reason, row_of[path].title), request.listener
    )
    for row in left_out:
        finder.find(row.path)  # named, though not used
    for path in finder.unnamed():
        tally.add(UNNAMED, finder.name_of(path))
    division = divide(
        [row_of[path].label for path in digests],
        [row_of[path].side for path in digests],
        table=str(file),
        seed=request.seed,
        listener=request.listener,
        left_out=account(tally.result()),
    )
    paths = list(digests)
    train, test = ([paths[row] for row in rows] for rows in (division.train, division.test))
    warn_of_shared(train, test, digests, request.listener)
    where = "" if base == file.parent else f", images in {base}"
    return Dataset(
        name=request.name,
        classes=division.classes,
        train=_split(train, division.labels[division.train], digests, finder),
        test=_split(test, division.labels[division.test], digests, finder),
        source=f"columns {columns.path!r} and {columns.label!r} of {file}{where}, split: {how}",
        unused=tally.result(),
    )


def _file(argument: str | None) -> Path:
    if not argument:
        raise DataError(f"Dataset 'csv' needs a file: {_ADVICE}.")
    path = Path(argument).expanduser()
    if path.is_dir():
        found = sorted(one.name for one in path.glob("*.csv"))
        advice = f"Name one of its files: {', '.join(found)}" if found else "It has no .csv file"
        raise DataError(f"{path} is a folder, not a CSV file. {advice}.")
    if not path.exists():
        raise DataError(
            f"The file {path} does not exist (looked in {Path.cwd()}). Check the path: {_ADVICE}."
        )
    return path


def _read(
    file: Path, request: DatasetRequest, tally: UnusedTally, leave_out: _LeaveOut
) -> tuple[FoundColumns, list[_Row]]:
    """Return the columns and rows of a file; count rows that lack something."""
    delimiter, names = _header(file)
    found = find_columns(names, request.columns, str(file))
    columns = [names.index(found.path), names.index(found.label)]
    split = None if found.split is None else names.index(found.split)
    rows = []
    for line, fields in islice(_records(file, delimiter), 1, None):
        if len(fields) != len(names):
            which = "fewer" if len(fields) < len(names) else "more"
            tally.add(f"row with {which} fields than the header", f"line {line}")
            continue
        path, label = (fields[column] for column in columns)
        row = _Row(line, path, label.strip(), "" if split is None else fields[split].strip())
        if not path.strip():
            tally.add("row without a path", f"line {line}")
        elif not row.label:
            leave_out("row without a label", row)
        else:
            rows.append(row)
    if not rows:
        unused = account(tally.result())
        also = f" that can be used. Not used: {unused}" if unused else " below its header"
        raise DataError(f"{file} has no rows{also}. Add a row for each image.")
    return found, rows


def _header(file: Path) -> tuple[str, list[str]]:
    """Return the delimiter that gives most columns, and the names of these."""
    found: dict[str, list[str]] = {}
    problem: DataError | None = None
    for delimiter in _DELIMITERS:
        try:
            first = next(_records(file, delimiter), None)
        except DataError as error:  # a quotation mark inside what is a field of another delimiter
            problem = problem or error
            continue
        if first is None:
            raise DataError(f"{file} is empty. Get the file again: {_ADVICE}.")
        found[delimiter] = [name.strip() for name in first[1]]
    if not found:
        assert problem is not None
        raise problem
    best = max(found, key=lambda delimiter: len(found[delimiter]))
    return best, found[best]


def _records(file: Path, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the last line and the fields of each record; blank lines are not records."""
    with file.open("rb") as binary:
        if binary.read(2) in _UTF_16:
            raise DataError(f"{file} is UTF-16 text. Save it as UTF-8.")
    with file.open(encoding="utf-8-sig", newline="") as text:
        reader = csv.reader(text, delimiter=delimiter, strict=True)
        try:
            for fields in reader:
                if fields:
                    yield reader.line_num, fields
        except UnicodeDecodeError as error:
            byte = error.object[error.start]
            raise DataError(
                f"{file} is not UTF-8 text: it has the byte 0x{byte:02x} after line "
                f"{reader.line_num}. Save it as UTF-8."
            ) from error
        except csv.Error as error:
            raise DataError(
                f"{file} cannot be read, line {reader.line_num}: {one_line(error)}. Check the "
                "quotation marks in and before this line."
            ) from error


def _with_sides(
    file: Path,
    columns: FoundColumns,
    rows: list[_Row],
    request: DatasetRequest,
    leave_out: _LeaveOut,
) -> tuple[list[_Row], str]:
    """Return the rows that train or test, and how that was decided."""
    is_asked = request.columns.split_column is not None
    # A column 'fold' of numbers is one for cross-validation.
    if columns.split is None or not (is_asked or any(kind_of(row.split) for row in rows)):
        sides = sides_by_seed(len(rows), request.seed)
    else:
        sides = choose_sides(
            [row.split for row in rows],
            where=f"column {columns.split!r}",
            table=str(file),
            seed=request.seed,
            listener=request.listener,
            leave_out=lambda reason, index: leave_out(reason, rows[index]),
        )
    pairs = zip(rows, sides.of_row, strict=True)
    return [row._replace(side=side) for row, side in pairs if side is not None], sides.how


def _find(file: Path, rows: list[_Row], finder: NamedFiles, tally: UnusedTally) -> dict[Path, _Row]:
    """Return the rows by the image file that each names; every file has one row."""
    found: dict[Path, _Row] = {}
    contradictions: list[tuple[_Row, _Row]] = []
    for row in rows:
        path = finder.find(row.path)
        if isinstance(path, str):
            tally.add(path, row.title)
            continue
        first = found.setdefault(path, row)
        if first is row:
            continue
        tally.add(REPEATED, row.title)
        if (first.label, first.side) != (row.label, row.side):
            contradictions.append((first, row))
    if contradictions:
        first, row = contradictions[0]
        kind, one, other = (
            ("labels", first.label, row.label)
            if first.label != row.label
            else ("splits", first.split, row.split)
        )
        raise DataError(
            f"{file}: {row.path} has the {kind} {one!r} (line {first.line}) and {other!r} (line "
            f"{row.line}). Keep one row for each image; rows that contradict an earlier one: "
            f"{len(contradictions)}."
        )
    if not found:
        raise DataError(
            f"{file} names no image that can be used. Not used: {account(tally.result())}. Paths "
            f"are relative to {finder.base.absolute()}."
        )
    return found


def _split(
    paths: list[Path], labels: LabelArray, digests: dict[Path, str], finder: NamedFiles
) -> Split:
    names = tuple(finder.name_of(path) for path in paths)
    content = [
        [name, digests[path], int(label)]
        for name, path, label in zip(names, paths, labels, strict=True)
    ]
    return Split(
        images=ImageFiles(tuple(paths)),
        labels=labels,
        fingerprint=sha256_value(content),
        images_fingerprint=sha256_value([decoder_versions(), [digests[path] for path in paths]]),
        names=names,
    )
