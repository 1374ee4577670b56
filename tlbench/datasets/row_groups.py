"""Images in Parquet files: random access in bounded memory, safe in threads."""

import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from itertools import accumulate, islice
from pathlib import Path
from typing import Any, Final

from tlbench.core.arrays import ImageArray, LabelArray
from tlbench.core.errors import DataError, UnreadableImageError, one_line
from tlbench.datasets.decode import decode_bytes

# Most writers make row groups of some hundred images, which are read whole. Others hold gigabytes:
# these are read in blocks of consecutive rows. A reader cannot hold less than a page of the file.
_GROUP_BYTES: Final = 24 << 20
_BLOCK_BYTES: Final = 4 << 20
_KEPT_BYTES: Final = 96 << 20
_READ_BYTES: Final = 1 << 20  # at once from a file
# Threads that decode read a large row group at some distance from each other. Each place has its
# own open file, so that no thread begins the group again because of another.
_MAX_CURSORS: Final = 4

_Block = list[bytes | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """A Parquet file and the column of its images, a path in the schema such as ``image.bytes``."""

    path: Path
    metadata: Any  # pyarrow's FileMetaData
    column: str


@dataclass(slots=True)
class _Cursor:
    group: int
    block: int  # that comes next
    rows: Generator[bytes | None]


class ImageRows:
    """The bytes of the images in all rows of some Parquet files, by position."""

    def __init__(self, shards: Sequence[Shard]) -> None:
        self._groups = [
            (shard, number)
            for shard in shards
            for number in range(shard.metadata.num_row_groups)
            if shard.metadata.row_group(number).num_rows
        ]
        sizes = [shard.metadata.row_group(number).num_rows for shard, number in self._groups]
        self._starts: list[int] = list(accumulate(sizes, initial=0))
        self._block_rows = [_block_rows(*group) for group in self._groups]
        self._lock = threading.Lock()
        self._blocks: OrderedDict[tuple[int, int], _Block] = OrderedDict()
        self._n_bytes = 0
        self._cursors: list[_Cursor] = []  # the one used last is the last

    def __len__(self) -> int:
        return self._starts[-1]

    def __getitem__(self, row: int, /) -> bytes | None:
        """Return the bytes in a row, None where it has none; raise DataError if it is damaged."""
        group = bisect_right(self._starts, row) - 1
        block, inside = divmod(row - self._starts[group], self._block_rows[group])
        with self._lock:
            return self._block(group, block)[inside]

    def _block(self, group: int, block: int) -> _Block:
        """Return a block; those that are read on the way to it are kept as well."""
        if (group, block) in self._blocks:
            self._blocks.move_to_end((group, block))
            return self._blocks[group, block]
        cursor = self._take_cursor(group, block)
        n_rows = self._block_rows[group]
        rows: _Block = []
        while cursor.block <= block:
            rows = list(islice(cursor.rows, n_rows))
            self._keep((group, cursor.block), rows)
            cursor.block += 1
        is_at_end = self._starts[group] + cursor.block * n_rows >= self._starts[group + 1]
        if not is_at_end:
            self._cursors.append(cursor)
        # An open reader holds a page of its file, or more.
        for unused in [cursor] if is_at_end else self._cursors[:-_MAX_CURSORS]:
            unused.rows.close()
        del self._cursors[:-_MAX_CURSORS]
        return rows

    def _take_cursor(self, group: int, block: int) -> _Cursor:
        """Take out the cursor nearest before a block; else make one at the start of its group."""
        before = [one for one in self._cursors if one.group == group and one.block <= block]
        if before:
            cursor = max(before, key=lambda one: one.block)
            self._cursors.remove(cursor)
            return cursor
        return _Cursor(group, 0, _read(*self._groups[group], self._block_rows[group]))

    def _keep(self, key: tuple[int, int], rows: _Block) -> None:
        self._n_bytes += _n_bytes(rows) - _n_bytes(self._blocks.pop(key, []))
        self._blocks[key] = rows
        while self._n_bytes > _KEPT_BYTES and len(self._blocks) > 1:
            self._n_bytes -= _n_bytes(self._blocks.popitem(last=False)[1])


def _n_bytes(rows: _Block) -> int:
    return sum(len(row) for row in rows if row is not None)


def _block_rows(shard: Shard, number: int) -> int:
    """Return how many rows of a row group are read at once."""
    group = shard.metadata.row_group(number)
    columns = map(group.column, range(group.num_columns))
    size = next(one for one in columns if one.path_in_schema == shard.column)
    n_bytes, n_rows = int(size.total_uncompressed_size), int(group.num_rows)
    return n_rows if n_bytes <= _GROUP_BYTES else max(1, _BLOCK_BYTES * n_rows // n_bytes)


def _read(shard: Shard, number: int, n_rows: int) -> Generator[bytes | None]:
    """Yield the images of a row group, of which *n_rows* are in memory at a time."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(
            shard.path, metadata=shard.metadata, buffer_size=_READ_BYTES, pre_buffer=False
        ) as file:
            for batch in file.iter_batches(
                n_rows, row_groups=[number], columns=[shard.column], use_threads=False
            ):
                column = batch.column(0)
                if pa.types.is_struct(column.type):
                    column = column.flatten()[0]
                yield from column.to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"Row group {number} of {shard.path} cannot be read: {one_line(error)}. Get the file "
            "again."
        ) from error


@dataclass(frozen=True, slots=True)
class ParquetImages:
    """Images that are read and decoded on each access; safe to read from several threads."""

    rows: ImageRows
    positions: LabelArray
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.positions)

    def __getitem__(self, index: int, /) -> ImageArray:
        content = self.rows[int(self.positions[index])]
        if content is None:
            raise UnreadableImageError(f"Cannot decode {self.names[index]}: the row has no image.")
        return decode_bytes(content, self.names[index])
