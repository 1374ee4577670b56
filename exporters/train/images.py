"""Images for a training: held in memory, augmented by numpy, prepared by the artefact's graph."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exporters.common.fit import SquareFit
from exporters.common.parity import open_session
from exporters.common.preprocess import (
    BILINEAR,
    PixelSteps,
    Preprocessing,
    Resize,
    prepend_preprocessing,
)
from tlbench.core.arrays import FloatArray, ImageArray, LabelArray
from tlbench.core.progress import Listener, task
from tlbench.model import NETWORK_INPUT, LabelledImages

FIT = SquareFit()
AS_IT_IS = Preprocessing("x")
_SHIFT_FRACTION = 0.1  # of height and width, as in Keras's example of a small CNN
_ROTATION_DEGREES = 15.0
_SAMPLE = 100_000  # images whose pixels give mean and deviation
_DIGITS = 7  # of float32

Prepare = Callable[[ImageArray], FloatArray]


def preparation(
    size: int, steps: PixelSteps, *, fit: SquareFit = FIT, resize: Resize = BILINEAR
) -> Prepare:
    """Return what the artefact's graph does to raw images, as a function to (N, S, S, 3), float32.

    A network is trained on the very pixels that it will get: crop, resize and scaling are ONNX
    Runtime's, as after the export.
    """
    from onnx import TensorProto, helper

    shape: list[str | int] = ["N", 3, size, size]
    network = helper.make_model(
        helper.make_graph(
            [helper.make_node("Identity", [NETWORK_INPUT], ["prepared"])],
            "preparation",
            [helper.make_tensor_value_info(NETWORK_INPUT, TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info("prepared", TensorProto.FLOAT, None)],
        ),
        opset_imports=[helper.make_opsetid("", 18)],
        ir_version=8,
    )
    graph = prepend_preprocessing(
        network,
        network_input=NETWORK_INPUT,
        size=(size, size),
        preprocessing=steps,
        resize=resize,
        fit=fit,
    )
    # One thread: more would wait in a busy loop beside those of the training.
    session = open_session(graph, "preprocessing", threads=1)

    def prepare(images: ImageArray) -> FloatArray:
        # Transposed here: ONNX Runtime 1.31 moves a Transpose before a Resize, and then fails.
        prepared: FloatArray = session.run(None, {"images": images})[0]
        return np.ascontiguousarray(prepared.transpose(0, 2, 3, 1))

    return prepare


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Examples:
    """Held images, uint8 (n, H, W, 3), and the class of each, int64 (n,).

    *are_squares* says that the images are cropped and resized already.
    """

    images: ImageArray
    labels: LabelArray
    are_squares: bool

    def __len__(self) -> int:
        return len(self.labels)


def hold(
    given: LabelledImages,
    size: int,
    title: str,
    listener: Listener,
    *,
    fit: SquareFit = FIT,
    resize: Resize = BILINEAR,
) -> Examples:
    """Return all images in one array: as they are, where they are small and alike.

    Larger images, and those of several sizes, are made squares of *size* pixels first, as the
    artefact does it, and rounded to bytes.
    """
    to_square = preparation(size, AS_IT_IS, fit=fit, resize=resize)
    images = given.images
    first = images[0].shape
    keeps = max(first[:2]) <= size

    def resized(image: ImageArray) -> ImageArray:
        pixels = np.clip(np.rint(to_square(image[np.newaxis])[0]), 0, 255)
        return _as_bytes(pixels)

    held: list[ImageArray] = []
    with task(listener, f"read {title}", len(images), "images"):
        for position in range(len(images)):
            image = np.asarray(images[position])
            if keeps and image.shape != first:
                held, keeps = [resized(one) for one in held], False
            held.append(image if keeps else resized(image))
            listener.advance()
    return Examples(images=np.stack(held), labels=given.labels, are_squares=not keeps)


def standardisation(images: ImageArray) -> Preprocessing:
    """Return the scaling that gives each channel of these images mean 0 and deviation 1."""
    pixels = images[:_SAMPLE].reshape(-1, 3)
    mean, deviation = pixels.mean(axis=0, dtype=np.float64), pixels.std(axis=0, dtype=np.float64)
    deviation = np.where(deviation > 0, deviation, 1.0)  # a channel of one value

    def three(values: NDArray[np.float64]) -> tuple[float, float, float]:
        red, green, blue = (float(f"{value:.{_DIGITS}g}") for value in values)
        return red, green, blue

    text = "(x - mean) / deviation, of the training images' channels"
    return Preprocessing(text, mean=three(mean), scale=three(1 / deviation))


@dataclass(frozen=True, slots=True, eq=False)
class Augmentation:
    """What happens to each image in one epoch; drawn for all images at once, whatever the batch."""

    flip: NDArray[np.bool_]  # (n,)
    shift: NDArray[np.int64]  # (n, 2), whole pixels down and to the right
    angle: NDArray[np.float64]  # (n,), radians

    @classmethod
    def draw(
        cls, names: Sequence[str], shape: tuple[int, ...], generator: np.random.Generator
    ) -> "Augmentation":
        """Draw for images of *shape* (n, H, W, 3); the same numbers are drawn for any *names*."""
        n = shape[0]
        most = np.rint(_SHIFT_FRACTION * np.array(shape[1:3])).astype(np.int64)
        flip = generator.random(n) < 0.5  # noqa: PLR2004 - half of the images
        shift = generator.integers(-most, most + 1, (n, 2))
        angle = np.deg2rad(generator.uniform(-_ROTATION_DEGREES, _ROTATION_DEGREES, n))
        return cls(
            flip=flip & ("flip" in names),
            shift=shift * ("shift" in names),
            angle=angle * ("rotate" in names),
        )

    def apply(self, images: ImageArray, rows: LabelArray) -> ImageArray:
        """Return *images*, the rows *rows* of all; beyond the border, its pixels go on."""
        found = images.copy()
        flip = self.flip[rows]
        found[flip] = found[flip, :, ::-1]
        if not self.shift[rows].any() and not self.angle[rows].any():
            return found
        height, width = images.shape[1:3]
        down, right = self.shift[rows, 0, None, None], self.shift[rows, 1, None, None]
        y, x = np.arange(height)[None, :, None] - down, np.arange(width)[None, None, :] - right
        every = np.arange(len(rows))[:, None, None]
        if not self.angle[rows].any():
            return _as_bytes(found[every, y.clip(0, height - 1), x.clip(0, width - 1)])
        cosine, sine = (f(self.angle[rows])[:, None, None] for f in (np.cos, np.sin))
        middle_y, middle_x = (height - 1) / 2, (width - 1) / 2
        from_y = cosine * (y - middle_y) - sine * (x - middle_x) + middle_y
        from_x = sine * (y - middle_y) + cosine * (x - middle_x) + middle_x
        return _bilinear(found, every, from_y.clip(0, height - 1), from_x.clip(0, width - 1))


def _bilinear(
    images: ImageArray,
    every: NDArray[np.int64],
    y: NDArray[np.float64],
    x: NDArray[np.float64],
) -> ImageArray:
    top, left = np.floor(y).astype(np.int64), np.floor(x).astype(np.int64)
    below = np.minimum(top + 1, images.shape[1] - 1)
    after = np.minimum(left + 1, images.shape[2] - 1)
    down, right = (y - top)[..., None], (x - left)[..., None]
    mixed = (1 - down) * (
        (1 - right) * images[every, top, left] + right * images[every, top, after]
    ) + down * ((1 - right) * images[every, below, left] + right * images[every, below, after])
    return _as_bytes(np.rint(mixed))


def _as_bytes(pixels: NDArray[Any]) -> ImageArray:
    found: ImageArray = pixels.astype(np.uint8, copy=False)
    return found
