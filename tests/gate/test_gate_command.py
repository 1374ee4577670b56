"""`tlbench gate`: exit codes, and the verdict in every format."""

import dataclasses
import json
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import jsonschema
import pytest

from tlbench.records.gate import VERDICT_VERSION

ROOT = Path(__file__).parents[2]
PUBLISHED = ROOT / "docs" / "schema" / f"gate-v{VERDICT_VERSION}.schema.json"


@pytest.fixture
def gate(tlbench, save, images, saved_run):
    """Run the command on a run that lost and gained so many images against the baseline."""
    other = dataclasses.replace(saved_run.environment, cpu="Other CPU")  # times are not judged
    first = {"backbone.softmax": images.first}
    save("base", images, first, latency=saved_run.latency[:1], environment=other)
    assert tlbench("baseline", "save", "base", "-o", "base.json").code == 0

    def run(*arguments, lost=0, gained=0):
        entries = {"backbone.softmax": images.second(lost=lost, gained=gained)}
        name = f"run-{lost}-{gained}"
        if not Path("runs", name).exists():
            save(name, images, entries, latency=saved_run.latency[:1])
        return tlbench("gate", name, "--baseline", "base.json", *arguments)

    return run


def test_exit_0_for_a_pass(gate):
    done = gate()
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("PASSED · 1 not judged · efficientnet-lite0 · fp32\n")


def test_exit_1_for_a_failure(gate):
    done = gate(lost=41, gained=10)
    assert (done.code, done.err) == (1, "")
    assert done.out.startswith("FAILED 1 of 3 rules · 1 not judged")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--policy", "absent.toml"), "cannot be read"),
        (("--baseline", "absent.json"), "There is no baseline absent.json"),
        (("--baseline", "bad.json"), "schema version 99"),
        (("--junit", "base.json/a.xml"), "cannot be written"),
        (("--policy", "wrong.toml"), "Did you mean 'alpha'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_exit_2_for_an_error(gate, arguments, said):
    """One line on stderr, nothing on stdout: never a pass, never a failure."""
    Path("bad.json").write_text('{"schema_version": 99}')
    Path("wrong.toml").write_text("[accuracy]\nalhpa = 1\n")
    done = gate(*arguments)
    assert (done.code, done.out) == (2, "")
    assert done.err.count("\n") == 1
    assert said in done.err


def test_a_baseline_must_be_named(tlbench):
    """Without it there is nothing to hold a run against."""
    assert tlbench("gate", "last").code == 2


@pytest.mark.parametrize("lost", [0, 41])
def test_every_verdict_says_what_it_could_have_found(gate, lost):
    """In every format, passed or failed."""
    said = r"Detectable drop \(95 %(25)? power\):? (- )?[\w.-]+: [\d.]+ points or more"
    needed = r"points? needs? about [\d,]+ images"
    done = gate("--junit", "a.xml", "--markdown", "a.md", "--annotations", lost=lost)
    for text in (done.out, Path("a.xml").read_text(), Path("a.md").read_text()):
        flat = " ".join(text.split())
        assert re.search(said, flat)
        assert re.search(needed, flat)
    document = json.loads(gate("--format", "json", lost=lost).out)
    found = document["accuracy"][0]["sensitivity"]
    assert found["smallest_drop_fraction"] > 0
    assert found["finer_n_images"] > 1017


def test_a_verdict_without_a_test_says_that_nothing_could_be_found(gate, save, few_images, tlbench):
    """The run is of fewer images, so that nothing was compared."""
    fewer = few_images(500, 450)
    save("fewer", fewer, {"backbone.softmax": fewer.first})
    done = tlbench("gate", "fewer", "--baseline", "base.json")
    assert done.code == 1
    assert "fewer images: 500 of the baseline's 1,017" in " ".join(done.out.split())
    assert "none: no accuracy was tested for a drop" in done.out


@pytest.mark.parametrize("lost", [0, 41])
def test_the_console_keeps_to_80_columns(gate, lost):
    done = gate(lost=lost)
    assert max(map(len, done.out.splitlines())) <= 80
    assert "…" not in done.out
    assert "not judged" in done.out
    assert "another machine" in done.out


def test_json_is_alone_on_stdout_and_fits_its_schema(gate):
    done = gate("--format", "json", "--annotations", lost=41)
    document = json.loads(done.out)
    assert document["passed"] is False
    assert document["policy"]["accuracy"]["alpha"] == 0.01
    assert done.err.startswith("::error ")
    jsonschema.Draft202012Validator(json.loads(PUBLISHED.read_text())).validate(document)


def test_junit_has_a_case_for_each_rule(gate):
    gate("--junit", "out/gate.xml", lost=41)
    suites = ET.parse("out/gate.xml").getroot()
    assert (suites.get("tests"), suites.get("failures"), suites.get("skipped")) == ("3", "1", "1")
    cases = {
        (case.get("classname"), case.get("name")): [child.tag for child in case]
        for case in suites.iter("testcase")
    }
    assert cases == {
        ("tlbench.gate.cifar10", "same data"): [],
        ("tlbench.gate.backbone.softmax", "no significant drop"): ["failure"],
        ("tlbench.gate.single batch 1", "latency"): ["skipped"],
    }
    (failure,) = suites.iter("failure")
    assert "points, p < 0.001" in failure.get("message")


def test_markdown_is_appended(gate):
    """$GITHUB_STEP_SUMMARY may hold what earlier steps wrote."""
    Path("summary.md").write_text("before\n")
    gate("--markdown", "summary.md", lost=41)
    text = Path("summary.md").read_text()
    assert text.startswith("before\n## tlbench gate: FAILED 1 of 3 rules\n")
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert "| FAIL | backbone.softmax: no significant drop |" in text
    # every row of a table has as many cells as its header
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in tables} <= {4, 6, 8}


def test_annotations_are_commands_of_github_actions(gate):
    """An error for a failure, a warning for what was not judged, a notice of the power."""
    done = gate("--annotations", lost=41)
    commands = [line for line in done.out.splitlines() if line.startswith("::")]
    kinds = [command.split(" ")[0] for command in commands]
    assert kinds == ["::error", "::warning", "::notice"]
    assert all(" title=tlbench gate::" in command for command in commands)
    assert "%" not in re.sub("%25", "", "".join(commands))
    assert gate(lost=41).out.count("::error") == 0


def test_names_that_mean_something_to_a_format_are_escaped(tlbench, save, images):
    """A data set's name is the user's."""
    name = "folder:a|b<c>*&%\x07"
    save("a", images, {"backbone.softmax": images.first}, dataset={"name": name})
    tlbench("baseline", "save", "a", "-o", "a.json")
    done = tlbench("gate", "a", "--baseline", "a.json", "--junit", "a.xml", "--markdown", "a.md")
    assert done.code == 0
    names = [case.get("classname") for case in ET.parse("a.xml").getroot().iter("testcase")]
    assert "tlbench.gate.folder:a|b<c>*&%?" in names
    assert r"folder:a\|b\<c\>\*\&%" in Path("a.md").read_text()


def test_a_policy_file_is_named_in_the_verdict(gate):
    Path("gate.toml").write_text('[accuracy.floors_percent]\n"backbone.softmax" = 90\n')
    done = gate("--policy", "gate.toml")
    assert done.code == 1
    assert "policy: gate.toml" in " ".join(done.out.split())
    assert "87.22 % (887 of 1,017); at least 90 %" in " ".join(done.out.split())


def test_no_measuring_code_is_loaded(gate, tmp_path):
    """A gate works where ONNX Runtime cannot even be imported; scikit-learn would take seconds."""
    gate()
    source = (
        "import sys; sys.modules['onnxruntime'] = None; from tlbench.cli import main\n"
        "sys.argv = ['tlbench', 'gate', 'run-0-0', '--baseline', 'base.json']\n"
        "try:\n    main()\nexcept SystemExit as stop:\n    assert not stop.code\n"
        "assert not {'sklearn', 'onnx', 'scipy.stats'} & set(sys.modules)\n"
        "assert not [n for n in sys.modules if n.startswith(('tlbench.engine', 'tlbench.latency'))]"
    )
    done = subprocess.run(
        [sys.executable, "-c", source], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "PASSED" in done.stdout
