"""A sweep: its cells, what they share, and what becomes of a cell that fails."""

import itertools
import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from tlbench.core.errors import (
    ConfigError,
    MeasurementError,
    ModelError,
    StorageError,
    UnknownNameError,
)
from tlbench.engine import Session
from tlbench.latency import EnergyCounter, StoppingRule
from tlbench.records import FITTED_EARLIER, SweepFolder, find_run, read_run
from tlbench.workflows import run_sweep, sweep_timing
from tlbench.workflows.steps.heads import ChosenHeads
from tlbench.workflows.steps.rounds import read_rounds
from tlbench.workflows.sweep_config import cell_names

pytestmark = [pytest.mark.usefixtures("quick_rounds")]


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "swept"


@pytest.fixture
def extractions(monkeypatch):
    """The batches of more than 4 images that go through any network: those of an extraction."""
    calls = []
    original = Session.run

    def run(self, images):
        if len(images) > 4:
            calls.append(len(images))
        return original(self, images)

    monkeypatch.setattr(Session, "run", run)
    return calls


def by_settings(sweep, name):
    return {getattr(cell.settings, name): cell for cell in sweep.cells}


def test_every_combination_is_a_cell(make_config, folder, tiny_path, tiny_random_path):
    config = make_config(heads=("centroid", "softmax"), batch_sizes=(1, 4))
    sweep = run_sweep(config, folder)
    assert sweep.complete
    assert [(cell.settings.head, cell.settings.batch_size) for cell in sweep.cells] == [
        ("centroid", 1),
        ("centroid", 4),
        ("softmax", 1),
        ("softmax", 4),
    ]
    assert all(cell.figures for cell in sweep.cells)
    assert SweepFolder(folder).read() == sweep


def test_a_cell_is_a_saved_run(make_config, folder):
    """What report, compare, gate and fuse take."""
    sweep = run_sweep(make_config(batch_sizes=(1, 4)), folder)
    for cell in sweep.cells:
        run = read_run(str(folder / "cells" / cell.id), folder)
        assert (run.id, run.complete) == (cell.id, True)
        (timing,) = run.latency
        assert timing.batch_size == cell.settings.batch_size
        assert timing.scenario == ("single" if timing.batch_size == 1 else "offline")
        assert len(timing.block_sizes) == 6
        assert cell.figures.image_s == timing.median_s / timing.batch_size
        assert cell.figures.n_correct == run.accuracy[0].n_correct
    assert find_run(cell.id, folder / "cells")


def test_features_are_extracted_once(make_config, folder, extractions):
    """Heads and batch sizes share them: 60 train and 40 test images, in batches of 32."""
    run_sweep(make_config(heads=("centroid", "softmax"), batch_sizes=(1, 4)), folder)
    assert sum(extractions) == 100


def test_what_cells_share_is_no_reason_to_warn(make_config, folder):
    """The raw-pixel baseline is fitted for the first cell; no table of a sweep has its time."""
    config = make_config(batch_sizes=(1, 2), shared={"baselines": ("pixels",)})
    sweep = run_sweep(config, folder)
    runs = [read_run(str(folder / "cells" / cell.id), folder) for cell in sweep.cells]
    assert any(FITTED_EARLIER in run.warnings for run in runs)
    assert FITTED_EARLIER not in " ".join(sweep.warnings)


def test_heads_share_a_timing(make_config, folder, planned_times):
    sweep = run_sweep(make_config(heads=("centroid", "softmax")), folder)
    assert len(planned_times) == 6
    one, two = (
        read_run(str(folder / "cells" / cell.id), folder).latency[0] for cell in sweep.cells
    )
    assert one == two


def test_networks_take_turns(make_config, folder):
    """Each has one block in each round."""
    run_sweep(make_config(batch_sizes=(1, 4, 8)), folder)
    rounds = read_rounds(folder / "rounds")
    assert [one.number for one in rounds] == [1, 2, 3, 4, 5, 6]
    assert {len(one.blocks) for one in rounds} == {3}


def test_the_order_of_the_turns_changes_from_round_to_round(make_config, folder, planned_times):
    run_sweep(make_config(batch_sizes=(1, 4, 8), rounds=8), folder)
    orders = [tuple(map(id, planned_times[i : i + 3])) for i in range(0, 24, 3)]
    assert len(set(orders)) > 2
    assert all(set(order) == set(orders[0]) for order in orders)


def test_an_id_depends_on_what_determines_the_figures(make_config, tmp_path):
    config = make_config()
    (key,) = config.cells()
    changed = [
        make_config(heads=("softmax",)),
        make_config(batch_sizes=(4,)),
        make_config(rounds=7),
        make_config(shared={"seed": 1}),
        make_config(shared={"limit_test": 39}),
        make_config(shared={"head_params": ("shrink_threshold=0.1",)}),
    ]
    assert len({key, *(next(iter(one.cells())) for one in changed)}) == len(changed) + 1
    moved = make_config(shared={"cache_dir": tmp_path / "elsewhere", "data_dir": tmp_path})
    assert list(moved.cells()) == [key]


def test_a_model_file_is_known_by_its_content(make_config, tiny_path, tmp_path):
    copied = shutil.copy(tiny_path, tmp_path / "copy.onnx")
    assert list(make_config().cells()) == list(make_config(backbones=(str(copied),)).cells())


@pytest.mark.parametrize(
    ("grid", "names"),
    [
        ({}, ["net"]),
        ({"input_sizes": (96, 128)}, ["96 px", "128 px"]),
        ({"precisions": ("fp32", "int8")}, ["fp32", "int8"]),
        (
            {"heads": ("softmax", "knn"), "batch_sizes": (1, 8)},
            ["softmax batch 1", "softmax batch 8", "knn batch 1", "knn batch 8"],
        ),
        ({"backbones": ("a", "b")}, ["a", "b"]),
    ],
)
def test_a_name_says_what_differs(make_config, grid, names):
    config = make_config(**({"backbones": ("net",)} | grid))
    assert cell_names(config.cells().values()) == names


def test_a_finished_sweep_is_not_measured_again(make_config, folder, extractions, planned_times):
    config = make_config(heads=("centroid", "softmax"))
    before = run_sweep(config, folder)
    extractions.clear()
    planned_times.clear()
    after = run_sweep(config, folder)
    assert (extractions, planned_times) == ([], [])
    assert after == before


def test_another_reference_needs_no_measurement(make_config, folder, planned_times):
    config = make_config(heads=("centroid", "softmax"))
    before = run_sweep(config, folder)
    planned_times.clear()
    other = before.cells[1]
    after = run_sweep(config, folder, against=other.id)
    assert before.against == before.cells[0].id
    assert after.against == other.id
    assert after.differences[0].cell == before.cells[0].id
    assert planned_times == []


def test_a_provider_that_is_absent_fails_its_cells_only(make_config, folder, recorder):
    sweep = run_sweep(make_config(providers=("coreml", "cpu")), folder, recorder)
    found = by_settings(sweep, "provider")
    assert found["cpu"].state == "measured"
    assert (found["coreml"].state, found["coreml"].figures) == ("failed", None)
    assert "coreml" in found["coreml"].reason
    assert json.loads((folder / "cells" / found["coreml"].id / "failed.json").read_text())["reason"]
    assert any("failed: " in text for text in recorder.warnings)


def test_a_size_that_a_backbone_refuses_fails_its_cell(make_config, folder):
    config = make_config(backbones=("efficientnet-lite0",), input_sizes=(16, 32))
    found = by_settings(run_sweep(config, folder), "input_size")
    assert found[32].figures.input_size == 32
    assert "input_size" in found[16].reason


def test_a_file_has_the_size_that_it_has(make_config, folder):
    with pytest.raises(MeasurementError, match="None of the 1 cells .* already exported"):
        run_sweep(make_config(input_sizes=(96,)), folder)


def test_a_head_that_cannot_be_fitted_fails_its_cells_only(make_config, folder):
    found = by_settings(run_sweep(make_config(heads=("conv", "centroid")), folder), "head")
    assert found["conv"].state == "failed"
    assert found["centroid"].state == "measured"


def test_failed_cells_are_kept_and_not_tried_again(make_config, folder, monkeypatch):
    """Until their folder is deleted."""
    config, tried = make_config(providers=("coreml", "cpu")), []

    def check(name):
        tried.append(name)
        if name == "coreml":
            raise ConfigError("no")

    monkeypatch.setattr("tlbench.workflows.sweep.check_provider", check)
    before = run_sweep(config, folder)
    assert tried == ["coreml", "cpu"]
    assert run_sweep(config, folder) == before
    assert tried == ["coreml", "cpu"]
    shutil.rmtree(folder / "cells" / before.cells[0].id)
    run_sweep(config, folder)
    assert tried == ["coreml", "cpu", "coreml"]


def test_a_timing_that_fails_fails_its_cells_only(make_config, folder, monkeypatch):
    """Such as a GPU that runs out of memory in a round; the cell keeps no half of a run."""
    from tlbench.workflows.steps import rounds

    original, calls = rounds.time_block, []

    def time_block(sampler, *arguments, **more):
        calls.append(sampler)
        if len(calls) == 3:
            raise RuntimeError("out of memory")
        return original(sampler, *arguments, **more)

    monkeypatch.setattr(rounds, "time_block", time_block)
    sweep = run_sweep(make_config(batch_sizes=(1, 4)), folder)
    states = sorted(cell.state for cell in sweep.cells)
    assert states == ["failed", "measured"]
    (failed,) = (cell for cell in sweep.cells if cell.state == "failed")
    assert failed.reason == "out of memory"
    assert {path.name for path in (folder / "cells" / failed.id).iterdir()} == {"failed.json"}


def test_a_full_disk_ends_the_sweep_and_fails_no_cell(make_config, folder, monkeypatch):
    def save(*_):
        raise StorageError("no space left")

    monkeypatch.setattr("tlbench.workflows.sweep.save_run", save)
    with pytest.raises(StorageError, match="no space"):
        run_sweep(make_config(), folder)
    assert list(folder.glob("cells/*/failed.json")) == []


@pytest.mark.parametrize(
    ("grid", "error", "message"),
    [
        ({"backbones": ()}, ConfigError, "backbones is empty"),
        ({"precisions": ()}, ConfigError, "precisions is empty"),
        ({"heads": ("softmax", "softmax")}, ConfigError, "heads has 'softmax' twice"),
        ({"providers": ("cpu", "CPUExecutionProvider")}, ConfigError, "providers has 'cpu' twice"),
        ({"input_sizes": (96, 96)}, ConfigError, "input_sizes has 96 twice"),
        ({"batch_sizes": (0,)}, ConfigError, "batch_sizes must be at least 1, got 0"),
        ({"input_sizes": (-1,)}, ConfigError, "input_sizes must be at least 1"),
        ({"rounds": 0}, ConfigError, "rounds must be at least 1"),
        ({"providers": ("cdua",)}, UnknownNameError, "Did you mean 'cuda'"),
        ({"backbones": ("efficientnet-lit0",)}, UnknownNameError, "Did you mean 'efficientnet"),
        ({"backbones": ("missing.onnx",)}, ModelError, "no model file missing.onnx"),
        ({"fits": ("croop",)}, UnknownNameError, "Did you mean 'crop'"),
        ({"precisions": ("int9",)}, UnknownNameError, "Did you mean 'int8'"),
        ({"heads": ("sofmax",)}, UnknownNameError, "Did you mean 'softmax'"),
    ],
)
def test_wrong_settings_leave_no_trace(make_config, folder, grid, error, message):
    with pytest.raises(error, match=message):
        run_sweep(make_config(**grid), folder)
    assert not folder.exists()


def test_a_wrong_reference_costs_no_time(make_config, folder):
    with pytest.raises(UnknownNameError, match="Unknown cell or backbone"):
        run_sweep(make_config(), folder, against="vgg16")
    assert not folder.exists()


def test_a_reference_that_failed_is_replaced(make_config, folder, recorder):
    """Hours of measurement are not lost for it."""
    config = make_config(providers=("coreml", "cpu"))
    wanted = next(iter(config.cells()))
    sweep = run_sweep(config, folder, recorder, against=wanted)
    assert sweep.against == by_settings(sweep, "provider")["cpu"].id
    assert any(f"The cell {wanted}" in text and "compared" in text for text in recorder.warnings)


def test_a_gpu_and_a_processor_take_turns(make_config, folder, cuda_machine):
    """Each has features of its own; the state of the GPU is kept with every round."""
    sweep = run_sweep(make_config(providers=("cpu", "cuda"), batch_sizes=(1, 4)), folder)
    assert [cell.state for cell in sweep.cells] == ["measured"] * 4
    rounds = read_rounds(folder / "rounds")
    assert {len(one.blocks) for one in rounds} == {4}
    assert {len(one.gpus) for one in rounds} == {2}
    runs = {
        cell.settings.provider: read_run(str(folder / "cells" / cell.id), folder)
        for cell in sweep.cells
    }
    assert {name: run.latency[0].provider for name, run in runs.items()} == {
        "cpu": "cpu",
        "cuda": "cuda",
    }
    assert runs["cuda"].latency[0].gpu
    assert runs["cuda"].extraction[0].provider == "cuda"


def test_energy_is_counted_after_the_rounds(make_config, folder, monkeypatch):
    """In calls of its own: a block is too short for a counter."""
    joules = itertools.count(0.0, 0.5)
    counter = EnergyCounter(lambda: next(joules), "a counter of the tests")
    monkeypatch.setattr("tlbench.workflows.steps.timed_model.rapl_counter", lambda: counter)
    monkeypatch.setattr(
        "tlbench.workflows.steps.rounds._ENERGY_RULE",
        StoppingRule(min_samples=4, min_duration_s=0.0, warmup_s=0.0),
    )
    monkeypatch.setattr("tlbench.workflows.steps.rounds.memory_of", lambda *_: {})
    (cell,) = run_sweep(make_config(shared={"timing": sweep_timing()}), folder).cells
    assert cell.figures.energy_j_per_image > 0
    assert "counted in 4 calls after the rounds" in cell.figures.energy_note


def test_one_file_under_two_names_is_refused(make_config, folder, tiny_path, tmp_path):
    copied = str(shutil.copy(tiny_path, tmp_path / "copy.onnx"))
    with pytest.raises(ConfigError, match="two files with the same content"):
        run_sweep(make_config(backbones=(str(tiny_path), copied)), folder)


def test_a_folder_with_another_sweep_is_refused(make_config, folder):
    run_sweep(make_config(), folder)
    with pytest.raises(StorageError, match=r"heads is \['centroid'\] there and \['softmax'\] here"):
        run_sweep(make_config(heads=("softmax",)), folder)


def test_a_folder_with_other_files_is_refused(make_config, folder):
    folder.mkdir()
    (folder / "thesis.tex").write_text("...")
    with pytest.raises(StorageError, match=r"holds no sweep, but other files, such as thesis\.tex"):
        run_sweep(make_config(), folder)


def test_two_sweeps_at_once_are_refused(make_config, folder):
    with SweepFolder(folder).locked(), pytest.raises(StorageError, match="Another sweep is being"):
        run_sweep(make_config(), folder)


@pytest.mark.parametrize(
    "damage",
    [
        lambda cell: (cell / "run.json").write_text("{"),
        lambda cell: (cell / "run.json").write_bytes(b"\xff\xfe"),
        lambda cell: (cell / "run.json").unlink(),
        lambda cell: (cell / "predictions.npz").unlink(),
        lambda cell: (cell / "predictions.npz").write_bytes(b"PK"),
        shutil.rmtree,
    ],
    ids=["cut", "not text", "no run", "no predictions", "damaged predictions", "no folder"],
)
def test_a_damaged_cell_is_measured_again(make_config, folder, damage, planned_times):
    """From the features and rounds that are there: nothing is timed again."""
    config = make_config(heads=("centroid", "softmax"))
    before = run_sweep(config, folder)
    planned_times.clear()
    damage(folder / "cells" / before.cells[0].id)
    after = run_sweep(config, folder)
    assert planned_times == []
    assert [one.figures.n_correct for one in after.cells] == [
        one.figures.n_correct for one in before.cells
    ]


def test_rounds_that_are_damaged_are_all_timed_again(make_config, folder, planned_times, recorder):
    config = make_config(heads=("centroid", "softmax"))
    before = run_sweep(config, folder)
    planned_times.clear()
    (folder / "rounds" / "0003.json").write_text("{}")
    (folder / "cells" / before.cells[0].id / "run.json").unlink()
    assert run_sweep(config, folder, recorder).complete
    assert len(planned_times) == 6
    assert any("timed again" in text for text in recorder.warnings)


def test_a_network_that_comes_late_is_timed_together_with_the_others(
    make_config, folder, monkeypatch, planned_times, recorder
):
    """A cell that is tried again took part in no round: alone it could not be compared."""
    config = make_config(batch_sizes=(1, 4))

    def refuse(one):
        if one.timing.batch_sizes == (4,):
            raise ConfigError("not now")
        return ChosenHeads.of(one)

    with monkeypatch.context() as patch:
        patch.setattr("tlbench.workflows.sweep.ChosenHeads", SimpleNamespace(of=refuse))
        sweep = run_sweep(config, folder)
    failed = by_settings(sweep, "batch_size")[4]
    assert failed.state == "failed"
    shutil.rmtree(folder / "cells" / failed.id)
    planned_times.clear()
    assert all(cell.figures for cell in run_sweep(config, folder, recorder).cells)
    assert len(planned_times) == 12


def test_another_machine_does_not_go_on(make_config, folder):
    config = make_config()
    run_sweep(config, folder)
    home = SweepFolder(folder)
    sweep = home.read()
    home.write(replace(sweep, environment=replace(sweep.environment, cpu="another")))
    shutil.rmtree(folder / "cells")
    with pytest.raises(StorageError, match="begun elsewhere: cpu was another"):
        run_sweep(config, folder)


def test_other_images_do_not_go_on(make_config, folder):
    config = make_config()
    run_sweep(config, folder)
    home = SweepFolder(folder)
    home.write(replace(home.read(), fingerprint="0"))
    shutil.rmtree(folder / "cells")
    with pytest.raises(StorageError, match="images of digits are others"):
        run_sweep(config, folder)


def test_without_a_cache_nothing_is_stored(make_config, folder, tmp_path):
    assert run_sweep(make_config(shared={"cache": False}), folder).complete
    assert not (tmp_path / "cache").exists()


def test_a_session_gives_way_where_memory_is_short(make_config, folder, monkeypatch):
    """With room for one network, each is opened again for its turn."""
    monkeypatch.setattr("tlbench.workflows.steps.rounds._MOST_OPEN_BYTES", 1)
    sweep = run_sweep(make_config(batch_sizes=(1, 4)), folder)
    assert all(cell.figures.n_rounds == 6 for cell in sweep.cells)
    opened = [len(one.opened) for one in read_rounds(folder / "rounds")]
    assert opened[0] == 2
    assert sum(opened) > 6


def test_an_unknown_dataset_is_an_error_of_the_sweep(make_config, folder):
    with pytest.raises(UnknownNameError, match="Unknown dataset"):
        run_sweep(make_config(shared={"dataset": "digit"}), folder)
    assert not (folder / "sweep.json").exists()


def test_the_folder_may_be_anywhere(make_config, tmp_path):
    assert run_sweep(make_config(), tmp_path / "a" / "b" / "swept").complete
    assert Path(tmp_path / "a" / "b" / "swept" / "sweep.json").is_file()
