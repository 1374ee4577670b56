"""The classes that a classifier is fitted on."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.multiclass import check_classification_targets


def class_codes(y: ArrayLike) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return the classes in order, and for each label the index of its class.

    Raises
    ------
    ValueError
        If these are no labels, or there is one class only.
    """
    check_classification_targets(y)
    classes, codes = np.unique(y, return_inverse=True)
    if len(classes) < 2:  # noqa: PLR2004 - a choice
        msg = f"The number of classes has to be greater than one; got {len(classes)} class."
        raise ValueError(msg)
    return classes, codes
