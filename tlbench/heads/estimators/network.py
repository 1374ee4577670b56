"""A small network, trained elsewhere, as a scikit-learn classifier."""

from math import prod
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import train_test_split
from sklearn.utils.validation import check_is_fitted, validate_data

from tlbench.core.arrays import FloatArray
from tlbench.heads.estimators.classes import class_codes
from tlbench.heads.forward import forward
from tlbench.heads.training import TRAINERS, Dense, Layer, TrainingSpec


class NetworkClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # no stubs
    """Layers of one's choice and a softmax over the classes, trained by gradient descent.

    A trainer of the group ``tlbench.trainers`` computes the weights; predictions are numpy's, so
    that a fitted head needs no training library, and none of its threads, to be used or pickled.

    Parameters
    ----------
    layers : tuple of Layer
        All but the last one, which is made for the classes of the labels.
    shape : tuple of int or None
        Shape that each row is given, (H, W, C); None leaves it a vector.
    optimizer : {"rmsprop", "adam"}
    learning_rate : float
    epochs, batch_size : int
    validation_fraction : float
        Share of the training rows that is held out to be watched; 0 for none.
    validation : {"random", "last"}
        Which rows those are: drawn by seed, of each class alike where all have two rows, or the
        last ones as they come.
    keep_best : bool
        Whether the weights are those of the epoch with the lowest validation loss.
    rules : {"keras-3", "keras-2"}
        Which Keras's RMSprop and cross-entropy; see `tlbench.heads.training.TrainingSpec`.
    random_state : int
        For initial weights, dropout, the order of the rows, and which are held out. An int: a run's
        seed, not a generator with a state.
    trainer : str
        Name of the trainer.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    weights_ : tuple of (kernel, bias)
        Of each layer that has them, the last one included, float32.
    history_ : list of dict
        For each epoch ``loss`` and ``accuracy_fraction``, and ``validation_loss`` and
        ``validation_accuracy_fraction`` where rows are held out.
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
        """Train the network.

        Parameters
        ----------
        X : array of shape (n_images, n_features)
        y : array of shape (n_images,)
            Labels of any kind, of two classes or more.

        Raises
        ------
        ValueError
            If there is one class only, or a parameter makes no sense.
        MissingDependencyError
            If the trainer's library is not installed.
        """
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
                msg = f"The loss is {epoch['loss']} in epoch {number}: lower learning_rate."
                raise ValueError(msg)
        self.weights_ = trained.weights
        self.n_iter_ = len(self.history_)
        return self

    def _shape(self, n_features: int) -> tuple[int, ...]:
        return (n_features,) if self.shape is None else tuple(self.shape)

    def _all_layers(self) -> tuple[Layer, ...]:
        return (*self.layers, Dense(len(self.classes_), "softmax"))

    def _check(self, n_features: int) -> None:
        """Raise ValueError for a parameter that makes no sense."""
        wrong = None
        if prod(self._shape(n_features)) != n_features:
            wrong = f"shape={self.shape} needs rows of {prod(self._shape(n_features))} values"
            wrong += f", these have {n_features}"
        elif self.optimizer not in {"rmsprop", "adam"}:
            wrong = f"optimizer={self.optimizer!r} is neither 'rmsprop' nor 'adam'"
        elif not self.learning_rate > 0:
            wrong = f"learning_rate={self.learning_rate} is not above 0"
        elif self.epochs < 1 or self.batch_size < 1:
            wrong = f"epochs={self.epochs} and batch_size={self.batch_size} must be 1 or more"
        elif not 0 <= self.validation_fraction < 1:
            wrong = f"validation_fraction={self.validation_fraction} is not in [0, 1)"
        elif self.validation not in {"random", "last"}:
            wrong = f"validation={self.validation!r} is neither 'random' nor 'last'"
        elif self.rules not in {"keras-3", "keras-2"}:
            wrong = f"rules={self.rules!r} is neither 'keras-3' nor 'keras-2'"
        elif self.keep_best and not self.validation_fraction:
            wrong = "keep_best chooses by the validation loss: validation_fraction must be above 0"
        if wrong:
            raise ValueError(f"{wrong}.")

    def _split(
        self, codes: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]] | tuple[None, None]:
        """Return the rows to learn from and those held out; None for all, and none."""
        if not self.validation_fraction:
            return None, None
        n_held = int(np.ceil(self.validation_fraction * len(codes)))
        if self.validation == "last":
            rows = np.arange(len(codes))
            return rows[:-n_held], rows[-n_held:]
        thin = np.bincount(codes).min() < 2 or n_held < len(self.classes_)  # noqa: PLR2004
        chosen, held_out = train_test_split(
            np.arange(len(codes)),
            test_size=n_held,
            random_state=self.random_state,
            stratify=None if thin else codes,
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
