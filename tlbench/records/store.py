"""Runs on disk: ``<output>/<id>/run.json`` and ``predictions.npz``."""

import contextlib
import io
import os
import secrets
import shutil
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tlbench.core.errors import ResultError, StorageError
from tlbench.records.codec import decode_run, encode_run
from tlbench.records.run import RunResult


def new_run_id(now: datetime) -> str:
    """Return a name that sorts by time and does not collide: ``20260131-142530-1f3a``."""
    return f"{now.astimezone(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def save_run(run: RunResult, predictions: Mapping[str, NDArray[np.generic]], output: Path) -> Path:
    """Write a run's folder whole or not at all; return it.

    Parameters
    ----------
    predictions : mapping
        Arrays of ``predictions.npz``; not written if empty.

    Raises
    ------
    StorageError
        If *output* cannot be written.
    """
    folder, content = output / run.id, encode_run(run)
    temporary = None
    try:
        output.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{run.id}.", dir=output))
        (temporary / "run.json").write_bytes(content)
        if predictions:
            buffer = io.BytesIO()
            np.savez_compressed(buffer, allow_pickle=False, **predictions)
            (temporary / "predictions.npz").write_bytes(buffer.getvalue())
        temporary.chmod(0o755)
        os.replace(temporary, folder)  # noqa: PTH105 - the name says atomic
    except OSError as error:
        reason = error.strerror or error
        msg = f"The run cannot be saved in {output}: {reason}. Choose another --output."
        raise StorageError(msg) from error
    finally:  # also when interrupted; after the move there is nothing of this name
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
    return folder


def find_run(name: str, output: Path) -> Path:
    """Return the ``run.json`` that *name* means: a folder, a file, an id in *output*, or ``last``.

    Raises
    ------
    ResultError
        If there is none; the message says where was looked.
    """
    if name == "last":
        # A hidden folder is a run that is being written, or whose writer was killed.
        saved = sorted(output.glob("[!.]*/run.json"))
        if not saved:
            msg = f"There is no run in {output}. Make one with tlbench run, or give --output."
            raise ResultError(msg)
        return saved[-1]
    for candidate in (Path(name), Path(name) / "run.json", output / name / "run.json"):
        with contextlib.suppress(OSError):  # no permission, or no possible name of a file
            if candidate.is_file():
                return candidate
    msg = f"No run {name!r}: there is no such file or folder, and no {output / name / 'run.json'}."
    raise ResultError(msg)


def read_run(name: str, output: Path) -> RunResult:
    """Read the run that *name* means; see `find_run`."""
    path = find_run(name, output)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ResultError(f"{path} cannot be read: {error.strerror}.") from error
    return decode_run(content, str(path))
