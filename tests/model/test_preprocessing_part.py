"""The preprocessing of an exported file, as a graph of its own."""

import numpy as np
import onnx
import onnxruntime
import pytest

import tlbench
from tlbench.model import NETWORK_INPUT, preprocessing_of


def first_output(model, images):
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run([NETWORK_INPUT], {"images": images})[0]


@pytest.mark.parametrize("fit", ["crop", "squash", "pad"])
def test_it_gives_what_the_network_gets(tmp_path, fit):
    tlbench.export("efficientnet-lite0", tmp_path / "m.onnx", input_size=64, fit=fit)
    whole = onnx.load(tmp_path / "m.onnx")
    part = preprocessing_of(whole)
    tensor = onnx.helper.make_tensor_value_info(NETWORK_INPUT, onnx.TensorProto.FLOAT, None)
    whole.graph.output.append(tensor)
    images = np.random.default_rng(0).integers(0, 256, (2, 40, 70, 3), dtype=np.uint8)
    np.testing.assert_array_equal(first_output(part, images), first_output(whole, images))
    assert len(part.SerializeToString()) < 10_000


def test_a_file_without_the_mark_has_none(tiny_path):
    assert preprocessing_of(onnx.load(tiny_path)) is None
