"""A small network as a scikit-learn classifier; a trainer computes its weights."""

from math import prod
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import train_test_split
from sklearn.utils.validation import check_is_fitted, validate_data

from tlbench.core.arrays import FloatArray
from tlbench.heads.estimators.pairwise import class_codes
from tlbench.heads.training import TRAINERS, Dense, Layer, TrainingSpec, forward


class NetworkClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # no stubs
    """Chosen layers and a softmax over the classes, trained by gradient descent.

    A trainer of the group ``tlbench.trainers`` computes the weights. Predictions use numpy alone: a
    fitted head can be used and unpickled without the training library.

    The last layer is not among ``layers``: it is made for the classes of the labels. ``shape`` is
    the (H, W, C) of each row, None for vectors. ``validation_fraction`` of the training rows is
    held out: a random draw, stratified where every class has two rows, or with
    ``validation="last"`` the last ones. ``random_state`` is a run's seed, not a generator with a
    state. The other parameters are those of `tlbench.heads.TrainingSpec`.

    Fitted: ``classes_``; ``weights_``, kernel and bias (float32) of each layer that has them,
    including the last; ``history_``, a dict for each epoch, as in `tlbench.heads.Trained`.
    """

    def __init__(
        self,
        layers: tuple[Layer, ...] = (),
        *,
        shape: tuple[int, ...] | None = None,
        optimizer: Literal["rmsprop", "adam"] = "rmsprop",
        learning_rate: float = 1e-3,
        epochs: int = 30,
        batch_size: int = 32,
        validation_fraction: float = 0.0,
        validation: Literal["random", "last"] = "random",
        keep_best: bool = False,
        rules: Literal["keras-3", "keras-2"] = "keras-3",
        random_state: int = 0,
        trainer: str = "keras",
    ) -> None:
        self.layers = layers
        self.shape = shape
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.epochs = epochs
        self.batch_size = batch_size
        self.validation_fraction = validation_fraction
        self.validation = validation
        self.keep_best = keep_best
        self.rules = rules
        self.random_state = random_state
        self.trainer = trainer

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:  # noqa: N803
        """Train on rows (n_images, n_features); raise ValueError for an unusable parameter."""
        rows, y = validate_data(self, X, y, dtype=np.float32)
        self.classes_, codes = class_codes(y)
        self._check(rows.shape[1])
        chosen, held_out = self._split(codes)
        trained = TRAINERS.load(self.trainer).train(
            TrainingSpec(
                shape=self._shape(rows.shape[1]),
                layers=self._all_layers(),
                optimizer=self.optimizer,
                learning_rate=self.learning_rate,
                epochs=self.epochs,
                batch_size=self.batch_size,
                keep_best=self.keep_best,
                rules=self.rules,
                seed=self.random_state,
            ),
            (rows, codes) if chosen is None else (rows[chosen], codes[chosen]),
            None if held_out is None else (rows[held_out], codes[held_out]),
        )
        self.history_ = [dict(epoch) for epoch in trained.history]
        for number, epoch in enumerate(self.history_, 1):
            if not np.isfinite(epoch["loss"]):
                msg = f"The loss is {epoch['loss']} in epoch {number}; lower learning_rate."
                raise ValueError(msg)
        self.weights_ = trained.weights
        self.n_iter_ = len(self.history_)
        return self

    def _shape(self, n_features: int) -> tuple[int, ...]:
        return (n_features,) if self.shape is None else tuple(self.shape)

    def _all_layers(self) -> tuple[Layer, ...]:
        return (*self.layers, Dense(len(self.classes_), "softmax"))

    def _check(self, n_features: int) -> None:
        """Raise ValueError for a parameter with an unusable value."""
        wrong = None
        if prod(self._shape(n_features)) != n_features:
            wrong = f"shape={self.shape} needs rows of {prod(self._shape(n_features))} values"
            wrong += f", these have {n_features}"
        elif self.optimizer not in {"rmsprop", "adam"}:
            wrong = f"optimizer must be 'rmsprop' or 'adam', got {self.optimizer!r}"
        elif not self.learning_rate > 0:
            wrong = f"learning_rate must be above 0, got {self.learning_rate}"
        elif self.epochs < 1 or self.batch_size < 1:
            wrong = "epochs and batch_size must be at least 1"
            wrong += f", got {self.epochs} and {self.batch_size}"
        elif not 0 <= self.validation_fraction < 1:
            wrong = f"validation_fraction must be in [0, 1), got {self.validation_fraction}"
        elif self.validation not in {"random", "last"}:
            wrong = f"validation must be 'random' or 'last', got {self.validation!r}"
        elif self.rules not in {"keras-3", "keras-2"}:
            wrong = f"rules must be 'keras-3' or 'keras-2', got {self.rules!r}"
        elif self.keep_best and not self.validation_fraction:
            wrong = "keep_best needs a validation loss: validation_fraction must be above 0"
        if wrong:
            raise ValueError(f"{wrong}.")

    def _split(
        self, codes: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]] | tuple[None, None]:
        """Return the rows to train on and those held out; None and None if no row is."""
        if not self.validation_fraction:
            return None, None
        n_held = int(np.ceil(self.validation_fraction * len(codes)))
        if self.validation == "last":
            rows = np.arange(len(codes))
            return rows[:-n_held], rows[-n_held:]
        too_few = np.bincount(codes).min() < 2 or n_held < len(self.classes_)  # noqa: PLR2004
        chosen, held_out = train_test_split(
            np.arange(len(codes)),
            test_size=n_held,
            random_state=self.random_state,
            stratify=None if too_few else codes,
        )
        return chosen, held_out

    def predict_proba(self, X: ArrayLike) -> FloatArray:  # noqa: N803
        """Return the probability of each class, (n_images, n_classes), float32."""
        check_is_fitted(self)
        rows = validate_data(self, X, dtype=np.float32, reset=False)
        return forward(rows, self._shape(rows.shape[1]), self._all_layers(), self.weights_)

    def predict(self, X: ArrayLike) -> NDArray[Any]:  # noqa: N803
        """Return the most probable class of each image."""
        winners = self.predict_proba(X).argmax(axis=1)
        predicted: NDArray[Any] = self.classes_[winners]
        return predicted
