"""Features as a file for other programs."""

import contextlib
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlbench.core.errors import ConfigError, StorageError


def check_npz_path(path: Path) -> Path:
    """Return *path* if it ends in ``.npz`` and its folder exists; raise ConfigError otherwise."""
    if path.suffix.lower() != ".npz":
        raise ConfigError(
            f"Features are written as .npz, not {path.name!r}. Name a file like a.npz."
        )
    if not path.parent.is_dir():
        raise ConfigError(f"There is no folder {path.parent}. Make it, or choose another place.")
    return path


def save_npz(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write an uncompressed ``.npz`` whole or not at all; memory-mapped arrays are streamed."""
    temporary = None
    try:
        with tempfile.NamedTemporaryFile(
            prefix=f".{path.stem}.", suffix=".npz", dir=path.parent, delete=False
        ) as file:
            temporary = Path(file.name)
            np.savez(file, allow_pickle=False, **arrays)
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        if temporary is not None:
            with contextlib.suppress(OSError):
                temporary.unlink()
        raise StorageError(f"{path} cannot be written: {error.strerror or error}.") from error
