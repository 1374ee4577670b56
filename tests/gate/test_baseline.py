"""A baseline keeps what a gate needs of a run, in a small file that is read strictly."""

import base64
import dataclasses
import json
import zlib
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlbench.compare import open_compared_run
from tlbench.core.errors import GateError, ResultError, StorageError
from tlbench.gate import make_baseline
from tlbench.records import ServerLoad, pack_labels, read_baseline, save_baseline, unpack_labels
from tlbench.records.baseline import BASELINE_VERSION, decode_baseline
from tlbench.records.codec import encode_document

replace = dataclasses.replace

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden" / f"baseline-v{BASELINE_VERSION}.json"
PUBLISHED = ROOT / "docs" / "schema" / f"baseline-v{BASELINE_VERSION}.schema.json"


@pytest.fixture
def compared(save, images, saved_run, tmp_path):
    """A saved run with two entries, a feature baseline and two timings."""
    entries = {
        "backbone.softmax": images.first,
        "backbone-fp32.softmax": images.second(lost=3),
        "pixels.softmax": images.second(lost=500),
    }
    save("a", images, entries, latency=saved_run.latency)
    return open_compared_run("a", tmp_path / "work" / "runs")


@given(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=200))
def test_labels_survive_packing(labels):
    array = np.array(labels, dtype=np.int64)
    np.testing.assert_array_equal(unpack_labels(pack_labels(array), "labels"), array)


@pytest.mark.parametrize(
    ("largest", "dtype"), [(255, "uint8"), (256, "uint16"), (65535, "uint16"), (65536, "uint32")]
)
def test_labels_are_packed_in_the_smallest_type(largest, dtype):
    assert pack_labels(np.array([0, largest])).dtype == dtype


@pytest.mark.parametrize("labels", [[], [-1, 2], [2**32]])
def test_impossible_labels_are_refused(labels):
    with pytest.raises(GateError, match="numbers from 0"):
        pack_labels(np.array(labels, dtype=np.int64))


def _repacked(content):
    return base64.b64encode(content).decode()


@pytest.mark.parametrize(
    "data",
    [
        "not base64!",
        _repacked(b"not zlib"),
        _repacked(zlib.compress(bytes(4))),  # too few
        _repacked(zlib.compress(bytes(6))),  # too many
        _repacked(zlib.compress(bytes(10**7))),  # never unpacked whole
        _repacked(zlib.compress(bytes(5))[:-3]),  # cut short
    ],
    ids=["base64", "zlib", "few", "many", "bomb", "cut"],
)
def test_damaged_labels_are_refused(data):
    packed = dataclasses.replace(pack_labels(np.zeros(5, dtype=np.int64)), data=data)
    with pytest.raises(GateError, match="Save the baseline again"):
        unpack_labels(packed, "labels")


def test_a_baseline_holds_predictions_and_no_feature_baselines(compared, images):
    """Pixels do not depend on the model, so a gate has no use for them."""
    found = make_baseline(compared)
    assert [one.entry for one in found.accuracy] == ["backbone.softmax", "backbone-fp32.softmax"]
    np.testing.assert_array_equal(
        unpack_labels(found.accuracy[0].predictions, "labels"), images.first
    )
    assert (found.accuracy[0].n_correct, found.accuracy[0].n_test) == (887, 1017)
    assert (found.data.name, found.data.n_test, found.data.n_classes) == ("cifar10", 1017, 10)


def test_entries_and_timings_can_be_left_out(compared):
    found = make_baseline(compared, entries=("pixels.*",), latency=False)
    assert [one.entry for one in found.accuracy] == ["pixels.softmax"]
    assert found.latency == ()


def test_timings_keep_medians_and_no_samples(compared):
    found = make_baseline(compared).latency
    assert [(one.scenario, one.batch_size) for one in found] == [("single", 1), ("batch", 32)]
    assert [one.median_s for one in found] == [one.median_s for one in compared.timings]


def test_a_model_is_its_card_or_its_file(compared):
    """A verdict names it, and claims no weights that no card states."""
    model = compared.run.model
    found = make_baseline(compared).model
    assert (found.name, found.precision) == ("efficientnet-lite0", "fp32")
    assert found.weights == f"imagenet: {model.card.weights.origin}"
    bare = replace(compared.run, model=replace(model, card=None, path_name="mine.onnx"))
    found = make_baseline(replace(compared, run=bare)).model
    assert (found.name, found.precision, found.weights) == ("mine.onnx", "unknown", "unknown")
    assert found.sha256 == model.sha256


def test_a_server_keeps_its_load(compared):
    """Times under another load are not comparable."""
    load = ServerLoad(
        qps=40.5, latency_bound_s=0.1, over_fraction=0.0, over_high=0.01, allowed_fraction=0.01
    )
    timing = replace(compared.run.latency[0], scenario="server", server=load)
    served = replace(compared, run=replace(compared.run, latency=(timing,)))
    assert make_baseline(served).latency[0].load == "40.5/s within 0.1 s"
    assert {one.load for one in make_baseline(compared).latency} == {None}


def test_an_entry_that_matches_nothing_is_an_error(compared):
    with pytest.raises(GateError, match=r"no predictions 'backbone.svm'. It has: backbone.softmax"):
        make_baseline(compared, entries=("backbone.svm",))


def test_an_interrupted_run_cannot_be_a_baseline(compared):
    run = dataclasses.replace(compared.run, complete=False)
    with pytest.raises(GateError, match="was interrupted"):
        make_baseline(dataclasses.replace(compared, run=run))


def test_a_run_without_its_predictions_cannot_be_a_baseline(compared):
    (compared.folder / "predictions.npz").unlink()
    with pytest.raises(GateError, match="Copy the whole folder"):
        make_baseline(compared)


def test_a_run_with_nothing_in_it_cannot_be_a_baseline(compared):
    run = dataclasses.replace(compared.run, accuracy=(), latency=())
    with pytest.raises(GateError, match="nothing to keep"):
        make_baseline(dataclasses.replace(compared, run=run))


def test_predictions_of_another_run_are_refused(compared):
    """The file was exchanged: what run.json says does not come out."""
    first = compared.run.accuracy[0]
    wrong = dataclasses.replace(first, n_correct=first.n_correct - 1)
    run = dataclasses.replace(compared.run, accuracy=(wrong, *compared.run.accuracy[1:]))
    with pytest.raises(ResultError, match="belong to different runs"):
        make_baseline(dataclasses.replace(compared, run=run))


def test_an_interleaved_run_needs_a_label(tmp_path):
    """Several models were interleaved: which of them is the baseline?"""
    golden = GOLDEN.parent / "run-candidates.json"
    whole, one = (
        open_compared_run(str(golden), tmp_path),
        open_compared_run(f"{golden}#a", tmp_path),
    )
    run = dataclasses.replace(whole.run, complete=True, accuracy=())
    with pytest.raises(GateError, match="#a'"):
        make_baseline(dataclasses.replace(whole, run=run))
    assert make_baseline(dataclasses.replace(one, run=run)).latency


def test_the_same_run_gives_the_same_bytes(compared):
    """git shows a difference only where there is one."""
    assert encode_document(make_baseline(compared)) == encode_document(make_baseline(compared))


def test_a_baseline_survives_its_file(compared, tmp_path):
    found, path = make_baseline(compared), tmp_path / "new" / "baseline.json"
    size = save_baseline(found, path)
    assert read_baseline(path) == found
    assert path.stat().st_size == size
    # predictions of 1,017 images under two entries take most of it
    assert size < 10_000
    assert [one.name for one in path.parent.iterdir()] == ["baseline.json"]


def test_a_file_that_is_there_is_not_replaced(compared, tmp_path):
    path = tmp_path / "baseline.json"
    path.write_text("mine")
    with pytest.raises(GateError, match="force=True"):
        save_baseline(make_baseline(compared), path)
    assert path.read_text() == "mine"
    save_baseline(make_baseline(compared), path, force=True)
    assert read_baseline(path).run == "a"


def test_a_folder_in_its_place_leaves_nothing_behind(compared, tmp_path):
    (tmp_path / "baseline.json").mkdir()
    with pytest.raises(StorageError, match="cannot be written"):
        save_baseline(make_baseline(compared), tmp_path / "baseline.json", force=True)
    assert not list(tmp_path.glob(".baseline*"))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is not a baseline"),
        (b"[]", "no schema_version"),
        (b'{"run": "a"}', "no schema_version"),
        (b'{"schema_version": true}', "no schema_version"),
        (b'{"schema_version": 2}', "schema version 2; this tlbench reads version 1"),
        (b'{"schema_version": 1}', "missing required field"),
        (b"\xff", "is not a baseline"),
    ],
)
def test_what_is_not_a_baseline_is_refused(content, said):
    with pytest.raises(GateError, match=said):
        decode_baseline(content, "file.json")


def test_a_missing_file_says_how_to_make_it(tmp_path):
    with pytest.raises(GateError, match="tlbench baseline save RUN -o"):
        read_baseline(tmp_path / "absent.json")


def test_golden_file_is_valid_and_read():
    """A file that some tlbench once wrote stays readable, and is what the schema says."""
    content = GOLDEN.read_bytes()
    validator = jsonschema.Draft202012Validator(json.loads(PUBLISHED.read_text(encoding="utf-8")))
    validator.validate(json.loads(content))
    assert encode_document(decode_baseline(content, "golden")) == content


def test_saved_baseline_is_valid(compared):
    validator = jsonschema.Draft202012Validator(json.loads(PUBLISHED.read_text(encoding="utf-8")))
    validator.validate(json.loads(encode_document(make_baseline(compared))))


def test_the_command_saves_and_says_what(tlbench, compared):
    done = tlbench("baseline", "save", "a", "-o", "baselines/a.json")
    assert done.code == 0, done.err
    assert "backbone.softmax, backbone-fp32.softmax, single batch 1, batch batch 32" in done.out
    again = tlbench("baseline", "save", "last", "-o", "baselines/a.json", "--no-latency")
    assert (again.code, again.out) == (2, "")
    assert "force" in again.err
    arguments = ("--entries", "pixels.softmax", "--no-latency", "--force")
    assert tlbench("baseline", "save", "last", "-o", "baselines/a.json", *arguments).code == 0
    found = read_baseline(Path("baselines/a.json"))
    assert [one.entry for one in found.accuracy] == ["pixels.softmax"]
    assert found.latency == ()
