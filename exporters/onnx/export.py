"""Export one ONNX file: cut, put the declared preprocessing before it, verify, write."""

import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

from exporters.common.declared import Declared, declare
from exporters.common.finish import GraphOutputs
from exporters.common.options import DEFAULT_OPSET, check_opset
from exporters.common.parity import TOLERANCE, open_session
from exporters.common.preprocess import NETWORK_INPUT
from exporters.common.publish import publish
from exporters.onnx.batch import fixed_batch, free_batch
from exporters.onnx.ends import Ends, ImageInput, Network
from exporters.onnx.network import Cut, artefact_network
from exporters.onnx.read import at_opset, opset_of, plain_model, read_file
from exporters.onnx.reference import GraphPixels, OriginalFile, preprocess
from tlbench.core.arrays import FloatArray, ImageArray
from tlbench.core.errors import ConfigError, ExportError, one_line
from tlbench.core.progress import Listener
from tlbench.model import ExportOptions, ModelCard, Weights

_MAP, _TOKENS, _VECTOR = 3, 2, 1  # axes of one image's features
_FLOATS = {np.dtype(name) for name in ("float16", "float32", "float64")}
# Four times half a unit in the last place of float16: on a CPU, ONNX Runtime computes in float32,
# and the optimisations of a graph decide which results are rounded in between.
_HALF_TOLERANCE = 4 * 2.0**-11
_QUANTISED = {"DequantizeLinear", "DynamicQuantizeLinear", "QLinearConv", "QuantizeLinear"}


def export_file(
    name: str, path: Path, options: ExportOptions, destination: Path, listener: Listener
) -> ModelCard:
    """Wrap the file, and verify it against the file itself, run on numpy's preprocessing."""
    listener.start(f"read {path.name}")
    source = read_file(path)
    plain = plain_model(source)
    network = Network(plain, source.label)
    image = network.image_input(options.layout)
    declared = _declared(name, options, image)
    size = _size(declared, image, source.label)
    ends = network.ends(options.layer, options.top_output, top=options.top)
    opset = _opset(options, plain)
    listener.finish()

    listener.start(f"cut {source.label} at {ends.features}")
    outputs = [ends.features, *([ends.logits] if ends.logits else [])]
    inside = plain if source.model.functions else source.model  # where functions hide no tensor
    original = OriginalFile(inside, image, outputs, source.label)
    cut = _cut(original, network, ends, options, size)
    model = at_opset(plain, opset, source.label)
    free_batch(model, image)
    precision = _precision(plain)
    wrapped = artefact_network(model, image, size, cut, is_quantised=precision == "int8")
    _try(wrapped, image, size, source.label)
    listener.finish()
    return publish(
        wrapped,
        backbone=name,
        source=f"ONNX file {source.label}, opset {source.opset}{source.producer}",
        weights=Weights(
            kind="file",
            sha256=source.sha256,
            origin=source.label,
            licence="stated by its author",
        ),
        size=size,
        fit=declared.fit,
        resize=declared.resize,
        preprocessing=declared.pixels,
        layer=ends.features,
        outputs=cut.outputs,
        opset=opset_of(wrapped),
        reference=_reference(original, declared, size, cut, rounds=_rounds(plain, image)),
        reference_name=(
            f"{source.label} in onnxruntime {onnxruntime.__version__} after numpy's preprocessing"
        ),
        destination=destination,
        listener=listener,
        precision=precision,
        tolerance=_HALF_TOLERANCE if "float16" in _kinds(plain) else TOLERANCE,
    )


def _declared(name: str, options: ExportOptions, image: ImageInput) -> Declared:
    """Return the declared preprocessing; bytes need none, and can have none."""
    silent = (options.scale, options.mean, options.std, options.preprocess) == (None,) * 4
    if image.dtype == "uint8" and silent:
        options = replace(options, scale=1.0)
    declared = declare(name, options)
    pixels = replace(declared.pixels, layout=image.layout)
    if (
        image.dtype == "uint8"
        and pixels.steps
        and (pixels.scale, *pixels.mean, *pixels.std) != (1, 0, 0, 0, 1, 1, 1)
    ):
        msg = (
            f"{image.name} of {name} is uint8: the network takes pixels from 0 to 255 as they are, "
            f"but {pixels.text} was declared. Leave scale, mean and std out."
        )
        raise ConfigError(msg)
    return replace(declared, pixels=pixels)


def _size(declared: Declared, image: ImageInput, label: str) -> tuple[int, int]:
    """Return height and width of the network's input, as declared or fixed in the file."""
    fixed = (image.height, image.width)
    size = declared.size or (image.height or 0, image.width or 0)
    if not all(size):
        msg = (
            f"Height and width of {image.name} in {label} are open, so any size might do. Give the "
            "size that the network was trained on as input_size=..."
        )
        raise ConfigError(msg)
    if any(edge not in {None, wanted} for edge, wanted in zip(fixed, size, strict=True)):
        found = "x".join("?" if edge is None else str(edge) for edge in fixed)
        msg = (
            f"The size declared for {label} is {size[0]}x{size[1]}, but {image.name} is fixed to "
            f"{found} in the file. Leave input_size out, or export the network for that size."
        )
        raise ConfigError(msg)
    if declared.fit.name != "squash" and size[0] != size[1]:
        msg = (
            f"fit={declared.fit.name!r} makes images square, but {label} takes {size[0]}x{size[1]} "
            "pixels. Choose fit='squash'."
        )
        raise ConfigError(msg)
    return size


def _opset(options: ExportOptions, plain: onnx.ModelProto) -> int:
    """Return the opset to write: the file's own, unless the resize or the user wants a newer."""
    found = opset_of(plain)
    if options.opset is None:
        return max(found, DEFAULT_OPSET)
    wanted = check_opset(options.opset)
    if wanted < found:
        msg = f"opset must be at least {found}, that of the file, got {wanted}."
        raise ConfigError(msg)
    return wanted


def _cut(
    original: OriginalFile,
    network: Network,
    ends: Ends,
    options: ExportOptions,
    size: tuple[int, int],
) -> Cut:
    """Run the file once to see the shapes of its ends, and return what is done with them."""
    n_images = original.image.batch or 2  # of which the first axis must be the batch
    features, *others = original.run(
        np.zeros((n_images, 3, *size), dtype=np.float32), batch=n_images
    )
    shape, label = features.shape[1:], network.label
    if features.dtype not in _FLOATS or len(shape) not in {_MAP, _TOKENS, _VECTOR}:
        msg = (
            f"{ends.features} of {label} is {features.dtype} of shape {('N', *shape)}; features "
            "must be floating-point vectors (N, C), tokens (N, T, C) or maps. Choose another "
            f"tensor with layer=...; `tlbench inspect {label} --tensors` lists them."
        )
        raise ExportError(msg)
    pools = len(shape) > _VECTOR
    layout = network.map_layout(ends.features) if len(shape) == _MAP else None
    if len(shape) == _MAP and layout is None:
        # Nothing tells, as after a Reshape: most frameworks have the channels second.
        layout = "NCHW"
    positions = {"NCHW": shape[1:], "NHWC": shape[:-1], None: shape[:-1]}[layout]
    n_channels = shape[0] if layout == "NCHW" else shape[-1]
    is_pooled = math.prod(positions) == 1
    pooling = options.pooling if pools and not is_pooled else "none"
    flat = (n_channels,) if pooling != "none" or is_pooled else (*positions, n_channels)
    n_classes = None
    for logits in others:
        n_classes = math.prod(logits.shape[1:])
        if logits.dtype not in _FLOATS or max(logits.shape[1:], default=0) != n_classes:
            msg = (
                f"{ends.logits} of {label} is {logits.dtype} of shape {('N', *logits.shape[1:])}; "
                "logits must be (N, classes). Name them with top_output=..."
            )
            raise ExportError(msg)
    return Cut(
        ends=ends,
        shape=shape,
        is_float32=features.dtype == np.float32,
        logits_are_float32=all(logits.dtype == np.float32 for logits in others),
        layout=layout,
        outputs=GraphOutputs(
            pools=pools and not is_pooled,
            pooling=pooling,
            feature_shape=flat,
            n_classes=n_classes,
        ),
    )


_FAILED_NODE = re.compile(r"running (\w+) node\. Name:'([^']*)'")


def _try(network: onnx.ModelProto, image: ImageInput, size: tuple[int, int], label: str) -> None:
    """Run the network on two images; raise ExportError if a fixed batch cannot be made dynamic."""
    try:
        session = open_session(network)
        found = session.run(None, {NETWORK_INPUT: np.zeros((2, 3, *size), dtype=np.float32)})
    except Exception as error:
        text = one_line(error)
        node = _FAILED_NODE.search(text)
        if image.batch is not None and node is not None:
            raise ExportError(f"{fixed_batch(label, node[1], node[2])} {text:.200}") from error
        msg = f"ONNX Runtime cannot run the exported graph of {label}: {text:.300}"
        raise ExportError(msg) from error
    for output, array in zip(network.graph.output, found, strict=True):
        if len(array) != 2:  # noqa: PLR2004 - images
            raise ExportError(fixed_batch(label, "a node", output.name))


def _kinds(model: onnx.ModelProto) -> set[str]:
    """Return the types of the file's constants, by numpy's names."""
    kinds = {tensor.data_type for tensor in model.graph.initializer}
    kinds |= {value.type.tensor_type.elem_type for value in model.graph.input}
    return {str(onnx.helper.tensor_dtype_to_np_dtype(kind)) for kind in kinds}


def _precision(model: onnx.ModelProto) -> str:
    """Return the precision of the network, in the words of the card."""
    if any(node.op_type in _QUANTISED for node in model.graph.node):
        return "int8"
    return "fp16" if "float16" in _kinds(model) else "fp32"


def _rounds(model: onnx.ModelProto, image: ImageInput) -> bool:
    """Tell whether the network rounds: two inputs that are as good as equal may then differ."""
    return image.dtype in {"uint8", "float16"} or any(
        node.op_type in _QUANTISED or node.op_type == "Cast" for node in model.graph.node
    )


def _reference(
    original: OriginalFile, declared: Declared, size: tuple[int, int], cut: Cut, *, rounds: bool
) -> Callable[[ImageArray], list[FloatArray]]:
    """Return the function that computes features, and logits if any, by the original file.

    Where the network rounds, half way between two values, numpy's last digit and the graph's would
    decide differently: there the graph's preprocessing is compared with numpy's by itself, and the
    file gets what it gave.
    """
    seen = GraphPixels(declared, size, DEFAULT_OPSET) if rounds else None

    def reference(images: ImageArray) -> list[FloatArray]:
        pixels = seen(images) if seen is not None else preprocess(images, declared, size)
        features, *others = (array.astype(np.float32) for array in original.run(pixels))
        if cut.layout == "NCHW":
            features = features.transpose(0, 2, 3, 1)
        axes = tuple(range(1, features.ndim - 1))
        if cut.outputs.pooling == "avg":
            features = features.mean(axis=axes)
        elif cut.outputs.pooling == "max":
            features = features.max(axis=axes)
        return [array.reshape(len(images), -1) for array in (features, *others)]

    return reference
