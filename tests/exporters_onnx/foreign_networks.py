"""Small networks as other people's exporters write them."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

N_CHANNELS, N_CLASSES, SIZE = 8, 5, 24
KINDS = {"float32": TensorProto.FLOAT, "float16": TensorProto.FLOAT16, "uint8": TensorProto.UINT8}


def weights(*shape, seed=0):
    scale = 1 / np.sqrt(np.prod(shape[1:]))
    return np.random.default_rng([seed, *shape]).normal(0, scale, shape).astype(np.float32)


def model_of(nodes, inputs, outputs, constants, *, opset=18, ir_version=8, as_inputs=False):
    """Return a model; inputs and outputs are (name, kind, shape) each."""
    tensors = [numpy_helper.from_array(np.asarray(one), name) for name, one in constants.items()]
    values = [
        helper.make_tensor_value_info(name, KINDS.get(kind, kind), shape)
        for name, kind, shape in inputs
    ]
    if as_inputs:  # as files of before 2019 list them
        values += [
            helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
            for tensor in tensors
        ]
    ends = [
        helper.make_tensor_value_info(name, KINDS.get(kind, kind), shape)
        for name, kind, shape in outputs
    ]
    graph = helper.make_graph(nodes, "foreign", values, ends, tensors)
    opsets = [helper.make_opsetid("", opset)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=ir_version)


def classifier(
    *,
    layout="NCHW",
    kind="float32",
    shape=None,
    batch="batch",
    opset=18,
    end="gemm",
    flatten="flatten",
    softmax=True,
    depth=1,
    name="input",
    **extra,
):
    """Convolution, ReLU, global average, linear layer, softmax.

    *kind* is the type of the input, and float16 that of the weights too. *flatten* is how the map
    becomes a vector: by ``flatten``, or a ``reshape`` to a constant shape; *end* is the linear
    layer: ``gemm``, ``matmul`` and sum, or ``conv`` of one pixel.
    """
    batch_and_size = (batch, SIZE, SIZE) if shape is None else shape
    size = batch_and_size[1:]
    axes = (batch_and_size[0], 3, *size) if layout == "NCHW" else (batch_and_size[0], *size, 3)
    nodes, last = [], name

    def node(operator, inputs, output, **attributes):
        nodes.append(helper.make_node(operator, inputs, [output], f"{output}_node", **attributes))
        return output

    if kind == "uint8":
        last = node("Cast", [last], "as_float", to=TensorProto.FLOAT)
        last = node("Div", [last, "levels"], "scaled")
    if layout == "NHWC":
        last = node("Transpose", [last], "first", perm=[0, 3, 1, 2])
    last = node("Conv", [last, "kernel"], "map", strides=[2, 2], pads=[1, 1, 1, 1])
    for i in range(1, depth):
        last = node("Conv", [node("Relu", [last], f"active_{i}"), "deeper"], f"map_{i}")
    last = node("Relu", [last], "active")
    last = node("GlobalAveragePool", [last], "pooled")
    if end == "conv":
        last = node("Conv", [last, "pointwise"], "scores", kernel_shape=[1, 1])
    else:
        if flatten == "flatten":
            last = node("Flatten", [last], "code")
        else:
            last = node("Reshape", [last, "code_shape"], "code")
        if end == "gemm":
            last = node("Gemm", [last, "matrix", "bias"], "scores")
        else:
            last = node("Add", [node("MatMul", [last, "matrix"], "product"), "bias"], "scores")
    if softmax:
        last = node("Softmax", [last], "probabilities", axis=1)
    floats = np.float16 if kind == "float16" else np.float32
    constants = {
        "kernel": weights(N_CHANNELS, 3, 3, 3).astype(floats),
        "deeper": weights(N_CHANNELS, N_CHANNELS, 3, 3).astype(floats),
        "matrix": weights(N_CHANNELS, N_CLASSES).astype(floats),
        "bias": weights(N_CLASSES).astype(floats),
        "pointwise": weights(N_CLASSES, N_CHANNELS, 1, 1).astype(floats),
        "code_shape": np.array([batch if isinstance(batch, int) else 1, N_CHANNELS], np.int64),
        "levels": np.float32(255),
    }
    read = {one for each in nodes for one in each.input}
    constants = {key: value for key, value in constants.items() if key in read}
    tail = (1, 1) if end == "conv" else ()
    output = (last, "float16" if kind == "float16" else "float32", [axes[0], N_CLASSES, *tail])
    return model_of(nodes, [(name, kind, axes)], [output], constants, opset=opset, **extra)


def tokens(*, batch=1):
    """Patches, a class token, a sum with positions, a linear layer on the token."""
    nodes = [
        helper.make_node("Conv", ["image", "kernel"], ["patches"], strides=[8, 8]),
        helper.make_node("Reshape", ["patches", "shape"], ["rows"]),
        helper.make_node("Transpose", ["rows"], ["sequence"], perm=[0, 2, 1]),
        helper.make_node("Concat", ["token", "sequence"], ["joined"], axis=1),
        helper.make_node("Add", ["joined", "positions"], ["placed"]),
        helper.make_node("Relu", ["placed"], ["active"]),
        helper.make_node("ReduceMean", ["active", "axes"], ["mean"], keepdims=0),
        helper.make_node("Gemm", ["mean", "matrix"], ["scores"]),
    ]
    constants = {
        "kernel": weights(N_CHANNELS, 3, 8, 8),
        "shape": np.array([batch, N_CHANNELS, -1], np.int64),
        "token": weights(batch, 1, N_CHANNELS),
        "positions": weights(1, 10, N_CHANNELS),
        "axes": np.array([1], np.int64),
        "matrix": weights(N_CHANNELS, N_CLASSES),
    }
    return model_of(
        nodes,
        [("image", "float32", (batch, 3, SIZE, SIZE))],
        [("scores", "float32", (batch, N_CLASSES))],
        constants,
    )


def quantised(path):
    """Write the classifier in 8 bits with quantisation operators, made by ONNX Runtime."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static

    class Images(CalibrationDataReader):
        def __init__(self):
            draw = np.random.default_rng(0)
            shape = (1, 3, SIZE, SIZE)
            self.rest = [draw.normal(size=shape).astype(np.float32) for _ in range(2)]

        def get_next(self):
            return {"input": self.rest.pop()} if self.rest else None

    source = path.with_name("float.onnx")
    onnx.save(classifier(batch=1), source)
    quantize_static(source, path, Images(), quant_format=QuantFormat.QDQ, per_channel=True)
    return path
