"""EfficientNet-Lite0 on real images: the file equals scikit-learn on each of them."""

import numpy as np
import pytest

from tlbench.core.progress import Silent
from tlbench.engine import open_session
from tlbench.fusion import PROBABILITY_TOLERANCE
from tlbench.heads import HEADS, fit_head
from tlbench.workflows import extract_dataset_split, fuse_run
from tlbench.workflows.steps.context import load_limited_dataset

HEAD_NAMES = ("softmax", "svm-linear", "mlp")
BATCH = 32


@pytest.fixture(scope="module")
def measured(measure_lite0):
    """A run on 300 test images of each dataset: its configuration, its folder, its outcome."""
    return measure_lite0(heads=HEAD_NAMES, limit_train=500, limit_test=300)


@pytest.mark.slow
@pytest.mark.parametrize("name", HEAD_NAMES)
def test_each_image_has_scikit_learns_label_and_probabilities(name, measured, tmp_path):
    """Against an estimator that this test fits itself, not the one that was fused."""
    config, folder, outcome = measured
    model = fuse_run(str(folder), head=name, destination=tmp_path / "c.onnx")

    dataset = load_limited_dataset(config, Silent())
    train = extract_dataset_split(config, "train", Silent())
    test = extract_dataset_split(config, "test", Silent())
    params = next(one.params for one in outcome.result.accuracy if one.head == name)
    estimator = fit_head(HEADS.load(name), params, train.features, train.labels, seed=config.seed)

    with open_session(model) as session:
        outputs = [
            session.run_all(np.stack([dataset.test.images[i] for i in rows]))
            for rows in np.split(
                np.arange(len(dataset.test)), range(BATCH, len(dataset.test), BATCH)
            )
        ]
    labels = np.concatenate([one["label"] for one in outputs])
    np.testing.assert_array_equal(labels, estimator.predict(test.features))
    np.testing.assert_array_equal(labels, outcome.predictions[f"backbone.{name}"])
    probabilities = np.concatenate([one["probabilities"] for one in outputs])
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)  # float32 sum of ten
    if hasattr(estimator, "predict_proba"):
        expected = estimator.predict_proba(test.features)
        np.testing.assert_allclose(probabilities, expected, rtol=0, atol=PROBABILITY_TOLERANCE)
    else:
        from sklearn.calibration import CalibratedClassifierCV
        from sklearn.model_selection import StratifiedKFold

        folds = StratifiedKFold(5, shuffle=True, random_state=config.seed)
        calibrated = CalibratedClassifierCV(
            HEADS.load(name).build(params, config.seed), cv=folds, ensemble=False
        ).fit(train.features, train.labels)
        expected = calibrated.predict_proba(test.features)
        np.testing.assert_allclose(probabilities, expected, rtol=0, atol=PROBABILITY_TOLERANCE)
