"""What is fed to a model that is timed: real images, or stand-ins of the right shape."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlbench.core.arrays import Images
from tlbench.core.errors import ModelError, UnreadableImageError
from tlbench.engine import accepts_raw_images
from tlbench.model import OnnxModel

# Inputs change from call to call: a result cached anywhere on the way would show otherwise.
_N_DISTINCT = 8
_MOST_IMAGES = 256
_ASSUMED_SIZE = 224


@dataclass(frozen=True, slots=True)
class LatencyInputs:
    """Single inputs to draw batches from, the sizes that can be run, and what was assumed."""

    rows: tuple[NDArray[Any], ...]
    fixed_batch: int | None
    assumptions: tuple[str, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one input, the batch left out."""
        return self.rows[0].shape

    def batches(self, batch_size: int) -> list[NDArray[Any]]:
        """Return several different batches: eight of a few images, two of very many."""
        rows, n = self.rows, len(self.rows)
        # Eight batches of 512 random images of 224 pixels would take 600 MB.
        n_batches = max(min(2, n), min(n, _MOST_IMAGES // batch_size))
        return [
            np.stack([rows[(start + i) % n] for i in range(batch_size)])
            for start in range(n_batches)
        ]


def latency_inputs(model: OnnxModel, images: Images | None) -> LatencyInputs:
    """Choose inputs for *model*: the first images of one size, else random values.

    Raises
    ------
    ModelError
        If the model takes several inputs, or one that no image fits.
    """
    if len(model.inputs) > 1:
        names = ", ".join(tensor.name for tensor in model.inputs)
        msg = f"{model.path} has {len(model.inputs)} inputs ({names}); only one can be measured."
        raise ModelError(msg)
    first = model.inputs[0]
    batch_axis = first.shape[0] if first.shape else None
    fixed_batch = batch_axis if isinstance(batch_axis, int) else None
    assumptions = []
    if fixed_batch is not None:
        assumptions.append(f"the file fixes the batch at {fixed_batch}")
    if images is not None and accepts_raw_images(model):
        return LatencyInputs(tuple(_first_images(images)), fixed_batch, tuple(assumptions))
    sizes = model.card.input_size if model.card else (_ASSUMED_SIZE, _ASSUMED_SIZE)
    open_axes = [axis for axis in first.shape[1:] if not isinstance(axis, int)]
    if len(open_axes) > len(sizes):
        msg = f"{model.path} takes {first.dtype} {first.shape}: too many open axes for an image."
        raise ModelError(msg)
    filler = iter(sizes)
    shape = tuple(axis if isinstance(axis, int) else next(filler) for axis in first.shape[1:])
    assumptions.append(f"random {first.dtype} inputs of shape {shape}")
    generator = np.random.default_rng(0)
    if first.dtype == "uint8":
        values = generator.integers(0, 256, (_N_DISTINCT, *shape), dtype=np.uint8)
    elif first.dtype in {"float32", "float16"}:
        values = generator.standard_normal((_N_DISTINCT, *shape)).astype(first.dtype)
    else:
        raise ModelError(f"{model.path} takes {first.dtype}; tlbench makes uint8 and float inputs.")
    return LatencyInputs(tuple(values), fixed_batch, tuple(assumptions))


def _first_images(images: Images) -> Iterable[NDArray[np.uint8]]:
    def readable() -> Iterable[NDArray[np.uint8]]:
        for position in range(len(images)):
            try:
                yield images[position]
            except UnreadableImageError:
                continue

    found: list[NDArray[np.uint8]] = []
    for image in islice(readable(), 16 * _N_DISTINCT):
        if not found or image.shape == found[0].shape:
            found.append(image)
        if len(found) == _N_DISTINCT:
            break
    return found
