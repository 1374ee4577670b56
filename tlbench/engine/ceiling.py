"""The highest arithmetic throughput that this machine reaches through ONNX Runtime."""

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlbench.engine.binding import BoundBatch, device_number_of, device_of
from tlbench.engine.providers import create_session, graph_model, ort_name
from tlbench.machine import available_cpus

_HOST_SIZE, _DEVICE_SIZE = 1024, 8192
_N_TRIES = 5


def arithmetic_ceiling(
    precision: str,
    *,
    provider: str = "cpu",
    provider_options: Mapping[str, str] | None = None,
    threads: int | None = None,
) -> float | None:
    """Return multiply-accumulate operations per second of a square matrix product.

    The fastest of a few tries. None if the provider cannot compute it or lacks memory for it.
    """
    options = dict(provider_options or {})
    # A single product of this size gains nothing from a captured graph.
    options.pop("enable_cuda_graph", None)
    size = _HOST_SIZE if device_of(provider) == "cpu" else _DEVICE_SIZE
    left, content = _product(size, precision)
    fastest = float("inf")
    try:
        threads = threads or available_cpus()
        session = create_session(
            content, provider=provider, provider_options=options, threads=threads
        )
        placed = {part.ep_name for part in session.get_provider_graph_assignment_info()}
        if placed != {ort_name(provider)}:
            return None
        number = device_number_of(provider, options)
        bound = BoundBatch(session, provider, "left", "product", left, device_number=number)
        for _ in range(_N_TRIES):
            started = time.perf_counter()
            bound.run()
            fastest = min(fastest, time.perf_counter() - started)
    except Exception:  # noqa: BLE001 - ONNX Runtime raises a dozen types of its own
        return None
    return float(size**3 / fastest)


def _product(size: int, precision: str) -> tuple[NDArray[Any], bytes]:
    """Return the left factor and a model that multiplies it by a constant right factor."""
    from onnx import TensorProto, helper, numpy_helper

    generator = np.random.default_rng(0)
    if precision == "int8":
        operator, kind, result = "MatMulInteger", TensorProto.UINT8, TensorProto.INT32
        left: NDArray[Any] = generator.integers(0, 127, (size, size), dtype=np.uint8)
        right: NDArray[Any] = generator.integers(-64, 64, (size, size), dtype=np.int8)
    else:
        half = precision == "fp16"
        operator, kind = "MatMul", TensorProto.FLOAT16 if half else TensorProto.FLOAT
        result, dtype = kind, "float16" if half else "float32"
        left, right = generator.standard_normal((2, size, size)).astype(dtype)
    content = graph_model(
        [helper.make_node(operator, ["left", "right"], ["product"])],
        [helper.make_tensor_value_info("left", kind, [size, size])],
        [helper.make_tensor_value_info("product", result, [size, size])],
        numpy_helper.from_array(right, "right"),
    )
    return left, content
