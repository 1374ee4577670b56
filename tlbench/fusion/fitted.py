"""A head that is fitted and can tell probabilities: the reference that a classifier file equals."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlbench.core.arrays import FloatArray, LabelArray
from tlbench.core.errors import ConfigError

# Largest difference from scikit-learn's probabilities that a file may have.
PROBABILITY_TOLERANCE = 1e-5

_FOLDS = 5
_LEAST = 2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FittedHead:
    """A fitted scikit-learn estimator, with calibrated probabilities where it has none of its own.

    Attributes
    ----------
    name : str
        The head's name.
    estimator : object
        Classifier or Pipeline. It alone decides the label.
    calibrated : object or None
        A fitted ``CalibratedClassifierCV`` around the same estimator; None where the estimator has
        ``predict_proba``.
    n_classes : int
        Classes of the dataset; those without training images have probability 0.
    """

    name: str
    estimator: Any
    calibrated: Any | None
    n_classes: int

    @property
    def probabilities_are(self) -> str:
        """What the probabilities are, for people."""
        final = type(self.estimator[-1] if hasattr(self.estimator, "steps") else self.estimator)
        if self.calibrated is None:
            return f"predict_proba of {final.__name__}"
        return (
            "Platt scaling of decision_function for each class, normalised, on cross-validated "
            f"training images (CalibratedClassifierCV, sigmoid, {self.calibrated.cv.n_splits} "
            f"folds); {final.__name__} itself has no probabilities, and its label may not be the "
            "most probable class"
        )

    def predict(self, features: FloatArray) -> LabelArray:
        """Return scikit-learn's labels, int64 (n_images,)."""
        labels: LabelArray = np.asarray(self.estimator.predict(features), dtype=np.int64)
        return labels

    def probabilities(self, features: FloatArray) -> NDArray[np.float64]:
        """Return scikit-learn's probabilities, (n_images, n_classes), in the dataset's order."""
        source = self.estimator if self.calibrated is None else self.calibrated
        found = source.predict_proba(features)
        everything = np.zeros((len(features), self.n_classes))
        everything[:, np.asarray(source.classes_, dtype=np.int64)] = found
        return everything


def fit_classifier(
    name: str,
    build: Callable[[], Any],
    features: FloatArray,
    labels: LabelArray,
    *,
    n_classes: int,
    seed: int,
) -> FittedHead:
    """Fit a head, and calibrate it if it has no probabilities of its own.

    Parameters
    ----------
    build : callable
        Returns the unfitted estimator.
    features : ndarray of shape (n_train, n_features), float32
    labels : ndarray of shape (n_train,), int64
    n_classes : int
        Number of classes of the dataset.
    seed : int
        Chooses the folds of the calibration.

    Raises
    ------
    ConfigError
        If a calibration is needed, and a class has a single training image.

    Notes
    -----
    Calibration after Platt (1999), as scikit-learn recommends it in place of
    ``SVC(probability=True)``: decision values of images that were not trained on, then one fit on
    all images, whose labels are those of the head in the run.
    """
    estimator = build()
    if hasattr(estimator, "predict_proba"):
        estimator.fit(features, labels)
        return FittedHead(name=name, estimator=estimator, calibrated=None, n_classes=n_classes)
    smallest = int(np.unique(labels, return_counts=True)[1].min())
    if smallest < _LEAST:
        msg = (
            f"Head {name!r} has no probabilities of its own, and a calibration needs two training "
            "images of each class; one class has a single one. Fuse softmax or mlp, or add images."
        )
        raise ConfigError(msg)
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.model_selection import StratifiedKFold

    folds = StratifiedKFold(min(_FOLDS, smallest), shuffle=True, random_state=seed)
    calibrated = CalibratedClassifierCV(estimator, method="sigmoid", cv=folds, ensemble=False)
    calibrated.fit(features, labels)
    return FittedHead(
        name=name,
        estimator=calibrated.calibrated_classifiers_[0].estimator,
        calibrated=calibrated,
        n_classes=n_classes,
    )
