"""The way in docs/shipping.md from a run to a program of one's own, on fewer images."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from documents import REPOSITORY, blocks_of, commands_of
from PIL import Image

GUIDE = REPOSITORY / "docs" / "shipping.md"
(CONSOLE,) = blocks_of(GUIDE, "console")
(PYTHON,) = blocks_of(GUIDE, "python")
DATA = "--dataset cifar10"


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("bash") is None, reason="the block is written for bash")
def test_the_commands_lead_to_a_program_that_answers(real_data, tmp_path):
    """Run, fuse, predict and inspect; then ONNX Runtime alone gives what predict gave."""
    (tmp_path / "photos").mkdir()
    colours = np.random.default_rng(1).integers(0, 256, (3, 1, 1, 3), dtype=np.uint8)
    for number, pixels in enumerate(colours.repeat(32, axis=1).repeat(40, axis=2)):
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{number}.png")
    shutil.copy(tmp_path / "photos" / "0.png", tmp_path / "photo.png")
    folder = str(Path(sys.executable).parent)
    environment = os.environ | {
        "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
        "TLBENCH_DATA": str(real_data),
    }

    def run(*command):
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{command}\n{done.stderr}"
        return done.stdout

    commands = commands_of(CONSOLE)
    assert DATA in commands[0]
    commands[0] = commands[0].replace(DATA, f"{DATA} --limit-train 200 --limit-test 60")
    answers = {command.split()[1]: run("bash", "-e", "-c", command) for command in commands}
    lines = answers["predict"].splitlines()
    assert [line.split()[0] for line in lines] == [f"photos/{i}.png" for i in range(3)]
    assert all(line.count(" %") == 3 for line in lines)  # --top-k 3
    described = json.loads((tmp_path / "classifier.json").read_text(encoding="utf-8"))
    name, probability = run(sys.executable, "-c", PYTHON.text).split()
    assert name in described["classifier"]["classes"]
    assert lines[0].split()[1:3] == [name, f"({100 * float(probability):.1f}"]
