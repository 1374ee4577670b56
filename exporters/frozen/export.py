"""Export one frozen graph: cut, rewrite, convert, verify, write."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from exporters.common.finish import UNPOOLED, GraphOutputs, few_optimisers, finish
from exporters.common.fit import choose_fit
from exporters.common.options import check_opset_of_tf2onnx
from exporters.common.publish import publish
from exporters.common.session import Frameworks, keras_session
from exporters.frozen.chain import Chain, find_chain
from exporters.frozen.graph import FrozenGraph, OpenGraph, data_inputs, opened, read_graph
from exporters.frozen.network import free_batch, network_graph
from tlbench.core.arrays import FloatArray, ImageArray
from tlbench.core.errors import ConfigError, ExportError
from tlbench.core.progress import Listener
from tlbench.model import NETWORK_INPUT, ExportOptions, ModelCard, Weights

_MAP_RANK, _VECTOR_RANK, _IMAGE_RANK, _CHANNELS = 4, 2, 3, 3


@dataclass(frozen=True, slots=True, kw_only=True)
class FrozenSource:
    """A frozen graph and what is known of it."""

    name: str  # of the backbone, for the card
    label: str  # the file's name
    content: bytes  # the serialised GraphDef
    weights: Weights
    input_tensor: str  # takes the image; named as the user writes it
    output_tensor: str  # becomes the features; named as the user writes it
    option: str = "output_tensor"  # the parameter that names the output
    softmax: str | None = None  # a Softmax that reads the logits, if there are any
    n_features: int | None = None  # the expected number of features, if that is known
    check: Callable[[FrozenGraph], None] = lambda _: None  # raises if it is another graph


def export_graph(
    source: FrozenSource, options: ExportOptions, destination: Path, listener: Listener
) -> ModelCard:
    """Convert the graph with tf2onnx and verify it against the graph run in TensorFlow."""
    fit = choose_fit(options, default="squash")  # as the graph itself does
    with keras_session() as frameworks:
        opset = check_opset_of_tf2onnx(frameworks, options.opset)
        listener.start(f"read {source.label}")
        graph = read_graph(frameworks.tf, source.content, source.label)
        source.check(graph)
        with opened(graph) as original:
            listener.finish()
            listener.start(f"convert {source.label} with tf2onnx")
            network, parts = _convert(frameworks, source, options, original, opset=opset)
            height, width = parts.chain.size
            if fit.name != "squash" and height != width:
                msg = (
                    f"fit={fit.name!r} makes images square, but {source.label} resizes them to "
                    f"{height}x{width}. Leave fit out."
                )
                raise ConfigError(msg)
            listener.finish()
            return publish(
                network,
                backbone=source.name,
                source=(
                    f"frozen graph {source.label} from {parts.image}, tensorflow "
                    f"{frameworks.tf.__version__}, tf2onnx {frameworks.tf2onnx.__version__}"
                ),
                weights=source.weights,
                size=parts.chain.size,
                fit=fit,
                resize=parts.chain.resize,
                preprocessing=parts.chain,
                layer=parts.outputs[0],
                outputs=parts.wanted,
                opset=opset,
                reference=parts.reference,
                reference_name=f"{source.label} in tensorflow {frameworks.tf.__version__}",
                destination=destination,
                listener=listener,
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    """The original graph, and the parts of it that are exported."""

    original: OpenGraph
    image: str
    outputs: list[str]
    chain: Chain
    wanted: GraphOutputs

    def reference(self, images: ImageArray) -> list[FloatArray]:
        """Compute features, and logits if there are any, by the original graph in TensorFlow."""
        features, *others = self.original.run(
            images, self.image, self.outputs, adds_batch=self.chain.adds_batch
        )
        pool = {"avg": np.mean, "max": np.max, "none": None}[self.wanted.pooling]
        if pool is not None:
            features = [pool(array, axis=(1, 2)) for array in features]
        return [np.stack([array.reshape(-1) for array in arrays]) for arrays in (features, *others)]


def _convert(
    frameworks: Frameworks,
    source: FrozenSource,
    options: ExportOptions,
    original: OpenGraph,
    *,
    opset: int,
) -> tuple[onnx.ModelProto, _Parts]:
    """Return the network as ONNX, and the parts of the graph that it was made of."""
    graph = original.frozen
    image = graph.find(source.input_tensor, "input_tensor")
    outputs = [graph.find(source.output_tensor, source.option)]
    if options.top:
        outputs.append(_logits(graph, source))
    chain = find_chain(graph, image, outputs)
    _check_types(original, image, outputs, chain)
    network, names = network_graph(graph, cut=chain.cut, size=chain.size, outputs=outputs)
    wanted = _outputs(outputs, free_batch(graph.tf, network, names, source.label), options)
    if source.n_features not in {None, math.prod(wanted.feature_shape)}:
        msg = (
            f"{outputs[0]} of {source.label} gives features of shape {wanted.feature_shape}, not "
            f"{source.n_features}: it is another graph."
        )
        raise ExportError(msg)
    fed = f"{NETWORK_INPUT}:0"
    full = [name if ":" in name else f"{name}:0" for name in names]
    renamed = dict(zip(full, [UNPOOLED if wanted.pools else "features", "logits"], strict=False))
    with few_optimisers():
        model: onnx.ModelProto
        model, _ = frameworks.tf2onnx.convert.from_graph_def(
            network,
            input_names=[fed],
            output_names=full,
            opset=opset,
            inputs_as_nchw=[fed],
            tensors_to_rename={fed: NETWORK_INPUT} | renamed,
        )
    finish(frameworks, model, wanted, model_name_first=False)
    return model, _Parts(
        original=original, image=image, outputs=outputs, chain=chain, wanted=wanted
    )


def _logits(graph: FrozenGraph, source: FrozenSource) -> str:
    node = graph.node(source.softmax or "")
    if node.op != "Softmax":
        msg = f"{node.name} of {graph.label} is {node.op}, not Softmax: the graph has no logits."
        raise ExportError(msg)
    return next(data_inputs(node))


def _check_types(original: OpenGraph, image: str, outputs: list[str], chain: Chain) -> None:
    tf, label = original.frozen.tf, original.frozen.label
    source = original.tensor(image)
    rank = _IMAGE_RANK if chain.adds_batch else _IMAGE_RANK + 1
    shape = source.shape.as_list() if source.shape.rank is not None else [None] * rank
    if source.dtype != tf.uint8:
        msg = (
            f"{image} of {label} is {source.dtype.name}, and the graph does not say which "
            "pixel values it expects. Name a uint8 tensor as input_tensor."
        )
        raise ExportError(msg)
    free = len(shape) == rank and shape[-3] is None and shape[-2] is None
    if not free or shape[-1] not in {None, _CHANNELS}:
        msg = (
            f"{image} of {label} has shape {tuple(shape)}, but it must take RGB images of "
            "any size: (H, W, 3) or (N, H, W, 3)."
        )
        raise ExportError(msg)
    for name in outputs:
        if original.tensor(name).dtype != tf.float32:
            msg = f"{name} of {label} is {original.tensor(name).dtype.name}, not float32."
            raise ExportError(msg)


def _outputs(
    outputs: list[str], shapes: list[tuple[int, ...]], options: ExportOptions
) -> GraphOutputs:
    shape = shapes[0]
    if len(shape) + 1 not in {_MAP_RANK, _VECTOR_RANK}:
        msg = (
            f"{outputs[0]} has shape {(None, *shape)}; features must be maps (N, H, W, C) or "
            "vectors (N, C). Choose another tensor."
        )
        raise ExportError(msg)
    pools = len(shape) + 1 == _MAP_RANK
    # Where one position is left, the graph has pooled already.
    pooling = options.pooling if pools and shape[:2] != (1, 1) else "none"
    return GraphOutputs(
        pools=pools,
        pooling=pooling,
        feature_shape=shape[-1:] if pooling != "none" or shape[:2] == (1, 1) else shape,
        n_classes=shapes[1][-1] if len(shapes) > 1 else None,
    )
