"""Compare an exported graph with the implementation it came from, on the same raw images."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from exporters.common.fit import SQUASH, SquareFit
from tlbench.core.arrays import FloatArray, ImageArray, cosine_similarity
from tlbench.core.errors import ExportError, one_line
from tlbench.model import Parity

if TYPE_CHECKING:
    import onnx

# Float32 sums in another order differ by about 1e-6 of the largest feature; a wrong resize, scale,
# padding or layer differs by 1e-2 and more.
TOLERANCE = 1e-4
# Two sizes, one not square and neither the size of any network's input: the resize inside the graph
# is verified together with the network, enlarging and (below 96 pixels of input) reducing.
_SHAPES = ((4, 32, 32), (2, 96, 80))


def probe_batches(
    seed: int = 0, *, fit: SquareFit = SQUASH, odd_sizes: bool = False
) -> list[ImageArray]:
    """Return the raw images that an export is verified on: uint8 batches (N, H, W, 3).

    They have most energy at low frequencies, like photographs, and reveal a swapped axis or
    channel. A crop or padding has an odd remainder in one batch. With *odd_sizes* no nearest pixel
    is half way between two, where rounding decides.
    """
    generator = np.random.default_rng(seed)
    batches = []
    for n_images, height, width in _SHAPES:
        coarse = generator.uniform(30, 225, (n_images, height // 8, width // 8, 3))
        patches = coarse.repeat(8, axis=1).repeat(8, axis=2)
        noise = generator.normal(0, 20, patches.shape)
        images = np.clip(patches + noise, 0, 255).astype(np.uint8)
        if odd_sizes:
            images = images[:, :-1, :-1]
            while fit.side(*images.shape[1:3]) % 2 == 0:
                images = images[:, :-2, :-2]
        elif fit.name != "squash" and height != width:
            images = images[:, :, :-1]
        batches.append(images.copy())
    return batches


def open_session(
    model: "onnx.ModelProto | bytes", what: str = "exported graph", threads: int = 0
) -> Any:  # noqa: ANN401 - ONNX Runtime has no types
    """Return a quiet ONNX Runtime session on the CPU; raise ExportError if it refuses the graph."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # fatal: what it refuses is raised below
    options.intra_op_num_threads = threads  # 0: one for each core
    content = model if isinstance(model, bytes) else model.SerializeToString()
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's own error types have no other common base
        msg = f"ONNX Runtime cannot load the {what}: {one_line(error)}"
        raise ExportError(msg) from error


def runtime_name() -> str:
    """Return the name and version of the runtime of `open_session`."""
    import onnxruntime

    return f"onnxruntime {onnxruntime.__version__}"


def measure_parity(
    model: bytes,
    *,
    reference: Callable[[ImageArray], Sequence[FloatArray]],
    reference_name: str,
    batches: Sequence[ImageArray],
    tolerance: float = TOLERANCE,
) -> Parity:
    """Return how far *model*, run by ONNX Runtime on the CPU, is from the reference.

    The reference maps uint8 (N, H, W, 3) to one float32 array (N, ...) for each output of the
    graph. *tolerance* is relative to an image's largest absolute feature, or to that of all images
    where an image has none.
    """
    session = open_session(model)
    names = [output.name for output in session.get_outputs()]
    ours: dict[str, list[FloatArray]] = {name: [] for name in names}
    theirs: dict[str, list[FloatArray]] = {name: [] for name in names}
    for images in batches:
        try:
            outputs = session.run(names, {"images": images})
        except Exception as error:  # as in `open_session`
            msg = (
                f"ONNX Runtime cannot run the exported graph on images of shape {images.shape}: "
                f"{one_line(error):.300} Nothing was written."
            )
            raise ExportError(msg) from error
        for name, actual, expected in zip(names, outputs, reference(images), strict=True):
            if actual.shape != expected.shape:
                msg = (
                    f"Output {name!r} has shape {actual.shape}, but the reference has shape "
                    f"{expected.shape}. Nothing was written."
                )
                raise ExportError(msg)
            if not (np.isfinite(actual).all() and np.isfinite(expected).all()):
                msg = f"Output {name!r} or its reference is not finite. Nothing was written."
                raise ExportError(msg)
            ours[name].append(actual.reshape(len(images), -1))
            theirs[name].append(expected.reshape(len(images), -1))
    max_abs, max_rel, min_cosine, n_images = 0.0, 0.0, 1.0, sum(map(len, batches))
    for name in names:
        mine, other = (np.concatenate(x[name]).astype(np.float64) for x in (ours, theirs))
        difference, scale = (np.abs(x).max(axis=1) for x in (mine - other, other))
        if not scale.any():
            msg = (
                f"The reference's {name!r} are all zero for every image, so that there is nothing "
                "to compare with. Nothing was written."
            )
            raise ExportError(msg)
        # A small image may leave a deep network without any feature: then the others are the scale.
        scale[scale == 0] = scale.max()
        max_abs = max(max_abs, float(difference.max()))
        max_rel = max(max_rel, float((difference / scale).max()))
        min_cosine = min(min_cosine, float(cosine_similarity(mine, other).min()))
    if max_rel > tolerance:
        msg = (
            f"The exported graph differs from {reference_name} by {max_rel:.2g} of the largest "
            f"feature (cosine {min_cosine:.6f}, {n_images} images); at most {tolerance:g} is "
            "allowed. Nothing was written."
        )
        raise ExportError(msg)
    return Parity(
        reference=reference_name,
        n_images=n_images,
        max_abs=max_abs,
        max_rel=max_rel,
        min_cosine=min_cosine,
    )
