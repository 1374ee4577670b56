"""PyTorch's side at the boundary of the device: real PyTorch, whose device is the processor.

What only a GPU has (streams, graphs, waiting) is a fake that writes down what was called.
"""

import json
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import sweep_cells
from cuda_sweep import VARIANTS, Cell, main

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'tlbench[peers]'")

from tlbench.engine import open_session  # noqa: E402
from tlbench.model import OnnxModel  # noqa: E402


class FakeStream:
    def __init__(self, log, name):
        self.log, self.name = log, name

    def wait_stream(self, other):
        self.log.append(f"{self.name} waits for {other.name}")


@pytest.fixture
def log(monkeypatch):
    """Put fakes in the place of what PyTorch has on a GPU; returns what they write down."""
    entries = []
    current = FakeStream(entries, "current")

    class Graph:
        def replay(self):
            entries.append("replay")

    @contextmanager
    def within(name):
        entries.append(f"{name} begins")
        yield
        entries.append(f"{name} ends")

    for name, fake in {
        "Stream": lambda: FakeStream(entries, "aside"),
        "current_stream": lambda: current,
        "stream": lambda stream: within(stream.name),
        "CUDAGraph": Graph,
        "graph": lambda graph: within("capture"),
        "synchronize": lambda: entries.append("wait"),
    }.items():
        monkeypatch.setattr(torch.cuda, name, fake)
    return entries


class Network(torch.nn.Module):
    """Writes down each call; its features are the sums of the channels."""

    def __init__(self, log):
        super().__init__()
        self.log = log

    def forward(self, images):
        assert torch.is_inference_mode_enabled()
        self.log.append("network")
        return images.sum(dim=(1, 2))


IMAGES = np.arange(2 * 4 * 4 * 3, dtype=np.uint8).reshape(2, 4, 4, 3)
SUMS = IMAGES.sum(axis=(1, 2), dtype=np.float32)


def test_a_call_on_the_device_waits_for_its_end(log):
    """Without waiting only the launch of the kernels would be timed."""
    call, fetch = sweep_cells._on_device(Network(log), torch.from_numpy(IMAGES))
    call()
    assert log == ["network", "wait"]
    np.testing.assert_array_equal(fetch(), SUMS)


def test_a_graph_is_captured_after_a_warm_up_on_another_stream(log):
    """As PyTorch's documentation asks: both streams wait for one another."""
    sweep_cells._captured(Network(log), torch.from_numpy(IMAGES))
    assert log == [
        "aside waits for current",
        "aside begins",
        *3 * ["network"],
        "aside ends",
        "current waits for aside",
        "capture begins",
        "network",
        "capture ends",
    ]


def test_a_captured_graph_is_replayed_and_waited_for(log):
    """The network itself is not called again."""
    call, fetch = sweep_cells._captured(Network(log), torch.from_numpy(IMAGES))
    log.clear()
    call()
    assert log == ["replay", "wait"]
    np.testing.assert_array_equal(fetch(), SUMS)
    assert log == 2 * ["replay", "wait"]


def cell(path, **more):
    return Cell(
        kind="peers",
        model=str(path),
        reference=str(path),
        backbone="tiny",
        precision="fp32",
        provider="cuda",
        variant="tf32",
        batch_size=2,
        quick=True,
        options={"use_tf32": "1"},
        **more,
    )


@pytest.fixture
def asked(monkeypatch, log):
    """CUDA is the processor, for PyTorch and for ONNX Runtime; returns the sessions' options."""
    options = []

    @contextmanager
    def opened(one, **more):
        options.append({**one.options, **more})
        with open_session(OnnxModel(Path(one.model)), threads=1) as session:
            yield session

    monkeypatch.setattr(sweep_cells, "DEVICES", {"cuda": "cpu"})
    monkeypatch.setattr(sweep_cells, "_session", opened)
    return options


SIDES = {"torch", "torch channels-last", "torch channels-last graph"}


def test_all_sides_take_turns_at_both_boundaries(tiny_path, asked):
    found = sweep_cells.peers(cell(tiny_path))
    host, device = (found[name]["ratios_to_onnxruntime"] for name in BOUNDARIES)
    assert set(host) == {"torch", "torch channels-last"}
    assert set(device) == {"onnxruntime graph", *SIDES}
    assert all(ratio["low"] <= ratio["median"] <= ratio["high"] for ratio in device.values())
    for distance in found["device->device"]["features"].values():
        assert distance["relative_error"] < 1e-5  # one convolution in another order of sums
    assert found["left_out"] == {}
    # the second session captures, and has the options of the first besides
    assert asked == [{"use_tf32": "1"}, {"use_tf32": "1", "enable_cuda_graph": "1"}]


BOUNDARIES = ("numpy->numpy", "device->device")


def test_both_search_for_the_fastest_convolutions(tiny_path, asked):
    """As ONNX Runtime does by itself; and TF32 is on for both."""
    torch.backends.cudnn.benchmark = False
    sweep_cells.peers(cell(tiny_path))
    assert torch.backends.cudnn.benchmark
    assert torch.backends.cudnn.allow_tf32
    assert torch.backends.cuda.matmul.allow_tf32


def test_a_side_that_cannot_capture_leaves_the_others(tiny_path, asked, monkeypatch):
    """Its reason is in the record."""

    def refuse():
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(torch.cuda, "CUDAGraph", refuse)
    found = sweep_cells.peers(cell(tiny_path))
    assert "not permitted" in found["left_out"]["torch channels-last graph"]
    expected = {"onnxruntime graph", *SIDES} - {"torch channels-last graph"}
    assert set(found["device->device"]["ratios_to_onnxruntime"]) == expected


@pytest.mark.parametrize("works", [True, False])
def test_a_compiled_network_is_a_side_if_asked_for(tiny_path, asked, monkeypatch, works):
    """Compilation fails at the first call, if at all, and that is before the turns."""

    def compiled(network, *, mode):
        assert mode == "reduce-overhead"

        def call(images):
            if not works:
                raise RuntimeError("no compiler")
            return network(images)

        return call

    monkeypatch.setattr(torch, "compile", compiled)
    found = sweep_cells.peers(cell(tiny_path, compiled=True))
    ratios = found["device->device"]["ratios_to_onnxruntime"]
    assert ("torch compiled" in ratios) is works
    assert found["left_out"] == ({} if works else {"torch compiled": "RuntimeError: no compiler"})


@pytest.mark.slow
def test_the_whole_sweep_runs_on_cuda(tiny_path, tmp_path, cuda_machine, log, monkeypatch):
    """Every variant and kind of cell, from the command line to the last file, on fakes."""
    monkeypatch.setattr(sweep_cells, "DEVICES", {"cuda": "cpu"})
    output = tmp_path / "out"
    assert main(["-o", str(output), "--quick", str(tiny_path)]) == 0
    cells = {p.stem: json.loads(p.read_text(encoding="utf-8")) for p in output.glob("*-b*.json")}
    assert {c["cell"]["variant"] for c in cells.values()} == set(VARIANTS["fp32"])
    assert {c["cell"]["kind"] for c in cells.values()} == set(sweep_cells.CELLS)
    timings = [c for c in cells.values() if c["cell"]["kind"] == "timing"]
    for one in timings:
        for result in one["result"]["latency"]:
            assert result["provider"] == "cuda"
            assert one["cell"]["options"].items() <= result["settings"].items()
    graphs = [c for c in timings if "graph" in c["cell"]["variant"]]
    assert {r["boundary"] for c in graphs for r in c["result"]["latency"]} == {"device->device"}
    peers = next(c["result"] for c in cells.values() if c["cell"]["kind"] == "peers")
    assert peers["left_out"] == {}
