"""A Parquet file of images and labels: its columns, its class names, and all but the images."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from tlbench.core.errors import DataError, one_line
from tlbench.core.progress import Listener
from tlbench.core.unused import OTHER
from tlbench.datasets.columns import Columns, FoundColumns, find_columns
from tlbench.datasets.formats import HEAD_BYTES, unread_content
from tlbench.datasets.row_groups import Shard

_SECRET: Final = -1  # what Hugging Face writes for a label that is not published


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """The columns of a file, and the names of its classes where the metadata have them."""

    columns: FoundColumns
    bytes_at: str  # path of the images' bytes in the schema
    path_at: str | None  # of the images' own paths
    classes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ParquetFile:
    """An open file's metadata; *name* is relative to the dataset's folder."""

    path: Path
    name: str
    metadata: Any  # pyarrow's FileMetaData
    schema: Schema

    @property
    def shard(self) -> Shard:
        """Where the images are."""
        return Shard(path=self.path, metadata=self.metadata, column=self.schema.bytes_at)


def open_files(
    root: Path, paths: Sequence[Path], wanted: Columns, listener: Listener
) -> list[ParquetFile]:
    """Return the files; raise DataError if one has other columns or classes than the first."""
    files: list[ParquetFile] = []
    for path in paths:
        metadata, schema = _open(path)
        name = path.relative_to(root).as_posix()
        found = _schema(path, schema, wanted, listener)
        files.append(ParquetFile(path=path, name=name, metadata=metadata, schema=found))
        first = files[0]
        if found.classes != first.schema.classes:
            raise DataError(
                f"{name} names other classes than {first.name}: {len(found.classes)} and "
                f"{len(first.schema.classes)} names. Put files of one dataset only into {root}."
            )
        if found != first.schema:
            raise DataError(
                f"{name} has other columns than {first.name}: {found.columns} and "
                f"{first.schema.columns}. Put files of one dataset only into {root}."
            )
    return files


def _open(path: Path) -> tuple[Any, Any]:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            return file.metadata, file.schema_arrow
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"{path} cannot be read as a Parquet file: {_content(path) or one_line(error)}. Get "
            "the file again."
        ) from error


def _content(path: Path) -> str:
    """Return what a file is instead, if its first bytes tell."""
    try:
        with path.open("rb") as file:
            found = unread_content(file.read(HEAD_BYTES))
    except OSError:
        return ""
    return "" if found == OTHER else f"it is a{'n' if found[0] in 'aeiou' else ''} {found}"


def _schema(path: Path, schema: Any, wanted: Columns, listener: Listener) -> Schema:  # noqa: ANN401
    """Return the columns that are asked for, or that look like images, labels and splits."""
    features = _features(path, schema, listener)
    holders = [field.name for field in schema if _bytes_at(field)]
    if wanted.path_column is None and not holders:
        found = ", ".join(f"{field.name} ({_short(field.type)})" for field in schema)
        raise DataError(
            f"{path} has no column with image bytes; its columns: {found}. Store images as binary "
            "values or as structs of bytes and path."
        )
    named = [name for name, one in features.items() if one.get("_type") == "ClassLabel"]
    if wanted.label_column is None and len(named) == 1:
        wanted = replace(wanted, label_column=named[0])
    columns = find_columns(schema.names, wanted, str(path), holders=holders)
    image, label = schema.field(columns.path), schema.field(columns.label)
    bytes_at = _bytes_at(image)
    if not bytes_at:
        raise DataError(
            f"Column {columns.path!r} of {path} has values of the type {_short(image.type)}, not "
            f"image bytes. Columns that have: {', '.join(holders) or 'none'}."
        )
    if not _is_label(label.type):
        raise DataError(
            f"Column {columns.label!r} of {path} has values of the type {_short(label.type)}; "
            "labels are whole numbers or text. Choose another with label_column=..."
        )
    names = features.get(columns.label, {}).get("names") or ()
    return Schema(
        columns=columns,
        bytes_at=bytes_at,
        path_at=_path_at(image),
        classes=tuple(map(str, names)),
    )


def _features(path: Path, schema: Any, listener: Listener) -> dict[str, dict[str, Any]]:  # noqa: ANN401
    """Return what Hugging Face's metadata say of each column."""
    raw = (schema.metadata or {}).get(b"huggingface")
    if raw is None:
        return {}
    try:
        features = json.loads(raw)["info"]["features"]
        return {name: one for name, one in features.items() if isinstance(one, dict)}
    except (ValueError, KeyError, TypeError, AttributeError):
        listener.warn(
            f"The metadata 'huggingface' of {path} cannot be read: if labels are numbers, these "
            "are the names of the classes."
        )
        return {}


def _short(kind: Any) -> str:  # noqa: ANN401 - a type of pyarrow's
    text = str(kind)
    return text if len(text) <= 40 else f"{text[:37]}..."  # noqa: PLR2004 - characters of a message


def _is_binary(kind: Any) -> bool:  # noqa: ANN401 - a type of pyarrow's
    from pyarrow import types

    return bool(types.is_binary(kind) or types.is_large_binary(kind))


def _bytes_at(field: Any) -> str:  # noqa: ANN401 - a field of pyarrow's
    """Return the path in the schema at which a column has bytes; nothing if it has none."""
    from pyarrow import types

    if types.is_struct(field.type):
        index = field.type.get_field_index("bytes")
        is_image = index >= 0 and _is_binary(field.type.field(index).type)
        return f"{field.name}.bytes" if is_image else ""
    return str(field.name) if _is_binary(field.type) else ""


def _path_at(field: Any) -> str | None:  # noqa: ANN401 - a field of pyarrow's
    from pyarrow import types

    if not types.is_struct(field.type):
        return None
    index = field.type.get_field_index("path")
    is_text = index >= 0 and _is_text(field.type.field(index).type)
    return f"{field.name}.path" if is_text else None


def _is_text(kind: Any) -> bool:  # noqa: ANN401 - a type of pyarrow's
    from pyarrow import types

    return bool(types.is_string(kind) or types.is_large_string(kind))


def _is_label(kind: Any) -> bool:  # noqa: ANN401 - a type of pyarrow's
    from pyarrow import types

    if types.is_dictionary(kind):
        kind = kind.value_type
    return bool(types.is_integer(kind) or types.is_boolean(kind) or _is_text(kind))


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """Label, split and path of each row of a file; None for a row without a label or a path."""

    labels: list[int | str | None]
    splits: list[str]
    paths: list[str | None]

    @classmethod
    def of(cls, file: ParquetFile) -> "Content":
        """Read these columns, and no image."""
        import pyarrow as pa
        from pyarrow import compute, parquet

        schema, n_rows = file.schema, file.metadata.num_rows
        columns = [schema.columns.label, schema.columns.split, schema.path_at]
        try:
            with parquet.ParquetFile(file.path, metadata=file.metadata) as opened:
                read = opened.read([one for one in columns if one], use_threads=False)
        except (pa.ArrowException, OSError) as error:
            raise DataError(
                f"The labels of {file.path} cannot be read: {one_line(error)}. Get the file again."
            ) from error
        splits = [""] * n_rows
        paths: list[str | None] = [None] * n_rows
        if schema.columns.split is not None:
            values = read.column(schema.columns.split).to_pylist()
            splits = ["" if value is None else str(value) for value in values]
        if schema.path_at is not None:
            paths = compute.struct_field(read.column(schema.columns.path), "path").to_pylist()
        labels = read.column(schema.columns.label).to_pylist()
        return cls(
            labels=[_label(one, is_named=bool(schema.classes)) for one in labels],
            splits=splits,
            paths=paths,
        )


def _label(value: bool | int | str | None, *, is_named: bool) -> int | str | None:  # noqa: FBT001
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, str):
        return value.strip() or None
    return None if is_named and value == _SECRET else value
