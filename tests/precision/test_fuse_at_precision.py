"""Classifiers of converted backbones: the head that was fitted on the converted features."""

import numpy as np
import pytest

from tlbench.core.progress import Silent
from tlbench.engine import open_session
from tlbench.model import classifier_card
from tlbench.records import save_run
from tlbench.workflows import RunConfig, fuse_run, run_benchmark
from tlbench.workflows.steps.context import load_limited_dataset


@pytest.mark.parametrize("precision", ["int8", "fp16"])
@pytest.mark.parametrize("head", ["softmax", "svm-linear"])
@pytest.mark.usefixtures("backbone")
def test_a_converted_backbone_is_fused(precision, head, tmp_path):
    """Its file answers as the run did, and keeps the card of the conversion."""
    config = RunConfig(
        model="block",
        heads=(head,),
        baselines=(),
        precision=precision,
        limit_train=200,
        limit_test=100,
        latency=False,
        cache_dir=tmp_path / "cache",
    )
    outcome = run_benchmark(config)
    folder = save_run(outcome.result, outcome.predictions, tmp_path / "runs")
    model = fuse_run(str(folder), head=head, destination=tmp_path / "c.onnx")
    assert model.card.precision == precision
    assert classifier_card(model).backbone_sha256 == outcome.result.model.sha256
    test = load_limited_dataset(config, Silent()).test
    images = np.stack([test.images[i] for i in range(len(test))])
    with open_session(model) as session:
        labels = session.run_all(images)["label"]
    # one batch of 100, not four of 32: integer sums are the same, float16 ones may not be
    allowed = {"int8": 0, "fp16": 1}[precision]
    assert np.count_nonzero(labels != outcome.predictions[f"backbone.{head}"]) <= allowed
