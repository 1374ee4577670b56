"""The section on PyTorch's networks: its commands and its example do what it says."""

import importlib.util
import json

import numpy as np
import pytest
from documents import REPOSITORY, Block, commands_of

PAGE = (REPOSITORY / "docs" / "own-network.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("## A timm or PyTorch network\n")[2].partition("\n## ")[0]


def blocks(extra, language):
    """Return the texts of the blocks that need an extra, in order."""
    start = f"<!-- needs: the {extra} extra -->\n```{language}\n"
    return [part.partition("```")[0] for part in SECTION.split(start)[1:]]


def commands(text):
    return [command.split()[1:] for command in commands_of(Block("console", text))]


@pytest.fixture
def preprocess(tlbench, tmp_path):
    """The file that the commands name, in the folder in which they run."""
    path = tmp_path / "work" / "preprocessor_config.json"
    path.write_text(
        json.dumps(
            {
                "size": {"height": 64, "width": 64},
                "resample": 2,
                "rescale_factor": 1 / 255,
                "image_mean": [0.485, 0.456, 0.406],
                "image_std": [0.229, 0.224, 0.225],
            }
        )
    )


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore:.*:UserWarning")  # a busy machine
def test_a_network_in_a_module(tlbench, tmp_path, preprocess):
    """In the order of the page."""
    torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'tlbench[torch]'")
    pytest.importorskip("onnxscript", reason="needs onnxscript: pip install 'tlbench[torch]'")
    module, example = blocks("torch", "python")
    (console,) = blocks("torch", "console")
    folder, names = tmp_path / "work", {}
    (folder / "my_nets.py").write_text(module)
    exec(module, names)
    torch.save(names["small"]().state_dict(), folder / "small.pth")
    done = [tlbench(*command) for command in commands(console)]
    assert [(one.code, one.err) for one in done if one.code] == []
    assert len(done) == 4
    assert "small.pth" in done[0].out
    assert "width=32, num_classes=100" in done[2].out
    (folder / "small.onnx").unlink()
    exec(example, names)
    assert (names["backbone"].card.layer, names["backbone"].n_features) == ("input of 5", 16)
    images = np.zeros((2, 20, 30, 3), np.uint8)
    assert names["backbone"].features(images).shape == (2, 16)


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore:.*:UserWarning")  # a busy machine
def test_a_network_of_timm(tlbench, tmp_path):
    if importlib.util.find_spec("timm") is None:
        pytest.skip("needs timm: pip install 'tlbench[timm]'")
    import timm
    from safetensors.torch import save_file

    (console,) = blocks("timm", "console")
    weights = timm.create_model("resnet18").state_dict()
    save_file(weights, tmp_path / "work" / "resnet18.safetensors")
    done = [tlbench(*command) for command in commands(console)]
    assert [(one.code, one.err) for one in done if one.code] == []
    assert len(done) == 3
    assert "timm:resnet18" in done[1].out


def test_every_command_of_the_section_is_in_a_block_that_is_run():
    assert SECTION.count("```console") == 2
    assert SECTION.count("```python") == 2
    assert SECTION.count("<!-- needs: the torch extra -->") == 3
    assert SECTION.count("<!-- needs: the timm extra -->") == 1
