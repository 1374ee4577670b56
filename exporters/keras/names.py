"""Give the parts of a graph short names that are the same in each export."""

import re
from collections import Counter

import onnx

# tf2onnx numbers what it makes by a counter of the process: "Conv__3948", "Cast/x:0"; and
# exporters.keras.layout marks what it has rewritten.
_NUMBERING = re.compile(r"__\d+|:\d+|_first")


def rename(graph: onnx.GraphProto, *, model_name_first: bool = True) -> None:
    """Rename nodes, tensors and constants in place, and sort the constants by first use.

    The same network with the same weights is then the same bytes, whatever was exported before it
    in this process: caches that are keyed by a model's digest hold. Inputs and outputs keep their
    names; nodes are named after what they compute.

    Parameters
    ----------
    model_name_first : bool
        Whether names begin with that of the model as a whole, which says nothing here.
    """
    fixed = [value.name for value in (*graph.input, *graph.output)]
    names: dict[str, str] = {"": "", **{name: name for name in fixed}}
    taken = Counter(fixed)

    def new_name(name: str) -> str:
        if name not in names:
            base = _NUMBERING.sub("", name)
            if model_name_first:
                base = base.split("/", 1)[-1]
            taken[base] += 1
            names[name] = base if taken[base] == 1 else f"{base}__{taken[base]}"
        return names[name]

    for node in graph.node:
        for position, name in enumerate(node.input):
            node.input[position] = new_name(name)
        for position, name in enumerate(node.output):
            node.output[position] = new_name(name)
        node.name = node.output[0]
    constants = {tensor.name: tensor for tensor in graph.initializer}
    ordered = []
    for old, new in names.items():
        if old in constants:
            constants[old].name = new
            ordered.append(constants[old])
    del graph.initializer[:]
    graph.initializer.extend(ordered)
