"""The commands and the example in docs/sweep.md, on fewer images and smaller networks."""

import json
import shlex
from pathlib import Path

import pytest
from documents import REPOSITORY, blocks_of, commands_of

from tlbench.workflows import make_sweep_config, read_sweep_file

GUIDE = REPOSITORY / "docs" / "sweep.md"
CONSOLE = blocks_of(GUIDE, "console")
(TOML,) = blocks_of(GUIDE, "toml")
(PYTHON,) = blocks_of(GUIDE, "python")
SIZES = "96,128,160,192,224"


@pytest.mark.slow
def test_the_commands_lead_to_a_picked_cell(tlbench, real_data, monkeypatch):
    """Sweep and pick; the file makes the same cells as the options."""
    monkeypatch.setenv("TLBENCH_DATA", str(real_data))
    sweep, pick = commands_of(CONSOLE[0])
    assert SIZES in sweep
    few = f"{sweep.replace(SIZES, '32,64')} --limit-train 200 --limit-test 60 --rounds 12 --quiet"
    done = tlbench(*shlex.split(few)[1:])
    assert done.code == 0, done.err
    assert done.out.startswith("4 cells · efficientnet-lite0 · ")
    limits = pick.replace("20ms", "20s").replace("80%", "5%")
    done = tlbench(*shlex.split(limits)[1:])
    assert done.code in {0, 1}  # on a restless machine, an interval may need more rounds
    assert done.out.startswith(("PICKED", "NO CELL PASSES"))
    assert tlbench("pick", "swept", "--min-accuracy", "99.9%").code == 1


def test_the_file_is_the_first_command(tmp_path):
    """The page says that it holds the same settings."""
    path = tmp_path / "grid.toml"
    path.write_text(TOML.text, encoding="utf-8")
    config = make_sweep_config(read_sweep_file(path))
    words = shlex.split(commands_of(CONSOLE[0])[0])
    options = dict(zip(words[2::2], words[3::2], strict=True))
    assert ",".join(config.backbones) == options["--backbones"]
    assert ",".join(map(str, config.input_sizes)) == options["--input-sizes"]
    assert ",".join(config.precisions) == options["--precisions"]
    assert config.base.dataset == options["--dataset"]
    assert commands_of(CONSOLE[1]) == ["tlbench sweep grid.toml -o from-a-file"]


@pytest.mark.filterwarnings("ignore:.*:UserWarning")  # a busy machine
def test_the_example_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(PYTHON.text, names)
    document = json.loads(Path("sizes/sweep.json").read_text(encoding="utf-8"))
    assert len(document["cells"]) == 2
    assert Path("sizes/cells", names["swept"].front[0].id, "run.json").is_file()
    assert repr(names["swept"]) == "Sweep(sizes: 2 cells, 2 measured)"
