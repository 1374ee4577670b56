"""The page on training: its Python runs, and the figures in its text are those of its output."""

import re

import pytest
from documents import REPOSITORY, blocks_of, prose_of

PAGE = REPOSITORY / "docs" / "training.md"


@pytest.mark.tensorflow
@pytest.mark.filterwarnings("ignore:.*:UserWarning")  # images of digits occur twice
def test_the_python_runs(tensorflow, tmp_path, monkeypatch, capsys):
    """One epoch of a small network."""
    monkeypatch.chdir(tmp_path)
    (block,) = blocks_of(PAGE, "python")
    names = {}
    exec(block.text, names)
    assert (tmp_path / "wrn.onnx").is_file()
    assert "Interval" in capsys.readouterr().out
    assert len(names["run"].record.training.epochs) == 1


def test_the_text_repeats_the_figures_of_the_output():
    """Points between frozen features and the network, and the accuracy that both reached."""
    trained, compared, _ = (block.text for block in blocks_of(PAGE, "console"))
    accuracy = re.search(r"classifier on backbone +([\d.]+ %)", trained)[1]
    assert f"to {accuracy}" in compared
    points = re.search(r"is ([\d.]+) points", compared)[1]
    assert f"{float(points):.0f} points below frozen features" in " ".join(prose_of(PAGE).split())
