"""Compare an exported graph with the implementation it came from."""

from collections.abc import Callable, Sequence

import numpy as np

from tlbench.core.arrays import FloatArray, ImageArray
from tlbench.core.errors import ExportError
from tlbench.model import Parity

# Float32 sums in another order differ by about 1e-6 of the largest feature; a wrong resize, scale,
# padding or layer differs by 1e-2 and more.
TOLERANCE = 1e-4


def measure_parity(
    model: bytes,
    *,
    reference: Callable[[ImageArray], Sequence[FloatArray]],
    reference_name: str,
    batches: Sequence[ImageArray],
    tolerance: float = TOLERANCE,
) -> Parity:
    """Run the same raw images through ONNX Runtime on the CPU and through the reference.

    Parameters
    ----------
    model : bytes
        The serialised graph, input ``images``.
    reference : callable
        Takes a uint8 batch (N, H, W, 3); returns one float32 array (N, ...) for each graph output.
    batches : sequence of ndarray
        uint8 images (N, H, W, 3).
    tolerance : float
        Largest allowed difference of a feature, relative to the image's largest absolute feature.

    Raises
    ------
    ExportError
        If an output's shape differs, anything is not finite, or the difference is above
        *tolerance*.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    max_abs, max_rel, min_cosine, n_images = 0.0, 0.0, 1.0, 0
    for images in batches:
        n_images += len(images)
        try:
            outputs = session.run(names, {"images": images})
        except Exception as error:  # ONNX Runtime's own kinds have no common base but this
            msg = (
                f"ONNX Runtime cannot run the exported graph on images {images.shape}: "
                f"{' '.join(str(error).split()):.300} Nothing was written."
            )
            raise ExportError(msg) from error
        for name, actual, expected in zip(names, outputs, reference(images), strict=True):
            if actual.shape != expected.shape:
                msg = f"Output {name!r} has shape {actual.shape}, the reference {expected.shape}."
                raise ExportError(msg)
            if not (np.isfinite(actual).all() and np.isfinite(expected).all()):
                raise ExportError(f"Output {name!r} or its reference is not finite.")
            ours = actual.reshape(len(images), -1).astype(np.float64)
            theirs = expected.reshape(len(images), -1).astype(np.float64)
            difference = np.abs(ours - theirs).max(axis=1)
            scale = np.abs(theirs).max(axis=1)
            if not scale.all():
                msg = f"The reference's {name!r} are all zero for an image: nothing to compare."
                raise ExportError(msg)
            norms = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
            cosine = (ours * theirs).sum(axis=1) / np.where(norms > 0, norms, np.inf)
            max_abs = max(max_abs, float(difference.max()))
            max_rel = max(max_rel, float((difference / scale).max()))
            min_cosine = min(min_cosine, float(cosine.min()))
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
