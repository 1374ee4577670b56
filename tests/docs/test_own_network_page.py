"""The page on networks of one's own: the section on ONNX files does what it says."""

import json
import re

import numpy as np
import onnx
import pytest
from documents import REPOSITORY
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from tlbench.model import OnnxModel

PAGE = REPOSITORY / "docs" / "own-network.md"
TEXT = PAGE.read_text(encoding="utf-8")
SECTION = TEXT.partition("## An ONNX file from somebody else")[2].partition("\n## ")[0]
PREPROCESSING = {
    "do_normalize": True,
    "do_rescale": True,
    "do_resize": True,
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
    "resample": 2,
    "rescale_factor": 1 / 255,
    "size": {"height": 32, "width": 32},
}


def block(language):
    return re.search(rf"```{language}\n(.*?)```", SECTION, re.DOTALL)[1]


@pytest.fixture
def folder(tlbench, tmp_path):
    """A classifier, its preprocessing and photographs, in the folder in which commands run."""
    work = tmp_path / "work"
    draw = np.random.default_rng(0)
    constants = {
        "kernel": draw.normal(0, 0.2, (8, 3, 3, 3)).astype(np.float32),
        "matrix": draw.normal(0, 0.2, (8, 5)).astype(np.float32),
    }
    nodes = [
        helper.make_node("Conv", ["pixels", "kernel"], ["conv_1"], strides=[2, 2]),
        helper.make_node("Relu", ["conv_1"], ["relu_1"]),
        helper.make_node("GlobalAveragePool", ["relu_1"], ["pool"]),
        helper.make_node("Flatten", ["pool"], ["flat"]),
        helper.make_node("Gemm", ["flat", "matrix"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"]),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, [1, 3, 32, 32])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [1, 5])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    opsets = [helper.make_opsetid("", 13)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), work / "net.onnx")
    (work / "preprocessor_config.json").write_text(json.dumps(PREPROCESSING))
    for name, low in (("bright", 120), ("dark", 0)):
        (work / "photos" / name).mkdir(parents=True)
        for i in range(5):
            pixels = draw.integers(low, low + 120, (24, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(work / "photos" / name / f"{i}.jpg")
    return work


@pytest.mark.filterwarnings("ignore:.*:UserWarning")  # a busy machine
def test_commands_and_example_run(folder, tlbench, capsys):
    """In the order of the page."""
    commands = [line.removeprefix("$ tlbench ").split() for line in block("console").splitlines()]
    done = [tlbench(*command) for command in commands]
    assert [(one.code, one.err if one.code else "") for one in done] == [(0, "")] * 5
    exported, evaluated, _, tensors, early = (" ".join(one.out.split()) for one in done)
    assert "squash to a square, resize to 32x32 (bilinear, half-pixel centres, anti" in exported
    assert "logits: float32 (N, 5)" in exported
    assert "onnx:net.onnx" in evaluated
    assert "relu_1 Relu float32 (1, 8, 15, 15)" in tensors
    assert "layer relu_1, pooling max, 8" in early
    exec(block("python"), {})
    assert capsys.readouterr().out.split(maxsplit=1) == ["flat", "(8,)\n"]
    assert OnnxModel(folder / "other.onnx").card.preprocess.std == (0.229, 0.224, 0.225)


def test_the_page_names_every_key_that_is_read():
    from exporters.common.hugging_face import HUGGING_FACE_KEYS
    from exporters.common.timm import TIMM_KEYS

    keys = (HUGGING_FACE_KEYS | TIMM_KEYS) - {"default_to_square"}  # which new files do not need
    assert sorted(key for key in keys if f"`{key}`" not in TEXT) == []
