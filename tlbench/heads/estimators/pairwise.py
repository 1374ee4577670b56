"""LIBSVM's linear SVM, fitted one pair of classes at a time from a kernel computed by BLAS."""

import warnings
from collections.abc import Iterator
from itertools import combinations
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.svm import SVC
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

_Array = NDArray[np.float64]

_KERNEL_BYTES = 2 << 30


def class_codes(y: ArrayLike) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return the sorted classes, at least two, and for each label the index of its class."""
    check_classification_targets(y)
    classes, codes = np.unique(y, return_inverse=True)
    if len(classes) < 2:  # noqa: PLR2004 - a choice
        msg = f"The number of classes has to be greater than one; got {len(classes)} class."
        raise ValueError(msg)
    return classes, codes


class PairwiseLinearSVC(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # no stubs
    """``SVC(kernel="linear")``: the same support vectors, coefficients and votes, but faster.

    LIBSVM computes a linear kernel row by row, again for each pair of classes, and predicts by a
    product with every support vector. Here one matrix product per pair computes the kernel, LIBSVM
    solves the pair from it, and a prediction is a product with one weight vector per pair.

    ``C``, ``class_weight``, ``tol`` and ``max_iter`` are those of SVC. A pair whose kernel would be
    larger than ``kernel_bytes`` is solved from its features, with a warning: the same solution,
    slower. The fitted attributes have the names, shapes and layout of SVC's: ``coef_`` and
    ``intercept_`` hold the pairs in the order 0 against 1, 0 against 2, ..., 1 against 2, ...; a
    positive value is a vote for the first class of a pair or, with two classes, for the second.

    Memory: the features of two classes in float64, their kernel, and its part for one class. The
    whole kernel of 50,000 images would take 20 GB, that of two of ten classes takes 0.8 GB. Chang
    and Lin (2011), doi:10.1145/1961189.1961199, section 7.
    """

    def __init__(
        self,
        *,
        C: Any = 1.0,  # noqa: ANN401, N803 - scikit-learn's own name; SVC checks the values
        class_weight: Any = None,  # noqa: ANN401
        tol: float = 1e-3,
        max_iter: int = -1,
        kernel_bytes: int = _KERNEL_BYTES,
    ) -> None:
        self.C = C
        self.class_weight = class_weight
        self.tol = tol
        self.max_iter = max_iter
        self.kernel_bytes = kernel_bytes

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:  # noqa: N803
        """Solve every pair of classes, of labels of at least two classes."""
        rows, y = validate_data(self, X, y, dtype=[np.float64, np.float32])
        self.classes_, codes = class_codes(y)
        n_classes = len(self.classes_)
        weights = compute_class_weight(self.class_weight, classes=self.classes_, y=y)
        groups = [np.flatnonzero(codes == code) for code in range(n_classes)]
        # LIBSVM's layout: coefficients against class j are in row j, or j - 1 above the own class.
        dual = np.zeros((n_classes - 1, len(rows)))
        pairs = list(combinations(range(n_classes), 2))
        self.coef_ = np.empty((len(pairs), rows.shape[1]))
        self.intercept_ = np.empty(len(pairs))
        self.n_iter_ = np.empty(len(pairs), dtype=np.int32)
        for position, ((one, two), features, kernel) in enumerate(self._pairs(rows, groups)):
            solved = self._solve(features, kernel, len(groups[one]), weights[[one, two]])
            alphas = np.zeros(len(features))
            # SVC reverses the sign for two classes: a positive value is the second one.
            alphas[solved.support_] = -solved.dual_coef_[0]
            dual[two - 1, groups[one]] = alphas[: len(groups[one])]
            dual[one, groups[two]] = alphas[len(groups[one]) :]
            self.coef_[position] = alphas @ features
            self.intercept_[position] = -solved.intercept_[0]
            self.n_iter_[position] = solved.n_iter_[0]
        supporting = [group[(dual[:, group] != 0).any(axis=0)] for group in groups]
        self.support_ = np.concatenate(supporting)
        self.n_support_ = np.array([len(rows) for rows in supporting], dtype=np.int32)
        self.dual_coef_ = dual[:, self.support_]
        if n_classes == 2:  # noqa: PLR2004
            self.coef_, self.intercept_ = -self.coef_, -self.intercept_
            self.dual_coef_ = -self.dual_coef_
        return self

    def _pairs(
        self, rows: NDArray[Any], groups: list[NDArray[np.int64]]
    ) -> Iterator[tuple[tuple[int, int], _Array, _Array | None]]:
        """Yield two classes, their features, and their kernel unless it is too large."""
        n_large = 0
        for one, first in enumerate(groups[:-1]):
            own = None
            for two, second in enumerate(groups[one + 1 :], one + 1):
                n_rows, n_first = len(first) + len(second), len(first)
                features = np.concatenate([rows[first], rows[second]]).astype(np.float64)
                if 8 * n_rows**2 > self.kernel_bytes:
                    n_large += 1
                    yield (one, two), features, None
                    continue
                kernel = np.empty((n_rows, n_rows))
                above, below = features[:n_first], features[n_first:]
                own = above @ above.T if own is None else own
                kernel[:n_first, :n_first] = own
                kernel[n_first:, n_first:] = below @ below.T
                kernel[:n_first, n_first:] = above @ below.T
                kernel[n_first:, :n_first] = kernel[:n_first, n_first:].T
                yield (one, two), features, kernel
        if n_large:
            msg = (
                f"The kernels of {n_large} pairs of classes are larger than {self.kernel_bytes:,} "
                "bytes; these pairs were solved from their features: the same solution, slower."
            )
            warnings.warn(msg, UserWarning, stacklevel=3)

    def _solve(self, features: _Array, kernel: _Array | None, n_first: int, weights: _Array) -> SVC:
        """Return LIBSVM's solution for two classes, of which the first has *n_first* rows."""
        codes = (np.arange(len(features)) >= n_first).astype(np.int64)
        solver = SVC(
            kernel="linear" if kernel is None else "precomputed",
            C=self.C,
            class_weight=dict(enumerate(weights)),
            tol=self.tol,
            max_iter=self.max_iter,
        )
        return solver.fit(features if kernel is None else kernel, codes)

    def _values(self, X: ArrayLike) -> _Array:  # noqa: N803
        """Return the value of each pair, (n_images, n_pairs), with the signs of `coef_`."""
        check_is_fitted(self)
        rows = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        values: _Array = rows @ self.coef_.T + self.intercept_
        return values

    def _votes(self, values: _Array) -> tuple[_Array, _Array]:
        """Return votes and summed values of each class, (n_images, n_classes) both."""
        votes = np.zeros((len(values), len(self.classes_)))
        sums = np.zeros_like(votes)
        for position, (one, two) in enumerate(combinations(range(len(self.classes_)), 2)):
            value = values[:, position]
            votes[:, one] += value > 0
            votes[:, two] += value <= 0
            sums[:, one] += value
            sums[:, two] -= value
        return votes, sums

    def decision_function(self, X: ArrayLike) -> _Array:  # noqa: N803
        """Return SVC's scores, (n_images, n_classes): votes, ties broken by the summed values.

        With two classes, the value of the one pair, (n_images,).
        """
        values = self._values(X)
        if len(self.classes_) == 2:  # noqa: PLR2004
            return values[:, 0]
        votes, sums = self._votes(values)
        # Sums squeezed into (-1/3, 1/3) order classes of equal votes and never outweigh a vote.
        scores: _Array = votes + sums / (3 * (np.abs(sums) + 1))
        return scores

    def predict(self, X: ArrayLike) -> NDArray[Any]:  # noqa: N803
        """Return each image's class with the most votes, the first of equal ones, as SVC does."""
        values = self._values(X)
        if len(self.classes_) == 2:  # noqa: PLR2004
            values = -values
        winners = self._votes(values)[0].argmax(axis=1)
        predicted: NDArray[Any] = self.classes_[winners]
        return predicted
