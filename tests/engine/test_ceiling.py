"""The arithmetic ceiling of the machine: a product that is really computed."""

from types import SimpleNamespace

import numpy as np
import onnx
import pytest

from tlbench.engine import BoundBatch, arithmetic_ceiling
from tlbench.engine.ceiling import _product
from tlbench.engine.providers import create_session


@pytest.fixture
def small(monkeypatch):
    """A product of 64 x 64: the arithmetic is the same, the test is quicker."""
    monkeypatch.setattr("tlbench.engine.ceiling._HOST_SIZE", 64)


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_the_ceiling_is_above_zero(small, precision):
    assert arithmetic_ceiling(precision, threads=1) > 0


def test_the_ceiling_counts_the_multiplications_of_the_fastest_try(small, monkeypatch):
    """Five tries of 4, 2, 1, 2 and 4 s: 64 cubed in one second."""
    readings = iter([0, 4, 10, 12, 20, 21, 30, 32, 40, 44])
    monkeypatch.setattr("tlbench.engine.ceiling.time.perf_counter", lambda: next(readings))
    assert arithmetic_ceiling("fp32", threads=1) == 64**3


@pytest.mark.parametrize(
    ("precision", "dtypes", "operator"),
    [
        ("fp32", (np.float32, np.float32), "MatMul"),
        ("fp16", (np.float16, np.float16), "MatMul"),
        ("int8", (np.uint8, np.int32), "MatMulInteger"),
    ],
)
def test_the_product_is_computed_in_its_precision(precision, dtypes, operator):
    """Checked against numpy in float64: exact for int8, up to rounding for the others."""
    left, content = _product(64, precision)
    model = onnx.load_from_string(content)
    assert [node.op_type for node in model.graph.node] == [operator]
    right = onnx.numpy_helper.to_array(model.graph.initializer[0])
    session = create_session(content, provider="cpu", threads=1)
    bound = BoundBatch(session, "cpu", "left", "product", left)
    bound.run()
    found = bound.fetch()
    assert (left.dtype, found.dtype) == dtypes
    expected = left.astype(np.float64) @ right.astype(np.float64)
    # sums of 64 products near 1, some 8 in size: half an ulp of the answer and of the sums
    atol = {"fp32": 1e-4, "fp16": 0.05, "int8": 0}[precision]
    np.testing.assert_allclose(found, expected, rtol=0, atol=atol)


class FakeSession:
    """Puts the product on a provider, and cannot run it."""

    def __init__(self, provider):
        self.provider = provider

    def get_provider_graph_assignment_info(self):
        return [SimpleNamespace(ep_name=self.provider)]

    def run(self, outputs, feeds):
        raise RuntimeError("out of memory")


@pytest.mark.parametrize(
    "placed", ["CPUExecutionProvider", "CUDAExecutionProvider"], ids=["elsewhere", "no memory"]
)
def test_a_product_that_the_provider_cannot_compute_is_no_bound(monkeypatch, placed):
    """The CPU's ceiling would make a GPU's int8 network impossible; an error would lose the run."""
    monkeypatch.setattr("tlbench.engine.ceiling._DEVICE_SIZE", 64)
    monkeypatch.setattr(
        "tlbench.engine.ceiling.create_session", lambda *_, **__: FakeSession(placed)
    )
    assert arithmetic_ceiling("int8", provider="cuda", threads=1) is None


def test_the_ceiling_is_that_of_the_device_in_use(monkeypatch):
    """On its memory, with the provider's options, but without a captured graph."""
    seen = {}

    class Bound:
        def __init__(self, *_, device_number):
            seen["device"] = device_number

        def run(self):
            pass

    def create(content, **settings):
        seen["options"] = settings["provider_options"]
        return FakeSession("CUDAExecutionProvider")

    monkeypatch.setattr("tlbench.engine.ceiling._DEVICE_SIZE", 64)
    monkeypatch.setattr("tlbench.engine.ceiling.create_session", create)
    monkeypatch.setattr("tlbench.engine.ceiling.BoundBatch", Bound)
    options = {"device_id": "1", "use_tf32": "0", "enable_cuda_graph": "1"}
    assert arithmetic_ceiling("fp32", provider="cuda", provider_options=options, threads=1) > 0
    assert seen == {"device": 1, "options": {"device_id": "1", "use_tf32": "0"}}
