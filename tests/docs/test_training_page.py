"""The page on training: its Python runs, and the figures in its text are those of its output."""

import re

import pytest
from documents import REPOSITORY, blocks_of, commands_of, prose_of

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
    trained, compared, *_ = (block.text for block in blocks_of(PAGE, "console"))
    accuracy = re.search(r"classifier on backbone +([\d.]+ %)", trained)[1]
    assert f"to {accuracy}" in compared
    points = re.search(r"is ([\d.]+) points", compared)[1]
    assert f"{float(points):.0f} points below frozen features" in " ".join(prose_of(PAGE).split())


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore:.*:UserWarning")  # images of digits occur twice
def test_a_network_of_pytorch_is_fine_tuned(tlbench, tmp_path):
    """The command as it stands, on few images; the network is that of the page on such networks."""
    torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'tlbench[torch]'")
    pytest.importorskip("onnxscript", reason="needs onnxscript: pip install 'tlbench[torch]'")
    page = REPOSITORY / "docs" / "own-network.md"
    module = next(block.text for block in blocks_of(page, "python") if "def small(" in block.text)
    folder, names = tmp_path / "work", {}
    (folder / "my_nets.py").write_text(module)
    exec(module, names)
    torch.save(names["small"]().state_dict(), folder / "small.pth")
    commands = [one for block in blocks_of(PAGE, "console") for one in commands_of(block)]
    (command,) = [one.split()[1:] for one in commands if "finetune:torch:" in one]
    few = ("--limit-train", "64", "--limit-test", "40", "--epochs", "1", "--no-latency")
    done = tlbench(*command, *few)
    assert (done.code, done.err) == (0, "")
    assert "finetune:torch:my_nets:small" in done.out
    assert (folder / "finetune-torch-my_nets-small-digits.onnx").is_file()
