"""The GPU sweep: what it plans, that it resumes, and that a failing cell stops no other."""

import json
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from types import SimpleNamespace

import cuda_sweep
import numpy as np
import pytest
import sweep_cells
from cuda_sweep import Cell, main, plan, sweep, write_machine

from tlbench.core.errors import MeasurementError, ResultError
from tlbench.machine import capture_environment
from tlbench.machine.environment import Gpu


def cell(kind="parity", variant="default", batch_size=2, options=None, model="a.onnx", **more):
    return Cell(
        kind=kind,
        model=model,
        reference=model,
        backbone="net",
        precision="fp32",
        provider=more.pop("provider", "cuda"),
        variant=variant,
        batch_size=batch_size,
        options=options or {},
        **more,
    )


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def test_a_gpu_is_asked_for_every_option(tiny_path):
    """TF32 on and off, CUDA graph, NHWC and the search modes, at every batch size."""
    cells = plan([tiny_path], provider="cuda", quick=False)
    timed = [c for c in cells if c.kind == "timing"]
    assert {c.batch_size for c in timed} == {1, 8, 32, 128, 512}
    asked = {item for c in timed for item in c.options.items()}
    assert asked == {
        ("use_tf32", "1"),
        ("use_tf32", "0"),
        ("enable_cuda_graph", "1"),
        ("prefer_nhwc", "1"),
        ("cudnn_conv_algo_search", "HEURISTIC"),
        ("cudnn_conv_algo_search", "DEFAULT"),
    }
    assert {c.kind for c in cells} == {"parity", "timing", "peers", "breakdown"}
    assert len({c.name for c in cells}) == len(cells)
    # a fresh process each takes seconds: of the defaults only
    assert {c.variant for c in cells if c.costs} == {"tf32"}
    assert {c.kind for c in cells if c.costs} == {"timing"}


@pytest.mark.parametrize("compiled", [False, True])
def test_torch_compile_is_a_peer_if_asked_for(tiny_path, compiled):
    cells = plan([tiny_path], provider="cuda", quick=True, compiled=compiled)
    assert {c.compiled for c in cells if c.kind == "peers"} == {compiled}
    assert not any(c.compiled for c in cells if c.kind != "peers")


def test_what_matters_most_comes_first(tiny_path):
    """Parity before any time, and the defaults at every batch before the other options."""
    cells = plan([tiny_path], provider="cuda", quick=False)
    kinds = [c.kind for c in cells]
    assert kinds.index("timing") == kinds.count("parity")
    variants = [c.variant for c in cells if c.kind == "timing"]
    assert variants[:5] == ["tf32"] * 5


def test_the_cpu_has_no_options(tiny_path):
    cells = plan([tiny_path], provider="cpu", quick=True)
    assert {c.variant for c in cells} == {"default"}
    assert max(c.batch_size for c in cells) == 2


def test_a_failing_cell_says_why_and_stops_no_other(tmp_path):
    def kind(one):
        if one.variant == "broken":
            raise MeasurementError("out of memory")
        return {"ratio": 1.5}

    cells = [cell(variant="broken"), cell(variant="fine")]
    assert sweep(cells, tmp_path, kinds={"parity": kind}, say=list) == 1
    assert read(tmp_path / f"{cells[0].name}.json")["error"] == "MeasurementError: out of memory"
    assert read(tmp_path / f"{cells[1].name}.json")["result"] == {"ratio": 1.5}


def test_a_second_start_does_what_is_missing(tmp_path):
    """Neither what was measured nor what failed is done again."""
    done = []

    def kind(one):
        done.append(one.variant)
        if one.variant == "b":
            raise ValueError

    cells = [cell(variant="a"), cell(variant="b"), cell(variant="c")]
    sweep(cells[:2], tmp_path, kinds={"parity": kind}, say=list)
    sweep(cells, tmp_path, kinds={"parity": kind}, say=list)
    assert done == ["a", "b", "c"]


def test_ctrl_c_leaves_the_cell_to_be_done(tmp_path):
    def interrupted(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep([cell()], tmp_path, kinds={"parity": interrupted}, say=list)
    sweep([cell()], tmp_path, kinds={"parity": lambda _: 1}, say=list)
    assert read(tmp_path / f"{cell().name}.json")["result"] == 1


def test_a_cell_that_kills_the_process_is_given_up_after_two_tries(tmp_path):
    """What such a process leaves is the record of a cell that began."""

    def killed(_):
        raise SystemExit

    for _ in range(2):
        with pytest.raises(SystemExit):
            sweep([cell()], tmp_path, kinds={"parity": killed}, say=list)
    assert sweep([cell()], tmp_path, kinds={"parity": killed}, say=list) == 1
    assert "the process ended within this cell" in read(tmp_path / f"{cell().name}.json")["error"]


def test_a_spent_budget_begins_no_cell(tmp_path):
    assert sweep([cell()], tmp_path, budget_s=0.0, kinds={}, say=list) == 0
    assert not (tmp_path / f"{cell().name}.json").exists()


@pytest.mark.parametrize(
    ("options", "boundaries"),
    [
        ({}, ("numpy->numpy", "device->device")),
        ({"enable_cuda_graph": "1"}, ("device->device",)),
    ],
)
def test_a_timing_passes_the_options_on(monkeypatch, options, boundaries):
    """A captured graph has no boundary at the host."""
    asked = []
    monkeypatch.setattr(
        sweep_cells, "run_benchmark", lambda c: asked.append(c) or SimpleNamespace(result="run")
    )
    found = sweep_cells.timing(cell("timing", batch_size=8, options=options))
    (config,) = asked
    assert found == "run"
    assert (config.provider, config.provider_options) == ("cuda", options)
    assert config.timing.boundaries == boundaries
    assert config.timing.batch_sizes == (8,)


class FakeBound:
    """ImagePredictions with the images it holds; a stuck one keeps the first for ever."""

    def __init__(self, batch, *, stuck):
        self.batch, self.stuck = batch, stuck

    def load(self, batch):
        if not self.stuck:
            self.batch = batch

    def run(self):
        return len(self.batch)

    def fetch(self):
        return self.batch.reshape(len(self.batch), -1).astype(np.float32)


@pytest.fixture
def fake_session(monkeypatch):
    """Sessions whose features are the pixels; returns what was asked of each."""
    asked, stuck = [], []

    class Fake:
        def run(self, images):
            return images.reshape(len(images), -1).astype(np.float32)

        def bind(self, batch):
            return FakeBound(batch, stuck=bool(stuck))

    @contextmanager
    def opened(model, **settings):
        asked.append(settings)
        yield Fake()

    monkeypatch.setattr(sweep_cells, "open_session", opened)
    monkeypatch.setattr(sweep_cells, "OnnxModel", lambda path: path)
    return SimpleNamespace(asked=asked, stuck=stuck)


def test_parity_is_between_the_provider_and_the_cpu(fake_session):
    found = sweep_cells.parity(cell(options={"use_tf32": "0"}))
    ours, reference = fake_session.asked
    assert (ours["provider"], ours["provider_options"]) == ("cuda", {"use_tf32": "0"})
    assert "provider" not in reference  # the CPU, by default
    assert found["device"]["relative_error"] == found["numpy"]["relative_error"] == 0


def test_a_graph_that_answers_for_its_first_input_is_found(fake_session):
    """It would be fast, and wrong."""
    fake_session.stuck.append(True)
    with pytest.raises(MeasurementError, match=r"not the same network.*device"):
        sweep_cells.parity(cell(options={"enable_cuda_graph": "1"}))


@pytest.mark.parametrize("error", [0.06, float("nan")])
def test_features_far_apart_are_refused(error):
    with pytest.raises(MeasurementError, match="not the same network"):
        sweep_cells._check_same({"numpy": {"relative_error": error}})


def test_the_whole_sweep_runs_on_the_cpu(tiny_path, tmp_path, capsys):
    """Real sessions, the smallest batches; a timing cell is a whole run with its verdict."""
    output = tmp_path / "out"
    words = ["-o", str(output), "--provider", "cpu", "--quick", str(tiny_path)]
    assert main([*words, "--kinds", "parity,timing,breakdown"]) == 0
    names = {path.stem: read(path) for path in output.glob("*.json")}
    timing = names["timing-tiny-fp32-cpu-default-b2"]["result"]
    assert {r["boundary"] for r in timing["latency"]} == {"numpy->numpy", "device->device"}
    parity = names["parity-tiny-fp32-cpu-default-b2"]["result"]
    assert parity["device"]["smallest_cosine"] > 0.999_99  # the same kernels
    parts = names["breakdown-tiny-fp32-cpu-default-b1"]["result"]["parts"]
    assert set(parts) == {"decode", "backbone", "head"}
    assert names["machine"]["environment"]["cpus_usable"] >= 1


def test_torch_takes_turns_on_the_same_file(tiny_path):
    """Ratios against ONNX Runtime, and the features of every side beside them."""
    pytest.importorskip("torch", reason="needs PyTorch: pip install 'tlbench[peers]'")
    found = sweep_cells.peers(cell("peers", provider="cpu", model=str(tiny_path), quick=True))[
        "numpy->numpy"
    ]
    assert set(found["ratios_to_onnxruntime"]) == {"torch", "torch channels-last"}
    for distance in found["features"].values():
        assert distance["relative_error"] < 1e-5  # one convolution in another order of sums


def test_every_file_says_what_when_and_where(tiny_path, tmp_path):
    """Schema, version, date; the machine beside the cells, once."""
    words = ["-o", str(tmp_path), "--provider", "cpu", "--quick", str(tiny_path)]
    assert main([*words, "--kinds", "parity"]) == 0
    for path in tmp_path.glob("*.json"):
        found = read(path)
        assert found["schema_version"] == 1
        assert datetime.fromisoformat(found["created_at"]).tzinfo is not None
    assert read(tmp_path / "parity-tiny-fp32-cpu-default-b2.json")["tlbench_version"]


def machine(**changes):
    environment = capture_environment(onnxruntime_build="build", loaded={"cudnn": "9.24.0"})
    return replace(environment, **changes)


GPU = Gpu(name="A", driver="550.10", memory_bytes=None, sm_clock_hz=None)


def test_a_sweep_goes_on_with_the_same_machine(tmp_path):
    """Its date is that of the first start."""
    write_machine(machine(), tmp_path)
    first = (tmp_path / "machine.json").read_text()
    write_machine(machine(on_ac_power=True, git_commit="other"), tmp_path)
    assert (tmp_path / "machine.json").read_text() == first


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"cpu": "Another CPU"}, "CPU .*, now Another CPU"),
        ({"gpus": (GPU,)}, "GPU .*now .'A, driver 550.10"),
        ({"libraries": {"onnxruntime-gpu": "1.0", "cudnn": "9.24.0"}}, "ONNX Runtime .*now 1.0"),
        ({"libraries": {**machine().libraries, "cudnn": "9.1.0"}}, "cuDNN 9.24.0, now 9.1.0"),
    ],
    ids=["cpu", "gpu", "runtime", "cudnn"],
)
def test_cells_of_two_machines_are_not_mixed(tmp_path, changes, text):
    """The file of the machine would be true of some of them only."""
    write_machine(machine(), tmp_path)
    with pytest.raises(ResultError, match=text):
        write_machine(machine(**changes), tmp_path)


def test_a_kind_that_does_not_exist_is_refused(tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["-o", str(tmp_path), "a.onnx", "--kinds", "parity,timings"])
    assert "not timings" in capsys.readouterr().err


def test_a_provider_that_is_not_here_is_refused(tiny_path, tmp_path, capsys):
    """As everywhere, with what is missing; no file is written."""
    output = tmp_path / "out"
    assert main(["-o", str(output), "--provider", "coreml", str(tiny_path)]) == 2
    assert "not in this ONNX Runtime build" in capsys.readouterr().err
    assert not output.exists()


def test_every_kind_of_the_plan_exists():
    assert set(cuda_sweep.CELLS) == {"parity", "timing", "peers", "breakdown"}
