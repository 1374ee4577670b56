"""SHA-256 of files, arrays and values, which identifies what is cached or compared."""

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # hashing a file must not import numpy
    from numpy.typing import NDArray


def sha256_file(path: Path) -> str:
    """Return the hex digest of a file's bytes, read in blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_array(array: "NDArray[Any]") -> str:
    """Return the hex digest of an array's dtype, shape and values, whatever its memory layout."""
    digest = hashlib.sha256(f"{array.dtype.str}{array.shape}".encode())
    import numpy as np

    array = np.atleast_1d(array)  # the shape above tells a scalar from one row
    # In blocks, so that a memory-mapped or transposed array is never copied whole.
    step = max(1, (8 << 20) // max(1, array[:1].nbytes))
    for start in range(0, len(array), step):
        block = np.ascontiguousarray(array[start : start + step])
        digest.update(block.reshape(-1).view(np.uint8).data)  # bytes: not all dtypes are buffers
    return digest.hexdigest()


def sha256_value(value: Any) -> str:  # noqa: ANN401 - any JSON value
    """Return the hex digest of a JSON value; the order of an object's keys does not matter."""
    text = json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
    )
    return hashlib.sha256(text.encode()).hexdigest()
