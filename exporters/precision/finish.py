"""The last steps of every conversion: measure the drift, refuse or write."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx

from exporters.common.publish import write_with_card
from exporters.precision.runtime import open_session, run_each
from exporters.precision.software import software_versions
from tlbench.core.arrays import FloatArray, ImageArray
from tlbench.core.errors import ExportError
from tlbench.core.progress import Listener
from tlbench.model import Conversion, ConversionOptions, Drift, ModelCard, OnnxModel


def measure_drift(features: FloatArray, reference: FloatArray) -> Drift:
    """Compare features with those of the source, image by image.

    Parameters
    ----------
    features, reference : ndarray of shape (n_images, n_features), float32

    Raises
    ------
    ExportError
        If anything is not finite, or an image has no features but zeros in the reference.
    """
    if not (np.isfinite(features).all() and np.isfinite(reference).all()):
        raise ExportError("The converted file's features, or its source's, are not finite.")
    ours, theirs = features.astype(np.float64), reference.astype(np.float64)
    lengths = np.linalg.norm(theirs, axis=1)
    if not lengths.all():
        raise ExportError("The source's features are all zero for an image: nothing to compare.")
    products = lengths * np.linalg.norm(ours, axis=1)
    cosine = (ours * theirs).sum(axis=1) / np.where(products > 0, products, np.inf)
    relative = np.linalg.norm(ours - theirs, axis=1) / lengths
    return Drift(
        n_images=len(ours),
        min_cosine=float(cosine.min()),
        mean_cosine=float(cosine.mean()),
        median_rel=float(np.median(relative)),
    )


def finish(
    model: onnx.ModelProto,
    source: OnnxModel,
    destination: Path,
    options: ConversionOptions,
    listener: Listener,
    *,
    precision: str,
    method: str,
    default_min_cosine: float,
    reduce_range: bool | None,
    kept_in_float: tuple[str, ...],
) -> ModelCard:
    """Measure the drift of the converted *model* and write it, or refuse.

    Raises
    ------
    ExportError
        If ONNX Runtime cannot run the model, or an image's features are below the smallest allowed
        cosine with the source's; *destination* is untouched then.
    StorageError
        If *destination* cannot be written.
    """
    assert source.card is not None
    listener.start(f"measure the drift of {precision}", len(options.held_out), "images")
    try:
        drift = _drift(model, source, options.held_out)
    finally:
        listener.finish()
    least = options.min_cosine
    if least is None and source.card.weights.kind != "random":  # those have a latency, no accuracy
        least = default_min_cosine
    if least is not None and drift.min_cosine < least:
        msg = (
            f"The {precision} features drift too far from the fp32 file's: smallest cosine "
            f"{drift.min_cosine:.6f}, mean {drift.mean_cosine:.6f} ({drift.n_images} images of "
            f"{options.sample.dataset}), at least {least:g} is asked for. Nothing was written. "
            "Calibrate on images like yours (--calibrate), or accept it with a lower --min-cosine."
        )
        raise ExportError(msg)
    conversion = Conversion(
        precision=precision,
        method=method,
        software=software_versions(),
        source_sha256=source.sha256,
        images=options.sample,
        reduce_range=reduce_range,
        kept_in_float=kept_in_float,
        drift=drift,
    )
    card = replace(source.card, precision=precision, conversion=conversion)
    write_with_card(model, card, destination)
    return card


def _drift(model: onnx.ModelProto, source: OnnxModel, images: Sequence[ImageArray]) -> Drift:
    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError as error:
        raise ExportError(f"The converted graph is not valid ONNX: {error}") from error
    output = source.outputs[0].name  # the features; with --top the logits are the second
    ours, theirs = (
        run_each(open_session(content), images, output)
        for content in (model.SerializeToString(), source.path.read_bytes())
    )
    return measure_drift(ours, theirs)
