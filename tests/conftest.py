"""Fixtures that several test folders share. No test touches the user's cache or the network."""

import ctypes
import functools
import http.server
import os
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from exporters.preprocess import Preprocessing, prepend_preprocessing
from tlbench.backbones import resolve_model
from tlbench.cli import main
from tlbench.model import CARD_KEY, ModelCard, OnnxModel, Parity, Weights, encode_card
from tlbench.progress import Silent

REPOSITORY = Path(__file__).parents[1]
N_FEATURES = 16


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """Every test has an empty cache and no data folder."""
    monkeypatch.setenv("TLBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TLBENCH_DATA", raising=False)
    return tmp_path / "cache"


@pytest.fixture(scope="session")
def real_data():
    """The folder with real CIFAR rows; skips where it is absent."""
    folder = Path(os.environ.get("TLBENCH_TEST_DATA", REPOSITORY.parent / "shared" / "data"))
    if not (folder / "cifar-10-batches-py" / "test_batch").is_file():
        pytest.skip(f"no real CIFAR rows at {folder} (TLBENCH_TEST_DATA names another place)")
    return folder


class _QuietHandler(http.server.SimpleHTTPRequestHandler):
    """Serve files, with further headers; note the paths that were asked for."""

    def __init__(self, *arguments, headers=None, requested=None, **options):
        self.further = headers or {}
        self.requested = [] if requested is None else requested
        super().__init__(*arguments, **options)

    def end_headers(self):
        for name, value in self.further.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, *args):
        """Keep the test's output clean."""
        self.requested.append(self.path)


@pytest.fixture
def serve(monkeypatch):
    """Return a function that serves a folder on 127.0.0.1 and gives the address."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    servers = []

    def start(folder, **options):
        handler = functools.partial(_QuietHandler, directory=str(folder), **options)
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        servers.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def closed_address(monkeypatch):
    """Return an address at which nothing listens."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with http.server.HTTPServer(("127.0.0.1", 0), _QuietHandler) as server:
        port = server.server_port
    return f"http://127.0.0.1:{port}"


def tiny_network(seed: int = 0) -> onnx.ModelProto:
    """Build a backbone of raw images with one convolution: 8x8 input, 16 features."""
    generator = np.random.default_rng(seed)
    kernel = generator.normal(0, 0.3, (N_FEATURES, 3, 3, 3)).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["pixels_in", "kernel"], ["hidden"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["hidden"], ["active"]),
        helper.make_node("GlobalAveragePool", ["active"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["features"]),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("pixels_in", TensorProto.FLOAT, ["N", 3, 8, 8])],
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", N_FEATURES])],
        [numpy_helper.from_array(kernel, "kernel")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    return prepend_preprocessing(
        model,
        network_input="pixels_in",
        size=(8, 8),
        preprocessing=Preprocessing("x / 255", scale=(1 / 255, 1 / 255, 1 / 255)),
    )


def save_tiny(path: Path, *, weights: str = "file", seed: int = 0) -> Path:
    """Write the tiny backbone with a card that says its weights are of this kind."""
    model = tiny_network(seed)
    card = ModelCard(
        backbone="tiny",
        source="the tests",
        weights=Weights(kind=weights, sha256=None, origin="the tests", licence="none"),
        input_size=(8, 8),
        resize="bilinear",
        preprocessing="x / 255",
        layer="pooled",
        pooling="avg",
        feature_shape=(N_FEATURES,),
        opset=18,
        parity=Parity(reference="none", n_images=0, max_abs=0.0, max_rel=0.0, min_cosine=1.0),
        exported_by="the tests",
    )
    model.metadata_props.add(key=CARD_KEY, value=encode_card(card))
    onnx.save(model, path)
    return path


@pytest.fixture(scope="session")
def tiny_path(tmp_path_factory):
    """A backbone that runs in microseconds."""
    return save_tiny(tmp_path_factory.mktemp("tiny") / "tiny.onnx")


@pytest.fixture(scope="session")
def tiny_random_path(tmp_path_factory):
    """The same, but its card says that its weights are random."""
    return save_tiny(tmp_path_factory.mktemp("tiny") / "tiny-random.onnx", weights="random")


@pytest.fixture
def tiny_model(tiny_path):
    return OnnxModel(tiny_path)


@pytest.fixture
def images():
    """100 raw images of one size."""
    return np.random.default_rng(7).integers(0, 256, (100, 20, 24, 3), dtype=np.uint8)


@pytest.fixture(scope="session")
def lite0(tmp_path_factory):
    """EfficientNet-Lite0 with its published weights, exported once."""
    return resolve_model(
        "efficientnet-lite0", cache_dir=tmp_path_factory.mktemp("models"), listener=Silent()
    )


class Finished(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str


@pytest.fixture
def tlbench(monkeypatch, capsys, tmp_path):
    """Run a command of tlbench in this process, in a folder of its own."""
    folder = tmp_path / "work"
    folder.mkdir(exist_ok=True)
    monkeypatch.chdir(folder)

    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["tlbench", *map(str, arguments)])
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = stop.code or 0
        out, err = capsys.readouterr()
        return Finished(code, out, err)

    return run


class NVMLError(Exception):
    """What the package raises for every fault."""


class FakeNvml:
    """The functions of ``pynvml`` that are called; those named in *broken* are refused.

    Attributes
    ----------
    bus_ids : tuple of str
        The machine's GPUs in NVML's order.
    asked : list of str
        GPUs whose handle was asked for.
    violations_ns : dict
        Counter of each policy; another policy is not supported.
    """

    NVMLError = NVMLError
    NVML_CLOCK_SM, NVML_TEMPERATURE_GPU = 1, 0
    NVML_PERF_POLICY_POWER, NVML_PERF_POLICY_THERMAL, NVML_PERF_POLICY_SYNC_BOOST = 0, 1, 2
    NVML_PERF_POLICY_BOARD_LIMIT, NVML_PERF_POLICY_RELIABILITY = 3, 5

    def __init__(
        self,
        *,
        energy_mj=(),
        mask=0,
        broken=(),
        bus_ids=("0000:3b:00.0",),
        violations_ns=None,
        mig=None,
        used_bytes=(),
    ):
        self.energy_mj, self.mask, self.bus_ids = list(energy_mj), mask, bus_ids
        self.broken = (broken,) if isinstance(broken, str) else broken
        self.violations_ns, self.mig, self.used_bytes = violations_ns or {}, mig, list(used_bytes)
        self.asked, self.is_open = [], False

    def _answer(self, name, value):
        if name in self.broken:
            raise NVMLError("Not Supported")
        return value

    def nvmlInit(self):  # noqa: N802 - the package's names
        self.is_open = self._answer("nvmlInit", value=True)

    def nvmlDeviceGetCount(self):  # noqa: N802
        assert self.is_open
        return self._answer("nvmlDeviceGetCount", len(self.bus_ids))

    def nvmlDeviceGetHandleByIndex(self, index):  # noqa: N802
        assert self.is_open
        return ("handle", self.bus_ids[index])

    def nvmlDeviceGetHandleByPciBusId(self, pciBusId):  # noqa: N802, N803
        assert self.is_open
        assert pciBusId in self.bus_ids
        self.asked.append(pciBusId)
        return self._answer("nvmlDeviceGetHandleByPciBusId", ("handle", pciBusId))

    def nvmlDeviceGetPciInfo(self, handle):  # noqa: N802
        return SimpleNamespace(busId=f"0000{handle[1].upper()}")

    def nvmlDeviceGetTotalEnergyConsumption(self, handle):  # noqa: N802
        assert handle == ("handle", self.asked[-1])
        energy_mj = self.energy_mj.pop(0) if self.energy_mj else 0
        return self._answer("nvmlDeviceGetTotalEnergyConsumption", energy_mj)

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, handle):  # noqa: N802
        assert handle == ("handle", self.asked[-1])
        return self._answer("nvmlDeviceGetCurrentClocksThrottleReasons", self.mask)

    def nvmlDeviceGetViolationStatus(self, device, perfPolicyType):  # noqa: N802, N803
        assert device == ("handle", self.asked[-1])
        if perfPolicyType not in self.violations_ns:
            raise NVMLError("Not Supported")
        return SimpleNamespace(violationTime=self.violations_ns[perfPolicyType])

    def nvmlDeviceGetTemperature(self, handle, sensor):  # noqa: N802
        assert (handle, sensor) == (("handle", self.asked[-1]), self.NVML_TEMPERATURE_GPU)
        return self._answer("nvmlDeviceGetTemperature", 54)

    def nvmlDeviceGetClockInfo(self, handle, type):  # noqa: A002, N802
        assert (handle, type) == (("handle", self.asked[-1]), self.NVML_CLOCK_SM)
        return self._answer("nvmlDeviceGetClockInfo", 1980)

    def nvmlDeviceGetMigMode(self, device):  # noqa: N802
        assert device == ("handle", self.asked[-1])
        if self.mig is None:
            raise NVMLError("Not Supported")
        return [self.mig, self.mig]

    def nvmlDeviceGetMemoryInfo(self, handle):  # noqa: N802
        assert handle == ("handle", self.asked[-1])
        used = self.used_bytes.pop(0) if self.used_bytes else 0
        return SimpleNamespace(used=self._answer("nvmlDeviceGetMemoryInfo", used))


def fake_driver(bus_ids, broken=()):
    """Return the functions of CUDA's driver, called through ctypes as those of C are.

    A handle of the driver's is no number of a device: 40 more.
    """

    def status(name):
        return 999 if name in broken else 0

    def init(flags):
        return status("cuInit") or 10 * flags

    def get(device, ordinal):
        if not 0 <= ordinal < len(bus_ids):
            return 101  # CUDA_ERROR_INVALID_DEVICE
        device[0] = 40 + ordinal
        return status("cuDeviceGet")

    def bus_id(text, length, device):
        content = bus_ids[device - 40].upper().encode() + b"\0"
        assert len(content) <= length
        ctypes.memmove(text, content, len(content))
        return status("cuDeviceGetPCIBusId")

    integer, pointer = ctypes.c_int, ctypes.POINTER
    return SimpleNamespace(
        cuInit=ctypes.CFUNCTYPE(integer, ctypes.c_uint)(init),
        cuDeviceGet=ctypes.CFUNCTYPE(integer, pointer(integer), integer)(get),
        cuDeviceGetPCIBusId=ctypes.CFUNCTYPE(integer, pointer(ctypes.c_char), integer, integer)(
            bus_id
        ),
    )


@pytest.fixture
def fake_nvml(monkeypatch):
    """Put fakes in the place of ``pynvml`` and of CUDA's driver; called, it returns the former.

    *visible* are the GPUs that CUDA shows this process, in its order; None for no driver.
    """

    def install(*, visible=(), refused=(), **answers):
        nvml = FakeNvml(**answers)
        monkeypatch.setitem(sys.modules, "pynvml", nvml)
        shown = nvml.bus_ids if visible == () else visible

        def open_driver():
            if shown is None:
                raise OSError("libcuda.so.1: cannot open shared object file")
            return fake_driver(shown, refused)

        monkeypatch.setattr("tlbench.nvidia._open_driver", open_driver)
        return nvml

    return install
