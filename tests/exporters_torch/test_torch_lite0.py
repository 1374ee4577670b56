"""EfficientNet-Lite0 through PyTorch has the features of the native builder, on real images."""

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs PyTorch: pip install 'tlbench[torch]'")
pytest.importorskip("onnxscript", reason="needs onnxscript: pip install 'tlbench[torch]'")
pytest.importorskip("efficientnet_lite_pytorch", reason="needs efficientnet-lite-pytorch")

from exporters.lite.backbone import LITE0
from exporters.torch.backbone import TORCH
from tlbench.core.progress import Silent
from tlbench.datasets import DatasetRequest, load_dataset
from tlbench.model import ExportOptions

pytestmark = pytest.mark.torch


def test_features_of_lite0_are_those_of_the_native_builder(
    lite0, real_data, tmp_path, run_file, assert_same
):
    """With the weights of the base install; two exports, neither of which knows of the other."""
    path = tmp_path / "torch.onnx"
    options = ExportOptions(
        weights=str(LITE0._published_file()[0]),
        factory_args={"model_name": "efficientnet-lite0"},
        input_size=224,
        mean=(127.0,),
        std=(128.0,),
    )
    backbone = TORCH.with_argument("efficientnet_lite_pytorch:EfficientNet.from_name")
    card = backbone.export(options, path, Silent())
    dataset = load_dataset(
        DatasetRequest(name="cifar10", data_dir=real_data, download_dir=tmp_path)
    )
    rows = np.stack([dataset.test.images[i] for i in range(100)])
    (expected,) = run_file(lite0.path, rows)
    (found,) = run_file(path, rows)
    assert card.parity.max_rel < 1e-5
    assert_same(found, expected)
