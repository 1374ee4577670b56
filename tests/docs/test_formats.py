"""What programs read: every format has a version, a published schema, and output that fits it."""

import json
import re
from functools import partial
from pathlib import Path

import jsonschema
import onnx
import pytest
from onnx import TensorProto, helper
from PIL import Image

from tlbench.cli.app import app
from tlbench.records import (
    Baseline,
    Comparison,
    GateVerdict,
    ImagesDocument,
    Pick,
    PredictionsDocument,
    Sweep,
    SweepFailure,
    document_schema,
    json_schema,
)
from tlbench.records.baseline import BASELINE_VERSION
from tlbench.records.classified import PREDICTIONS_VERSION
from tlbench.records.comparison import COMPARISON_VERSION
from tlbench.records.gate import VERDICT_VERSION
from tlbench.records.images import IMAGES_VERSION
from tlbench.records.run import SCHEMA_VERSION
from tlbench.records.sweep import FAILURE_VERSION, PICK_VERSION, SWEEP_VERSION
from tlbench.reports.model import DESCRIPTION_VERSION, model_schema

REPOSITORY = Path(__file__).parents[2]
PUBLISHED = REPOSITORY / "docs" / "schema"
GUIDE = (REPOSITORY / "docs" / "formats.md").read_text(encoding="utf-8")
GOLDEN = REPOSITORY / "tests" / "golden"
SCHEMAS = {
    "run": (SCHEMA_VERSION, json_schema),
    "comparison": (COMPARISON_VERSION, partial(document_schema, Comparison, COMPARISON_VERSION)),
    "baseline": (BASELINE_VERSION, partial(document_schema, Baseline, BASELINE_VERSION)),
    "gate": (VERDICT_VERSION, partial(document_schema, GateVerdict, VERDICT_VERSION)),
    "predictions": (
        PREDICTIONS_VERSION,
        partial(document_schema, PredictionsDocument, PREDICTIONS_VERSION),
    ),
    "model": (DESCRIPTION_VERSION, model_schema),
    "sweep": (SWEEP_VERSION, partial(document_schema, Sweep, SWEEP_VERSION)),
    "failure": (FAILURE_VERSION, partial(document_schema, SweepFailure, FAILURE_VERSION)),
    "pick": (PICK_VERSION, partial(document_schema, Pick, PICK_VERSION)),
    "images": (IMAGES_VERSION, partial(document_schema, ImagesDocument, IMAGES_VERSION)),
}

QUICK = ("--limit-train", "60", "--limit-test", "40", "--heads", "softmax", "--baselines", "none")


def _file(name):
    return f"{name}-v{SCHEMAS[name][0]}.schema.json"


@pytest.fixture
def fits():
    """Hold a document against the published schema of its kind; return it."""

    def check(text, name):
        document = json.loads(text, parse_constant=pytest.fail)  # NaN and Infinity are no JSON
        schema = json.loads((PUBLISHED / _file(name)).read_text(encoding="utf-8"))
        jsonschema.Draft202012Validator(schema).validate(document)
        return document

    return check


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_published_schema_is_the_present_one(name):
    """Any validator of the 2020-12 draft can use it, and it is what the records say."""
    version, make = SCHEMAS[name]
    jsonschema.Draft202012Validator.check_schema(make())
    published = (PUBLISHED / _file(name)).read_text(encoding="utf-8")
    assert published == json.dumps(make(), indent=2) + "\n"
    assert f'"const": {version}' in published


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_document_without_its_version_is_invalid(name):
    """A reader can rely on the field, and on its value."""
    schema = SCHEMAS[name][1]()
    record = schema["$defs"][schema["$ref"].rpartition("/")[2]]
    assert "schema_version" in record["required"]
    assert record["properties"]["schema_version"] == {"const": SCHEMAS[name][0]}


def test_no_other_schema_is_published():
    """Those of the present versions, and of earlier ones."""
    for path in PUBLISHED.iterdir():
        name, version = re.fullmatch(r"(\w+)-v(\d+)\.schema\.json", path.name).groups()
        assert 1 <= int(version) <= SCHEMAS[name][0]


def test_the_guide_names_every_present_schema():
    for name in SCHEMAS:
        assert f"(schema/{_file(name)})" in GUIDE


def test_the_guide_names_every_command_that_prints_json():
    """A command with --format, or its like, has a line in the table."""
    commands = [
        command.name or command.callback.__name__
        for command in app.registered_commands
        if "output_format" in command.callback.__annotations__
        or "report_format" in command.callback.__annotations__
    ]
    assert len(commands) > 5
    assert [name for name in commands if f"`{name}" not in GUIDE] == []


def test_run_evaluate_latency_and_drift_print_runs(tlbench, tiny_path, fits):
    """One format for all that measures; report prints it again."""
    model = onnx.load(tiny_path)
    model.doc_string = "another file of the same network"
    onnx.save(model, "other.onnx")
    # Every sample is in the file, so that a second of microseconds would be slow to check.
    timing = ("--min-samples", "11", "--min-duration", "0.01", "--max-duration", "0.05")
    for arguments in (
        ("run", tiny_path, *QUICK, "--no-latency"),
        ("evaluate", tiny_path, *QUICK, "--folds", "2", "--learning-curve", "1,2", "--search"),
        ("latency", tiny_path, *timing, "--batch-size", "2"),
        ("latency", tiny_path, f"{tiny_path}@threads=1", *timing, "--rounds", "6", "--no-costs"),
        ("drift", tiny_path, "other.onnx", *QUICK[:-2]),
    ):
        done = tlbench(*arguments, "--format", "json", "--quiet")
        assert done.code == 0, done.err
        document = fits(done.out, "run")
        again = tlbench("report", document["id"], "--format", "json")
        assert fits(again.out, "run") == document


def test_a_run_keeps_a_document_of_its_images(tlbench, tiny_path, fits):
    assert tlbench("evaluate", tiny_path, *QUICK, "--quiet", "--output", "kept").code == 0
    (path,) = Path("kept").glob("*/images.json")
    assert len(fits(path.read_text(encoding="utf-8"), "images")["rows"]) == 40


def test_report_prints_a_saved_run(tlbench, fits):
    """The golden run as JSON is what its schema says."""
    done = tlbench("report", GOLDEN / "run-v1.json", "--format", "json")
    assert fits(done.out, "run")["schema_version"] == SCHEMA_VERSION


def test_reproduce_prints_a_list_of_runs(tlbench, tiny_path, fits):
    recipe = f"""
        name = "mine"
        title = "Mine"
        protocol = "hold-out"
        [source]
        text = "me"
        url = "https://example.org"
        [[rows]]
        name = "one"
        backbone = "{tiny_path}"
        dataset = "digits"
        n_train = 898
        n_test = 899
        heads.softmax = {{}}
        [[rows.figures]]
        name = "softmax"
        fraction = 0.9
        head = "softmax"
    """
    Path("mine.toml").write_text(recipe, encoding="utf-8")
    done = tlbench("reproduce", "mine.toml", *QUICK[:4], "--no-latency", "--format", "json")
    assert done.code == 0, done.err
    (run,) = json.loads(done.out)
    assert fits(json.dumps(run), "run")["reproduction"]["recipe"] == "mine"


def test_compare_baseline_and_gate(tlbench, tiny_path, fits):
    """Two runs of other parameters on the same images, so that every part has something in it."""
    for strength in ("0.01", "1"):
        options = ("--head-param", f"C={strength}", "--no-costs", "--quiet")
        assert tlbench("run", tiny_path, *QUICK, *options).code == 0
    first, second = sorted(path.name for path in Path("runs").iterdir())
    done = tlbench("compare", first, second, "--allow-unlike", "--format", "json")
    document = fits(done.out, "comparison")
    assert document["speed_ups"]
    assert document["accuracy"][0]["paired"]
    assert tlbench("baseline", "save", first, "-o", "base.json").code == 0
    fits(Path("base.json").read_text(encoding="utf-8"), "baseline")
    done = tlbench("gate", second, "--baseline", "base.json", "--format", "json")
    assert fits(done.out, "gate")["accuracy"]


def test_sweep_and_pick(tlbench, tiny_path, fits):
    """With a cell that failed, and a budget that is kept and one that is not."""
    grid = ("--backbones", tiny_path, "--providers", "cpu,coreml", "--rounds", "6", "--no-costs")
    options = (*QUICK, "--quiet", "--format", "json")
    done = tlbench("sweep", *grid, *options, "-o", "swept")
    assert done.code == 0, done.err
    document = fits(done.out, "sweep")
    assert fits(Path("swept/sweep.json").read_text(encoding="utf-8"), "sweep") == document
    (failed,) = Path("swept").glob("cells/*/failed.json")
    fits(failed.read_text(encoding="utf-8"), "failure")
    (run,) = Path("swept").glob("cells/*/run.json")
    fits(run.read_text(encoding="utf-8"), "run")
    for share, code in (("1%", 0), ("99%", 1)):
        done = tlbench("pick", "swept", "--min-accuracy", share, "--format", "json")
        assert done.code == code
        assert (fits(done.out, "pick")["picked"] is None) == code


def test_predict_and_inspect(tlbench, tiny_path, fits):
    """Of a backbone, of a classifier, and of a file that tlbench did not make."""
    assert tlbench("evaluate", tiny_path, *QUICK, "--quiet").code == 0
    assert tlbench("fuse", "last", "-o", "c.onnx", "--quiet").code == 0
    Image.new("RGB", (9, 9)).save("black.png")
    Path("broken.png").write_bytes(b"no image")
    done = tlbench("predict", "c.onnx", "black.png", "broken.png", "--top-k", "2", "--format=json")
    document = fits(done.out, "predictions")
    assert [len(document[part]) for part in ("images", "unreadable")] == [1, 1]
    assert len(document["images"][0]["ranked"]) == 2

    tensors = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", None, 3]) for name in "xy"
    ]
    graph = helper.make_graph([helper.make_node("Relu", "x", "y")], "g", tensors[:1], tensors[1:])
    onnx.save(helper.make_model(graph), "foreign.onnx")
    for path, parts in ((tiny_path, 1), ("c.onnx", 2), ("foreign.onnx", 0)):
        document = fits(tlbench("inspect", path, "--format", "json").out, "model")
        assert sum(document[card] is not None for card in ("card", "classifier")) == parts
