"""The plots that docs/report.md shows are drawn by its commands."""

import shlex
from pathlib import Path

import pytest
from documents import REPOSITORY, Block, commands_of
from pictured_runs import pictured
from swept_cells import cell, predictions, rounds, swept

from tlbench.records import SweepFolder, decode_run, save_run

pytest.importorskip("matplotlib", reason="needs matplotlib (extra 'report')")
TEXT = (REPOSITORY / "docs" / "report.md").read_text(encoding="utf-8")
PLOTS = TEXT.partition("## Plots")[2].partition("\n## ")[0]


def _block(language):
    return Block(language, PLOTS.partition(f"```{language}\n")[2].partition("```")[0])


@pytest.fixture
def saved(tmp_path, monkeypatch):
    """A folder with a run in ``runs`` and a sweep in ``swept``."""
    monkeypatch.chdir(tmp_path)
    golden = REPOSITORY / "tests" / "golden" / "run-v1.json"
    classes = [f"class {i}" for i in range(10)]
    run, found, images = pictured(decode_run(golden.read_bytes(), str(golden)), classes)
    save_run(run, found.arrays, Path("runs"), images)
    labels, predicted = predictions([0.8, 0.7], n_images=100)
    cells = {
        name: cell(name, labels, one, rounds(0.01 * (i + 1), seed=i))
        for i, (name, one) in enumerate(zip(("a" * 12, "b" * 12), predicted, strict=True))
    }
    Path("swept").mkdir()
    SweepFolder(Path("swept")).write(swept(cells))


def test_every_plot_is_shown_and_drawn(tlbench, saved):
    commands = commands_of(_block("console"))
    kinds = set()
    for command in commands:
        words = shlex.split(command)
        done = tlbench(*words[1:])
        assert (done.code, done.err) == (0, ""), command
        assert Path(words[-1]).stat().st_size > 5000
        kinds.add(words[2])
    assert all(f"| `{kind}` |" in PLOTS for kind in kinds)
    assert len(kinds) == 6


def test_the_example_runs(saved):
    exec(_block("python").text, {})
    assert Path("confusion.svg").is_file()
    assert Path("pareto.svg").is_file()


@pytest.mark.parametrize("style", ["html", "markdown"])
def test_the_sweep_is_reported(tlbench, saved, style):
    """Without the runs of its cells as well."""
    (command,) = (
        line[2:]
        for line in TEXT.splitlines()
        if line.startswith(f"$ tlbench report swept --format {style}")
    )
    done = tlbench(*shlex.split(command)[1:])
    assert done.code == 0, done.err
    written = Path("swept.html").read_text(encoding="utf-8") if style == "html" else done.out
    assert "Accuracy and time per image" in written
