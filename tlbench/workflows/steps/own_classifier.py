"""The accuracy of a network's own classifier, the last layer of a network that tlbench trained."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlbench.core.arrays import FloatArray, Images, LabelArray
from tlbench.core.progress import task
from tlbench.datasets import Dataset
from tlbench.engine import extract_features
from tlbench.heads import Evaluation, FitResult, score_fit
from tlbench.model import TrainingRecord
from tlbench.records import OWN_CLASSIFIER, Epoch, derive
from tlbench.workflows.steps.context import RunContext
from tlbench.workflows.steps.features import BACKBONE


class _Logits:
    """The network's own classifier as an estimator on its logits."""

    def __init__(self, n_classes: int) -> None:
        self.classes_ = np.arange(n_classes)

    def predict_proba(self, logits: FloatArray) -> NDArray[np.floating[Any]]:
        """Return the softmax of each row."""
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares: NDArray[np.floating[Any]] = powers / powers.sum(axis=1, keepdims=True)
        return shares


def classify(
    context: RunContext, images: Images, n_classes: int, title: str
) -> tuple[FloatArray, float]:
    """Return the logits of readable images, (n, n_classes), and the seconds that they took."""
    logits = np.empty((len(images), n_classes), dtype=np.float32)
    session = context.session()

    def keep(index: LabelArray, rows: NDArray[Any]) -> None:
        logits[index] = rows

    with task(context.listener, title, len(images), "images"):
        found = extract_features(
            lambda batch: session.run_all(batch)["logits"],
            images,
            sink=keep,
            batch_size=context.config.batch_size,
            pad_tail=session.provider != "cpu",
            strict=True,
            listener=context.listener,
        )
    return logits, found.elapsed_s


def score_own_classifier(
    context: RunContext,
    training: TrainingRecord,
    dataset: Dataset,
    images: Images,
    labels: LabelArray,
) -> Evaluation:
    """Score the network of *context* on readable test images; the fit is its training."""
    n_classes = len(dataset.classes)
    logits, elapsed_s = classify(context, images, n_classes, "classify test images")
    fitted = FitResult(
        estimator=_Logits(n_classes),
        params=training.settings,
        predictions=logits.argmax(axis=1).astype(np.int64),
        fit_s=training.elapsed_s,
        predict_s=elapsed_s,
        notes=(),
    )
    found = score_fit(
        fitted,
        logits,
        labels,
        features=BACKBONE,
        head=OWN_CLASSIFIER,
        baseline=False,
        n_train=training.n_train,
        n_classes=n_classes,
        groups={one.name: np.array(one.group_of, dtype=np.int64) for one in dataset.groupings},
    )
    curve = tuple(derive(Epoch, epoch) for epoch in training.epochs)
    return replace(found, result=replace(found.result, curve=curve))
