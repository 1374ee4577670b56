"""Fixtures that several test folders share. No test touches the user's cache or the network."""

import one_processor  # noqa: F401, I001 - first: numpy's threads stay where they are started
import functools
import gc
import http.server
import importlib.util
import os
import signal
import sys
import threading
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
import pytest
from fake_cuda import claim_cuda
from fake_nvidia import FakeNvml, fake_driver
from hypothesis import settings
from in_process import exit_code_of
from onnx import TensorProto, helper, numpy_helper

from exporters.common.preprocess import Preprocessing, prepend_preprocessing
from tlbench.core.progress import Silent
from tlbench.model import (
    CARD_KEY,
    ExportOptions,
    ModelCard,
    OnnxModel,
    Parity,
    Weights,
    encode_card,
    resolve_model,
)
from tlbench.records import save_run
from tlbench.workflows import RunConfig, run_benchmark

# A shell that starts the tests in the background ignores Ctrl-C, which every process inherits.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A deadline per example would measure how busy the machine is.
settings.register_profile("tlbench", deadline=None)
settings.load_profile("tlbench")

REPOSITORY = Path(__file__).parents[1]
N_FEATURES = 16


@pytest.fixture(scope="module", autouse=True)
def young_heap():
    """Leave the objects of earlier modules out of garbage collection.

    Keras collects garbage for each network. In a process that runs all tests, that took half of the
    time of an export.
    """
    if "tensorflow" in sys.modules:
        gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """Every test has an empty cache and no data folder."""
    monkeypatch.setenv("TLBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TLBENCH_DATA", raising=False)
    return tmp_path / "cache"


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory):
    """A cache that tests share, in all their processes: what was computed once is read."""
    folder = tmp_path_factory.getbasetemp()
    folder = (folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) / "cache"
    folder.mkdir(exist_ok=True)
    return folder


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
def run_onnx():
    """Run a model file with plain ONNX Runtime: names of the outputs to arrays."""
    import onnxruntime

    def run(path, images):
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]
        return dict(zip(names, session.run(names, {"images": images}), strict=True))

    return run


@pytest.fixture(scope="session")
def tensorflow():
    """Skip where the export extra is not installed, without importing it."""
    for name in ("tensorflow", "tf2onnx"):
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"needs {name}: pip install 'tlbench[export]'")


@pytest.fixture(scope="session")
def lite0(shared_cache):
    """EfficientNet-Lite0 with its published weights, exported once."""
    return resolve_model("efficientnet-lite0", cache_dir=shared_cache, listener=Silent())


@pytest.fixture(scope="module", params=["digits", "cifar10"])
def measure_lite0(request, shared_cache, tmp_path_factory):
    """Run Lite0, small to save time, on each of these datasets, and save the run.

    Keywords are those of RunConfig.
    """
    data = request.getfixturevalue("real_data") if request.param == "cifar10" else None
    folder = tmp_path_factory.mktemp(request.param)

    def run(**settings):
        config = RunConfig(
            model="efficientnet-lite0",
            export=ExportOptions(input_size=112),
            dataset=request.param,
            baselines=(),
            latency=False,
            data_dir=data,
            cache_dir=shared_cache,
            **settings,
        )
        outcome = run_benchmark(config)
        return config, save_run(outcome.result, outcome.predictions, folder / "runs"), outcome

    return run


class Recorder:
    """A listener that remembers what it was told."""

    def __init__(self):
        self.warnings = []
        self.tasks = []
        self.steps = 0
        self.running = 0

    def start(self, task, total=None, unit=""):
        """Remember the task."""
        self.tasks.append((task, total, unit))
        self.running += 1

    def advance(self, steps=1):
        """Count the steps."""
        self.steps += steps

    def finish(self):
        """Count the task as ended."""
        self.running -= 1

    def warn(self, message):
        """Remember the message."""
        self.warnings.append(message)


@pytest.fixture
def recorder():
    """A listener for one test."""
    return Recorder()


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
        code = exit_code_of(*arguments)
        out, err = capsys.readouterr()
        return Finished(code, out, err)

    return run


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

        monkeypatch.setattr("tlbench.machine.nvidia._open_driver", open_driver)
        return nvml

    return install


@pytest.fixture
def cuda_machine(fake_nvml, monkeypatch):
    """Make ONNX Runtime say that it is on CUDA, and compute on the processor; see `fake_cuda`.

    Returns what was allocated and asked for. NVML and CUDA's driver know two GPUs, of which this
    process sees the second.
    """
    fake_nvml(
        bus_ids=("0000:3b:00.0", "0000:af:00.0"),
        visible=("0000:af:00.0",),
        energy_mj=range(0, 10**9, 1000),
        violations_ns={0: 0, 1: 0},
    )
    return claim_cuda(monkeypatch)
