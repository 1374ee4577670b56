"""Turn a module of PyTorch into an ONNX graph."""

import math
from typing import Protocol

import onnx
import torch

from exporters.common.finish import GraphOutputs, rename
from exporters.torch.factory import described
from tlbench.core.errors import ExportError
from tlbench.model import NETWORK_INPUT


class Convertible(Protocol):
    """A module that gives features, and logits where it has classes; see `Extractor`."""

    @property
    def name(self) -> str:
        """Of the network, for errors."""

    @property
    def outputs(self) -> GraphOutputs:
        """What it gives."""


def convert(module: Convertible, images: torch.Tensor, opset: int) -> onnx.ModelProto:
    """Return the graph from ``NETWORK_INPUT``, float32 (N, 3, H, W), to the module's outputs.

    ExportError if PyTorch cannot convert the network, or not for any N.
    """
    names = ["features"] if module.outputs.n_classes is None else ["features", "logits"]
    try:
        program = torch.onnx.export(
            module,
            (images,),
            input_names=[NETWORK_INPUT],
            output_names=names,
            opset_version=opset,
            dynamo=True,
            dynamic_shapes=({0: torch.export.Dim("N", min=1)},),
            external_data=False,
            verbose=False,
        )
        model: onnx.ModelProto = program.model_proto
    except Exception as error:
        raise _failed(module.name, error) from error
    foreign = {f"{node.domain}.{node.op_type}" for node in model.graph.node if node.domain}
    if foreign:
        msg = (
            f"{module.name} has operators that ONNX itself lacks: {', '.join(sorted(foreign))}. "
            "Choose a layer before them."
        )
        raise ExportError(msg)
    _tidy(model, names, module.outputs)
    return model


def _failed(name: str, error: BaseException) -> ExportError:
    reason = error
    while reason.__cause__ is not None:  # PyTorch wraps the reason in advice for its developers
        reason = reason.__cause__
    return ExportError(
        f"torch {torch.__version__} cannot convert {name} to ONNX: {described(reason)} The network "
        "must do the same for all images and for batches of any size; it may be possible to choose "
        "a layer before the operation that does not."
    )


def _name_after_modules(graph: onnx.GraphProto) -> None:
    """Name what a layer with weights gives after its module: reports name layers by it."""
    taken = {value.name for value in graph.output}
    names: dict[str, str] = {}
    for tensor in graph.initializer:
        # Where the network is inside the module that is converted.
        short = tensor.name.removeprefix("trunk.").removeprefix("network.")
        # A name with a dot is a module's; one without might be that of another tensor.
        names[tensor.name] = short if "." in short else tensor.name
        tensor.name = names[tensor.name]
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        weights = node.input[1] if len(node.input) > 1 else ""
        module = weights.removesuffix(".weight")
        # A module may run twice; its second output keeps the name that PyTorch gave it.
        if module != weights and module not in taken and node.output[0] not in taken:
            taken.add(module)
            names[node.output[0]] = f"{module}.output"
            node.output[0] = names[node.output[0]]


def _tidy(model: onnx.ModelProto, names: list[str], outputs: GraphOutputs) -> None:
    """Remove the notes of PyTorch, with the paths of the machine in them, and name the axes."""
    graph = model.graph
    del graph.value_info[:]
    del model.metadata_props[:], graph.metadata_props[:]
    for node in graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    for tensor in graph.initializer:
        del tensor.metadata_props[:]
    sizes = [math.prod(outputs.feature_shape), outputs.n_classes]
    del graph.output[:]
    for name, size in zip(names, sizes, strict=False):
        graph.output.append(
            onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["N", size])
        )
    _name_after_modules(graph)
    rename(graph, model_name_first=False)
    graph.name, graph.doc_string, model.doc_string = "backbone", "", ""
    used = {node.domain for node in graph.node} | {""}
    opsets = [entry for entry in model.opset_import if entry.domain in used]
    del model.opset_import[:]
    model.opset_import.extend(opsets)
