"""The workflow in docs/gating.md runs as it stands: at home, in GitHub Actions, and in tox."""

import configparser
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import yaml
from documents import REPOSITORY, blocks_of, commands_of, steps_of
from PIL import Image

GUIDE = REPOSITORY / "docs" / "gating.md"
(CONSOLE,) = blocks_of(GUIDE, "console")
WORKFLOW, _ = blocks_of(GUIDE, "yaml")  # the other uses action.yml: see test_action.py
(TOX,) = blocks_of(GUIDE, "ini")
(POLICY,) = blocks_of(GUIDE, "toml")

runs_the_guide = [
    pytest.mark.slow,
    pytest.mark.tensorflow,
    pytest.mark.skipif(
        importlib.util.find_spec("tensorflow") is None, reason="needs TensorFlow (extra 'export')"
    ),
    pytest.mark.skipif(
        not (shutil.which("git") and shutil.which("bash")), reason="needs git and bash"
    ),
]

# The second network is blind to red and green, in which alone the two classes differ.
SAVE_WEIGHTS = """
import keras
keras.utils.set_random_seed(0)
model = keras.applications.MobileNetV3Small(weights=None, include_top=False)
model.save_weights("my.weights.h5")
first = next(layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D))
kernel, *rest = first.get_weights()
kernel[:, :, :2] = 0
first.set_weights([kernel, *rest])
model.save_weights("blind.weights.h5")
"""


def test_the_workflow_is_one():
    """A job on a runner, whose steps each use an action or run a command."""
    workflow = yaml.safe_load(WORKFLOW.text)
    # YAML 1.1, which PyYAML reads, takes the word "on" for true; GitHub reads YAML 1.2.
    assert {"name", "permissions", "jobs", True} == set(workflow)
    (job,) = workflow["jobs"].values()
    assert {"runs-on", "timeout-minutes", "steps"} == set(job)
    assert all(len({"uses", "run"} & set(step)) == 1 for step in job["steps"])
    assert all(set(step) <= {"uses", "run", "with", "if"} for step in job["steps"])
    # A folded line that is indented further keeps its line break, and the shell would see two.
    assert all("\n" not in command.strip() for command in commands_of(WORKFLOW))


def test_every_way_measures_the_same():
    """The options that make two runs alike do not differ between the three."""
    found = set()
    for block in (CONSOLE, WORKFLOW, TOX):
        (line,) = [line for line in commands_of(block) if " evaluate " in line]
        words = line.replace("{env_tmp_dir}/", "").split()
        found.add(tuple(words[: words.index("softmax") + 1]))
    assert len(found) == 1


def _without_outer_tox():
    """What an outer tox tells its commands, an inner one would take for its options."""
    return {name: value for name, value in os.environ.items() if not name.startswith("TOX")}


@pytest.fixture(scope="module")
def environment(tmp_path_factory, shared_cache):
    """A shell in which this tlbench comes first, and nothing of the user's."""
    home = tmp_path_factory.mktemp("home")
    folder = str(Path(sys.executable).parent)
    return _without_outer_tox() | {
        "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
        "TLBENCH_CACHE": str(shared_cache),
        "GIT_CONFIG_GLOBAL": str(home / "gitconfig"),
        "GIT_CONFIG_SYSTEM": os.devnull,
        "NO_COLOR": "1",
    }


@pytest.fixture(scope="module")
def shell(environment):
    """Run a line as GitHub Actions does where a step names no shell: bash -e."""

    def run(command, folder, **variables):
        return subprocess.run(
            ["bash", "-e", "-c", command],
            cwd=folder,
            env=environment | variables,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def _take_photos(folder):
    """Two classes that differ in red and green alone; blue says nothing."""
    rng = np.random.default_rng(3)
    for split, n_images in (("train", 12), ("test", 20)):
        for name, colour in (("apple", (200, 60)), ("pear", (60, 200))):
            place = folder / split / name
            place.mkdir(parents=True)
            for number in range(n_images):
                pixels = rng.integers(-30, 31, (40, 48, 3))
                pixels += np.array([*colour, rng.integers(60, 200)])
                Image.fromarray(pixels.astype(np.uint8)).save(place / f"{number}.png")


@pytest.fixture(scope="module")
def project(tmp_path_factory, shell):
    """A user's repository after the guide's console block: all of it committed."""
    folder = tmp_path_factory.mktemp("project")
    _take_photos(folder / "photos")
    (folder / "gate.toml").write_text(POLICY.text, encoding="utf-8")
    (folder / "tox.ini").write_text(TOX.text, encoding="utf-8")
    (folder / ".gitignore").write_text("model.onnx\nruns/\n.tox/\n", encoding="utf-8")
    git = "git config --global user.name A && git config --global user.email a@example.org"
    python = f"{sys.executable} -c '{SAVE_WEIGHTS}'"
    for command in (git, "git init --quiet .", python, *commands_of(CONSOLE)):
        done = shell(command, folder)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    staged = shell("git diff --cached --name-only", folder).stdout.split()
    assert staged == ["baselines/model.json", "gate.toml"]
    done = shell("git add . && git commit --quiet -m all", folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def clone(project, shell, tmp_path):
    """What a checkout has: the committed files and no others."""
    folder = tmp_path / "clone"
    done = shell(f"git clone --quiet '{project}' '{folder}'", tmp_path)
    assert done.returncode == 0, done.stderr
    assert not (folder / "runs").exists()
    return folder


def _run_job(shell, folder):
    """Run the steps of the job until one fails; return the last, and the step summary."""
    summary = folder.parent / "summary.md"
    variables = {"GITHUB_STEP_SUMMARY": str(summary), "GITHUB_ACTIONS": "true", "CI": "true"}
    for step in steps_of(WORKFLOW):
        command = step.get("run", "")
        # Actions of others, and the installation of what is tested here, stay out.
        if not command or command.startswith("pip install"):
            continue
        done = shell(command, folder, **variables)
        if done.returncode:
            break
    return done, summary.read_text(encoding="utf-8")


class TestRuns:
    """The guide's commands, in order. The same network passes; one that lost its sight fails."""

    pytestmark = runs_the_guide

    def test_in_actions_the_same_network_passes(self, shell, clone):
        done, summary = _run_job(shell, clone)
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout.startswith("PASSED")
        assert "::error" not in done.stdout
        assert "\n::notice title=tlbench gate::" in done.stdout
        assert summary.startswith("## tlbench gate: PASSED")
        suites = ET.parse(clone / "gate.xml").getroot()
        assert suites.get("failures") == "0"

    def test_in_actions_a_disturbed_network_fails(self, shell, clone):
        shutil.copy(clone / "blind.weights.h5", clone / "my.weights.h5")
        done, summary = _run_job(shell, clone)
        assert done.returncode == 1, done.stdout + done.stderr
        assert done.stdout.startswith("FAILED 1 of ")
        assert "\n::error title=tlbench gate::FAIL: backbone.softmax: " in done.stdout
        assert summary.startswith("## tlbench gate: FAILED 1 of ")
        assert "| FAIL | backbone.softmax: no significant drop |" in summary
        suites = ET.parse(clone / "gate.xml").getroot()
        assert suites.get("failures") == "1"
        (kept,) = (clone / "runs").glob("*/run.json")  # for the step that uploads them
        assert kept.is_file()

    @pytest.mark.skipif(importlib.util.find_spec("tox") is None, reason="needs tox")
    def test_tox_passes_and_fails_alike(self, shell, clone):
        """Everything but the installation: tlbench is found on PATH instead."""
        instead = "-x testenv:gate.deps= -x testenv:gate.allowlist_externals=tlbench"
        tox = f"{sys.executable} -m tox run -e gate {instead}"
        done = shell(tox, clone)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "PASSED" in done.stdout
        (junit,) = clone.glob(".tox/**/gate.xml")
        assert ET.parse(junit).getroot().get("failures") == "0"
        shutil.copy(clone / "blind.weights.h5", clone / "my.weights.h5")
        done = shell(tox, clone)
        assert done.returncode == 1
        assert "FAILED 1 of " in done.stdout


def test_the_section_is_one_that_tox_reads(tmp_path):
    """No key of it is unknown to tox, and each of its commands is tlbench."""
    pytest.importorskip("tox", reason="needs tox")
    (tmp_path / "tox.ini").write_text(TOX.text, encoding="utf-8")
    section = configparser.ConfigParser(interpolation=None)
    section.read(tmp_path / "tox.ini")
    keys = list(section["testenv:gate"])
    done = subprocess.run(
        [sys.executable, "-m", "tox", "config", "-e", "gate", "-c", str(tmp_path / "tox.ini")],
        cwd=tmp_path,
        env=_without_outer_tox(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "unused" not in done.stdout
    for key in keys:
        assert f"\n{key} =" in done.stdout
    _, _, commands = done.stdout.partition("\ncommands =")
    lines = [line.strip() for line in commands.splitlines() if line.startswith("  ")]
    n_commands = len(commands_of(TOX))
    assert [line.split()[0] for line in lines[:n_commands]] == ["tlbench"] * n_commands
