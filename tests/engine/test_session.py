"""Sessions: on the provider they say, with the threads they say."""

import os

import numpy as np
import onnx
import onnxruntime
import pytest

from tlbench.core.errors import (
    ConfigError,
    MeasurementError,
    ModelError,
    ProviderUnavailableError,
    TlbenchError,
    UnknownNameError,
)
from tlbench.engine import Session, accepts_raw_images, open_session
from tlbench.engine.providers import ort_name
from tlbench.model import OnnxModel


def test_features_are_float32_rows(tiny_model, images):
    with open_session(tiny_model) as session:
        features = session.run(images)
    assert features.shape == (100, 16)
    assert features.dtype == np.float32


def test_placement_counts_every_node(tiny_model):
    """All of the graph runs on the CPU, and the record says so."""
    with open_session(tiny_model) as session:
        assert set(session.placement.nodes) == {"CPUExecutionProvider"}
        assert session.placement.nodes["CPUExecutionProvider"] >= 4
        assert session.placement.operators == {}


def test_threads_come_from_the_affinity(tiny_model):
    with open_session(tiny_model) as session:
        assert session.threads == len(os.sched_getaffinity(0))


@pytest.mark.parametrize("threads", [0, -2])
def test_threads_below_one_are_refused(tiny_model, threads):
    with pytest.raises(ConfigError, match="at least 1"), open_session(tiny_model, threads=threads):
        pass


def test_a_graph_that_onnxruntime_refuses_is_a_model_error(tmp_path, capfd):
    """Valid protobuf, but an operator that does not exist; nothing is logged before the error."""
    node = onnx.helper.make_node("NoSuchOperator", ["x"], ["y"])
    value = [onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, [1]) for n in "xy"]
    graph = onnx.helper.make_graph([node], "bad", value[:1], value[1:])
    path = tmp_path / "bad.onnx"
    opsets = [onnx.helper.make_opsetid("", 18)]
    onnx.save(onnx.helper.make_model(graph, ir_version=8, opset_imports=opsets), path)
    with pytest.raises(ModelError, match="NoSuchOp"), open_session(OnnxModel(path)):
        pass
    assert capfd.readouterr() == ("", "")


def test_unknown_provider_has_a_hint(tiny_model):
    with pytest.raises(UnknownNameError, match="Did you mean 'cuda'"):
        Session(tiny_model, provider="cudda")


def test_a_provider_that_is_not_compiled_in_is_refused(tiny_model):
    with (
        pytest.raises(ProviderUnavailableError, match="not in this ONNX Runtime build"),
        open_session(tiny_model, provider="coreml"),
    ):
        pass


class FakeNode:
    def __init__(self, op_type, name=""):
        self.op_type, self.name = op_type, name


class FakePart:
    def __init__(self, ep_name, *operators):
        self.ep_name = ep_name
        self._nodes = [FakeNode(operator) for operator in operators]

    def get_nodes(self):
        return self._nodes


class FakeSession:
    """What ONNX Runtime gives on a machine with CUDA, as far as tlbench looks."""

    providers = ("CUDAExecutionProvider", "CPUExecutionProvider")
    parts = (FakePart("CUDAExecutionProvider", "Conv", "Relu"),)

    def __init__(self, path, options, providers, enable_fallback):
        assert enable_fallback == 0
        self.asked = providers

    def disable_fallback(self):
        pass

    def get_providers(self):
        return list(self.providers)

    def get_provider_options(self):
        return {"CUDAExecutionProvider": {"use_tf32": "1", "device_id": "0"}}

    def get_provider_graph_assignment_info(self):
        return self.parts


@pytest.fixture
def fake_cuda(monkeypatch):
    """A CUDA session without CUDA: returns the class, and a test may change its attributes."""

    class Fake(FakeSession):
        pass

    monkeypatch.setattr(onnxruntime, "InferenceSession", Fake)
    return Fake


def test_a_silent_fallback_to_the_cpu_is_refused(tiny_model, fake_cuda):
    """ONNX Runtime creates a CPU session when CUDA cannot start: tlbench does not measure it."""
    fake_cuda.providers = ("CPUExecutionProvider",)
    with pytest.raises(ProviderUnavailableError, match="CPUExecutionProvider instead of CUDA"):
        Session(tiny_model, provider="cuda")


def test_the_crops_arithmetic_may_be_on_the_host(tiny_model, fake_cuda):
    """It calculates with two numbers; a crop that is itself on the host is named."""
    host = FakePart("CPUExecutionProvider")
    host._nodes = [FakeNode("Shape", "fit_sides"), FakeNode("Div", "fit_begin")]
    fake_cuda.parts = (*FakeSession.parts, host)
    assert Session(tiny_model, provider="cuda").placement.operators == {}
    host._nodes.append(FakeNode("Slice", "cropped"))
    operators = Session(tiny_model, provider="cuda").placement.operators
    assert list(operators.values()) == [("Slice",)]


# Of ONNX, and of ONNX Runtime's fusions and quantisations of them.
HEAVY = """
Conv ConvTranspose ConvInteger DeformConv FusedConv NhwcConv NhwcFusedConv QLinearConv
QLinearConvTranspose ConvTransposeWithDynamicPads MatMul MatMulInteger MatMulIntegerToFloat
MatMulNBits MatMulBnb4 MatMulFpQ4 FusedMatMul FusedMatMulActivation TransposeMatMul QLinearMatMul
DynamicQuantizeMatMul SparseToDenseMatMul Gemm FusedGemm QGemm GemmFastGelu GemmFloat8 Attention
MultiHeadAttention GroupQueryAttention QAttention PackedAttention LinearAttention Einsum LSTM
DynamicQuantizeLSTM GRU RNN MoE QMoE
"""
LIGHT = """
Shape Gather Cast Concat Slice Unsqueeze Reshape Resize Transpose QuantizeLinear DequantizeLinear
Relu Softmax LayerNormalization BatchNormalization GlobalAveragePool NhwcMaxPool RotaryEmbedding
GemmaRotaryEmbedding ReorderInput MemcpyToHost MemcpyFromHost If Loop
"""


@pytest.mark.parametrize("operator", HEAVY.split())
def test_arithmetic_on_the_cpu_is_refused(tiny_model, fake_cuda, operator):
    """A run on CUDA with its arithmetic on the CPU is no CUDA run, whichever operator it is."""
    fake_cuda.parts = (
        FakePart("CUDAExecutionProvider", "Relu"),
        FakePart("CPUExecutionProvider", operator, "Shape"),
    )
    with pytest.raises(
        ProviderUnavailableError, match=f"^{operator} of tiny.onnx would run on CPUExec"
    ):
        Session(tiny_model, provider="cuda")


@pytest.mark.parametrize("operator", LIGHT.split())
def test_an_operator_without_arithmetic_may_run_on_the_cpu(tiny_model, fake_cuda, operator):
    fake_cuda.parts = (FakePart("CPUExecutionProvider", operator),)
    placement = Session(tiny_model, provider="cuda").placement
    assert placement.operators == {"CPUExecutionProvider": (operator,)}


def test_all_refused_operators_are_named(tiny_model, fake_cuda):
    fake_cuda.parts = (FakePart("CPUExecutionProvider", "MatMul", "Shape", "Conv"),)
    with pytest.raises(ProviderUnavailableError, match="^Conv, MatMul of"):
        Session(tiny_model, provider="cuda")


def test_shape_arithmetic_on_the_cpu_is_recorded(tiny_model, fake_cuda):
    """Shape operators belong on the CPU: allowed, and said."""
    fake_cuda.parts = (
        FakePart("CUDAExecutionProvider", "Conv", "Relu"),
        FakePart("CPUExecutionProvider", "Shape", "Gather"),
    )
    session = Session(tiny_model, provider="cuda")
    assert session.placement.nodes == {"CUDAExecutionProvider": 2, "CPUExecutionProvider": 2}
    assert session.placement.operators == {"CPUExecutionProvider": ("Gather", "Shape")}


def test_provider_options_in_force_are_recorded(tiny_model, fake_cuda):
    session = Session(tiny_model, provider="CUDA", provider_options={"use_tf32": "0"})
    assert session.provider == "cuda"
    assert session._session.asked == [("CUDAExecutionProvider", {"use_tf32": "0"})]
    assert session.provider_options["device_id"] == "0"


SPELLINGS = {
    "cpu": ["cpu", "CPU", "CPUExecutionProvider", "cpuexecutionprovider"],
    "cuda": ["cuda", "CUDA", "CUDAExecutionProvider", "cudaexecutionprovider"],
}


@pytest.mark.parametrize("name", SPELLINGS["cuda"])
def test_a_gpu_is_one_however_its_provider_is_written(tiny_model, fake_cuda, name):
    session = Session(tiny_model, provider=name)
    assert (session.provider, session.cuda_device) == ("cuda", 0)
    assert session._session.asked == [("CUDAExecutionProvider", {})]


@pytest.mark.parametrize("name", SPELLINGS["cpu"])
def test_the_processor_is_one_however_its_provider_is_written(tiny_model, name):
    with open_session(tiny_model, provider=name) as session:
        assert (session.provider, session.cuda_device) == ("cpu", None)


def test_options_asked_for_are_kept_apart_from_those_in_force(tiny_model, fake_cuda):
    """A fresh process is asked for the same, whatever ONNX Runtime makes of it."""
    session = Session(tiny_model, provider="cuda", provider_options={"use_tf32": "0"})
    assert session.requested_options == {"use_tf32": "0"}
    assert session.provider_options == {"use_tf32": "1", "device_id": "0"}


def test_nothing_asked_for_is_no_option(tiny_model):
    assert Session(tiny_model).requested_options == {}


@pytest.mark.parametrize(("spin", "entry"), [(True, "1"), (False, "0")])
def test_settings_say_whether_threads_spin(tiny_model, spin, entry):
    """Of the session as ONNX Runtime has it, not as it was asked for only."""
    name = "session.intra_op.allow_spinning"
    with open_session(tiny_model, spin=spin) as session:
        assert session.settings[name] == entry
        assert session._session.get_session_options().get_session_config_entry(name) == entry


def test_settings_hold_the_providers_options(tiny_model, fake_cuda):
    settings = Session(tiny_model, provider="cuda").settings
    assert settings["use_tf32"] == "1"
    assert settings["device_id"] == "0"


@pytest.mark.parametrize(("provider", "told"), [("cuda", True), ("cpu", False)])
def test_settings_hold_what_overrules_the_providers_options(
    tiny_model, fake_cuda, monkeypatch, provider, told
):
    """With NVIDIA_TF32_OVERRIDE=0 a session that says use_tf32=1 computes without."""
    fake_cuda.providers = (ort_name(provider),)
    fake_cuda.parts = ()
    fake_cuda.get_provider_options = lambda _: {ort_name(provider): {}}
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "0")
    monkeypatch.delenv("CUDA_DEVICE_ORDER", raising=False)
    settings = Session(tiny_model, provider=provider).settings
    assert (settings.get("NVIDIA_TF32_OVERRIDE") == "0") is told
    assert "CUDA_DEVICE_ORDER" not in settings


def test_the_gpu_is_the_one_of_the_options_in_force(tiny_model, fake_cuda):
    options = {"device_id": "1"}
    fake_cuda.get_provider_options = lambda _: {"CUDAExecutionProvider": options}
    assert Session(tiny_model, provider="cuda").cuda_device == 1


def test_on_the_processor_there_is_no_gpu(tiny_model):
    assert Session(tiny_model).cuda_device is None


@pytest.mark.parametrize(
    ("options", "fixed"),
    [({}, False), ({"enable_cuda_graph": "0"}, False), ({"enable_cuda_graph": "1"}, True)],
)
def test_a_captured_graph_fixes_the_addresses(tiny_model, fake_cuda, options, fixed):
    fake_cuda.get_provider_options = lambda _: {"CUDAExecutionProvider": options}
    assert Session(tiny_model, provider="cuda").fixed_addresses is fixed


@pytest.mark.parametrize(("enabled", "graphs"), [("0", [None, None]), ("1", [1, 2])])
def test_bound_batches_do_not_share_a_captured_graph(
    tiny_model, fake_cuda, monkeypatch, enabled, graphs
):
    """One graph for two buffers would answer from the first for ever."""
    asked = []
    monkeypatch.setattr(
        "tlbench.engine.session.BoundBatch",
        lambda *_, device_number, graph_id: asked.append((device_number, graph_id)),
    )
    options = {"enable_cuda_graph": enabled, "device_id": "1"}
    fake_cuda.get_provider_options = lambda _: {"CUDAExecutionProvider": options}
    session = Session(tiny_model, provider="cuda")
    session.bind(np.zeros((1, 8, 8, 3), np.uint8))
    session.bind(np.zeros((2, 8, 8, 3), np.uint8))
    assert asked == [(1, graph) for graph in graphs]


@pytest.mark.parametrize("method", ["run", "run_all"])
@pytest.mark.parametrize(("enabled", "graph"), [("0", None), ("1", "-1")])
def test_arrays_of_the_host_bypass_a_captured_graph(tiny_model, fake_cuda, enabled, graph, method):
    seen = []

    def run(self, outputs, feeds, options=None):
        seen.append(options and options.get_run_config_entry("gpu_graph_id"))
        return [np.zeros((1, 16), np.float32)]

    options = {"enable_cuda_graph": enabled}
    fake_cuda.get_provider_options = lambda _: {"CUDAExecutionProvider": options}
    fake_cuda.run = run
    getattr(Session(tiny_model, provider="cuda"), method)(np.zeros((1, 8, 8, 3), np.uint8))
    assert seen == [graph]


@pytest.mark.parametrize("method", ["run", "run_all"])
def test_a_batch_that_cannot_be_run_is_an_error_with_advice(tiny_model, method):
    """Of ONNX Runtime's own: an input of another type; a full GPU comes the same way."""
    wrong = np.zeros((2, 8, 8, 3), np.float32)
    with (
        open_session(tiny_model) as session,
        pytest.raises(MeasurementError, match=r"\(2, 8, 8, 3\) cannot be run on provider 'cpu'"),
    ):
        getattr(session, method)(wrong)


@pytest.mark.parametrize("shape", [(2, 0, 8, 3), (2, 8, 0, 3), (2, 8, 8, 4), (8, 3)])
def test_a_refused_batch_is_not_logged(tiny_model, capfd, shape):
    """The error says it once; ONNX Runtime's coloured line does not come before it."""
    batch = np.zeros(shape, np.uint8)
    with open_session(tiny_model) as session:
        for call in (session.run, session.run_all, session.bind):
            with pytest.raises(MeasurementError, match="cannot be run"):
                call(batch)
    assert capfd.readouterr() == ("", "")


def test_on_the_cpu_addresses_may_change(tiny_model):
    with open_session(tiny_model) as session:
        assert not session.fixed_addresses


def test_a_closed_session_is_gone(tiny_model):
    with open_session(tiny_model) as session:
        pass
    assert session._session is None


def test_exported_backbones_accept_raw_images(tiny_model):
    assert accepts_raw_images(tiny_model)


def test_errors_are_tlbench_errors():
    assert issubclass(ProviderUnavailableError, TlbenchError)
    assert issubclass(ProviderUnavailableError, RuntimeError)
