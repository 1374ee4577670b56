"""action.yml, run step by step as GitHub does: its own shell, variables and exit codes."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from documents import REPOSITORY

ACTION = yaml.safe_load((REPOSITORY / "action.yml").read_text(encoding="utf-8"))
OPTIONS = "--limit-train 100 --limit-test 60 --baselines none"

pytestmark = pytest.mark.skipif(not shutil.which("bash"), reason="needs bash")


class Runner:
    """The steps of a composite action in one folder; pip and gh only note what they are told."""

    def __init__(self, folder):
        self.folder = folder
        tools = folder / "tools"
        tools.mkdir()
        for name in ("pip", "gh"):
            tool = tools / name
            tool.write_text(f'#!/bin/sh\necho "$@" >> "{folder}/{name}.txt"\n', encoding="utf-8")
            tool.chmod(0o755)
        (folder / "temp").mkdir()
        installed = str(Path(sys.executable).parent)
        self.environment = {
            **os.environ,
            "PATH": os.pathsep.join([str(tools), installed, os.environ["PATH"]]),
            "GITHUB_ACTION_PATH": str(REPOSITORY),
            "GITHUB_STEP_SUMMARY": str(folder / "summary.md"),
            "GITHUB_REPOSITORY": "someone/photos",
            "RUNNER_TEMP": str(folder / "temp"),
            "NO_COLOR": "1",
        }

    def run(self, **given):
        """Return the exit codes of the steps that ran, by name."""
        inputs = {
            name: str(one.get("default", "")) for name, one in ACTION["inputs"].items()
        } | given
        context = {f"inputs.{name}": value for name, value in inputs.items()}
        context |= {"github.token": "secret", "github.event.pull_request.number": "7"}
        codes, failed = {}, False
        for step in ACTION["runs"]["steps"]:
            if failed and "cancelled()" not in step.get("if", ""):
                continue
            variables = {
                name: re.sub(r"\$\{\{ (.*?) \}\}", lambda found: context[found[1]], value)
                for name, value in step["env"].items()
            }
            done = subprocess.run(
                ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", step["run"]],
                cwd=self.folder,
                env=self.environment | variables,
                capture_output=True,
                text=True,
                check=False,
            )
            codes[step["name"]] = done.returncode
            failed = failed or done.returncode != 0
        return codes

    def said(self, name):
        path = self.folder / f"{name}.txt"
        return path.read_text(encoding="utf-8") if path.exists() else ""


@pytest.fixture
def runner(tmp_path, warm_cache):
    """The steps, in a folder of a test's own."""
    return Runner(tmp_path)


def save_baseline(runner):
    measure = f"tlbench evaluate efficientnet-lite0 --heads softmax {OPTIONS}"
    done = subprocess.run(
        ["bash", "-ec", f"{measure}; tlbench baseline save last -o baseline.json"],
        cwd=runner.folder,
        env=runner.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


GIVEN = {"model": "efficientnet-lite0", "dataset": "digits", "baseline": "baseline.json"}


def test_the_guide_gives_the_inputs_that_there_are():
    guide = (REPOSITORY / "docs" / "gating.md").read_text(encoding="utf-8")
    shown = yaml.safe_load(
        guide.partition("```yaml\n- uses:")[2].partition("```")[0].partition("\n")[2]
    )
    required = {name for name, one in ACTION["inputs"].items() if one.get("required")}
    assert required <= set(shown["with"]) <= set(ACTION["inputs"])


def test_every_step_has_what_a_composite_action_needs():
    assert ACTION["runs"]["using"] == "composite"
    for step in ACTION["runs"]["steps"]:
        assert step["shell"] == "bash"
        # Text of others goes through variables, never into the script.
        assert "${{" not in step["run"]
    used = set(re.findall(r"inputs\.(\w+)", str(ACTION["runs"])))
    assert used == set(ACTION["inputs"])


def test_a_run_like_its_baseline_passes_and_is_posted(runner):
    save_baseline(runner)
    codes = runner.run(**GIVEN, options=OPTIONS, comment="true", extras="export")
    assert set(codes.values()) == {0}
    summary = (runner.folder / "summary.md").read_text(encoding="utf-8")
    assert "tlbench gate: PASSED" in summary
    assert "pr comment 7 --repo someone/photos" in runner.said("gh")
    assert runner.said("pip").rstrip().endswith("[export]")
    assert (runner.folder / "tlbench-gate.xml").is_file()


def test_a_worse_run_fails_and_is_posted_without_a_comment(runner):
    save_baseline(runner)
    (runner.folder / "strict.toml").write_text(
        '[accuracy.floors_percent]\n"backbone.softmax" = 99.9\n', encoding="utf-8"
    )
    codes = runner.run(**GIVEN, options=OPTIONS, policy="strict.toml")
    assert codes == {"Install tlbench": 0, "Measure": 0, "Judge": 1, "Post the verdict": 0}
    assert "FAILED" in (runner.folder / "summary.md").read_text(encoding="utf-8")
    assert runner.said("gh") == ""


def test_an_error_is_not_a_verdict(runner):
    codes = runner.run(**GIVEN | {"dataset": "no-such-dataset"})
    assert codes == {"Install tlbench": 0, "Measure": 2, "Post the verdict": 0}
    assert not (runner.folder / "summary.md").exists()
