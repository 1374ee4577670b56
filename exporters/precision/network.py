"""An exported file as two graphs, the preprocessing and the network, and how they are published."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path

import numpy as np
import onnx

from exporters.common.parity import open_session
from exporters.common.publish import write_with_card
from tlbench.core.arrays import FloatArray, ImageArray, cosine_similarity
from tlbench.core.errors import ExportError, one_line
from tlbench.core.progress import Listener, task
from tlbench.model import (
    SIDES_PREFIX,
    Conversion,
    ConversionOptions,
    Drift,
    ModelCard,
    OnnxModel,
)

# Of `exporters.common.preprocess`: the chain begins with these operators, apart from those that
# make images square, and the names of its constants with this prefix.
_BEGINNING = ("Transpose", "Cast", "Resize")
_FITTING = {"Slice": "cropped", "Pad": "padded"}
_CONSTANT_PREFIX = "preprocess_"
# Small: a calibration may look at every tensor of the network at once, for all images of a batch.
BATCH_SIZE = 8


@dataclass(frozen=True, slots=True)
class Parts:
    """Two models that meet in a tensor, float32 (N, 3, height, width)."""

    preprocessing: onnx.ModelProto
    network: onnx.ModelProto


def split(source: OnnxModel) -> Parts:
    """Return the preprocessing and the network of a file that tlbench exported."""
    graph = source.proto.graph
    length = _preprocessing_length(graph)
    card = source.card
    if card is None or not length:
        msg = (
            f"{source.path} was not exported by tlbench, so the end of its preprocessing is "
            "unknown. Export a backbone by its name at this precision."
        )
        raise ExportError(msg)
    shape: list[str | int] = ["N", 3, *card.input_size]
    between = onnx.helper.make_tensor_value_info(
        graph.node[length - 1].output[0], onnx.TensorProto.FLOAT, shape
    )
    nodes = list(graph.node)
    return Parts(
        _with_graph(source.proto, nodes[:length], list(graph.input), [between]),
        _with_graph(source.proto, nodes[length:], [between], list(graph.output)),
    )


def _preprocessing_length(graph: onnx.GraphProto) -> int:
    """Return how many nodes at the beginning are the preprocessing; 0 if it is not tlbench's."""
    tensor, length, n_fitting = graph.input[0].name, 0, 0
    for node in graph.node:
        output = node.output[0]
        if output.startswith(SIDES_PREFIX) or _FITTING.get(node.op_type) == output:
            n_fitting += 1
            tensor = tensor if output.startswith(SIDES_PREFIX) else output
            continue
        is_first = length < len(_BEGINNING)
        follows = bool(node.input) and node.input[0] == tensor
        if is_first and not (follows and node.op_type == _BEGINNING[length]):
            return 0
        constants = [name for name in node.input[1:] if name.startswith(_CONSTANT_PREFIX)]
        if not is_first and not (follows and constants):
            break
        tensor, length = output, length + 1
    return length + n_fitting


def _with_graph(
    model: onnx.ModelProto,
    nodes: list[onnx.NodeProto],
    inputs: list[onnx.ValueInfoProto],
    outputs: list[onnx.ValueInfoProto],
) -> onnx.ModelProto:
    """Return a model of some of the nodes, with the constants that they read."""
    read = {name for node in nodes for name in node.input}
    constants = [tensor for tensor in model.graph.initializer if tensor.name in read]
    graph = onnx.helper.make_graph(nodes, model.graph.name, inputs, outputs, constants)
    return onnx.helper.make_model(
        graph, opset_imports=model.opset_import, ir_version=model.ir_version
    )


def batches(parts: Parts, images: Sequence[ImageArray]) -> Iterator[FloatArray]:
    """Yield preprocessed batches (at most ``BATCH_SIZE``, 3, height, width) for the network."""
    preprocess = _runner(parts.preprocessing)
    for start in range(0, len(images), BATCH_SIZE):
        yield np.concatenate([preprocess(image) for image in images[start : start + BATCH_SIZE]])


def software_versions() -> dict[str, str]:
    """Return the versions of the software that a converted file depends on."""
    found = {}
    for name in ("tlbench", "onnx", "onnxruntime-gpu", "onnxruntime"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:  # one of the two ONNX Runtimes is absent
            continue
    return found


def measure_drift(features: FloatArray, reference: FloatArray) -> Drift:
    """Return the drift of *features* from the source's, both (n_images, n_features), float32."""
    if not (np.isfinite(features).all() and np.isfinite(reference).all()):
        raise ExportError("The converted file's features, or its source's, are not finite.")
    ours, theirs = features.astype(np.float64), reference.astype(np.float64)
    lengths = np.linalg.norm(theirs, axis=1)
    if not lengths.any():
        msg = "The source's features of every image are all zero, so they cannot be compared."
        raise ExportError(msg)
    lengths[lengths == 0] = lengths.max()  # an image without any feature, as in the parity check
    cosine = cosine_similarity(ours, theirs)
    relative = np.linalg.norm(ours - theirs, axis=1) / lengths
    return Drift(
        n_images=len(ours),
        min_cosine=float(cosine.min()),
        mean_cosine=float(cosine.mean()),
        median_rel=float(np.median(relative)),
    )


def convert_and_publish(
    source: OnnxModel,
    destination: Path,
    options: ConversionOptions,
    listener: Listener,
    *,
    convert: Callable[[Parts], tuple[onnx.ModelProto, tuple[str, ...]]],
    precision: str,
    method: str,
    default_min_cosine: float,
    reduce_range: bool | None,
) -> ModelCard:
    """Convert the network of *source*, measure the drift, write the file and return its card.

    *convert* returns the converted network and what it keeps in float32. After an error
    *destination* is untouched.
    """
    with task(listener, f"convert to {precision}"):
        parts = split(source)
        network, kept_in_float = convert(parts)
    assert source.card is not None
    model = _join(parts, network)
    with task(listener, f"measure the drift of {precision}", len(options.held_out), "images"):
        drift = _drift(model, source, options.held_out)
    limit = options.min_cosine
    if limit is None and source.card.weights.kind != "random":  # which have no accuracy to lose
        limit = default_min_cosine
    if limit is not None and drift.min_cosine < limit:
        msg = (
            f"The {precision} features drift too far from the fp32 file's: the smallest cosine on "
            f"{drift.n_images} images of {options.sample.dataset} is {drift.min_cosine:.6f} (mean "
            f"{drift.mean_cosine:.6f}), the limit is {limit:g}. Nothing was written. Calibrate on "
            "images like yours with calibrate='DATASET', or accept the drift with a lower "
            "min_cosine."
        )
        raise ExportError(msg)
    conversion = Conversion(
        precision=precision,
        method=method,
        software=software_versions(),
        source_sha256=source.sha256,
        images=options.sample,
        reduce_range=reduce_range,
        kept_in_float=("preprocessing", *kept_in_float),
        drift=drift,
    )
    card = replace(source.card, precision=precision, conversion=conversion)
    write_with_card(model, card, destination)
    return card


def _join(parts: Parts, network: onnx.ModelProto) -> onnx.ModelProto:
    """Return a model of raw images: the preprocessing of *parts*, then *network*."""
    first = parts.preprocessing.graph
    joined = onnx.ModelProto()
    joined.CopyFrom(network)
    graph = joined.graph
    nodes = [*first.node, *graph.node]
    del graph.node[:], graph.input[:]
    graph.node.extend(nodes)
    graph.input.extend(first.input)
    graph.initializer.extend(first.initializer)
    if any(node.output[0].startswith(SIDES_PREFIX) for node in first.node):
        graph.value_info.extend(first.output)  # as in `prepend_preprocessing`
    return joined


def _drift(model: onnx.ModelProto, source: OnnxModel, images: Sequence[ImageArray]) -> Drift:
    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError as error:
        msg = f"The converted graph is not valid ONNX: {one_line(error)}"
        raise ExportError(msg) from error
    ours, theirs = (
        np.stack([features(image).reshape(-1) for image in images])
        for features in (_runner(model), _runner(source.proto))
    )
    return measure_drift(ours, theirs)


def _runner(model: onnx.ModelProto) -> Callable[[ImageArray], FloatArray]:
    """Return a function that gives the model's first output for one raw image of any size."""
    session = open_session(model, "converted graph")
    (name,) = (tensor.name for tensor in session.get_inputs())
    output = session.get_outputs()[0].name  # of a whole model the features; logits are the second

    def run(image: ImageArray) -> FloatArray:
        first: FloatArray = session.run([output], {name: image[np.newaxis]})[0]
        return first.astype(np.float32, copy=False)

    return run
