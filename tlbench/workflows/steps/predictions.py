"""What a classifier file answers for images, in the order of the images."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlbench.core.arrays import FloatArray, ImageArray, Images, LabelArray
from tlbench.core.errors import UnreadableImageError
from tlbench.core.progress import Listener
from tlbench.engine import Session, extract_features, open_session
from tlbench.model import LABEL_OUTPUT, PROBABILITIES_OUTPUT, OnnxModel
from tlbench.workflows.config import RunConfig


@dataclass(frozen=True, slots=True, eq=False)
class ImagePredictions:
    """One row for each readable image, in the order of the images.

    Attributes
    ----------
    index : ndarray of shape (n,), int64
        Positions of the readable images.
    labels : ndarray of shape (n,), int64
    probabilities : ndarray of shape (n, n_classes), float32
    unreadable : tuple
        Position and error of every other image.
    """

    index: LabelArray
    labels: LabelArray
    probabilities: FloatArray
    unreadable: tuple[tuple[int, UnreadableImageError], ...]


def classify_images(
    model: OnnxModel, images: Images, config: RunConfig, *, listener: Listener
) -> ImagePredictions:
    """Run a classifier file over *images*, decoding ahead of the network.

    Parameters
    ----------
    config : RunConfig
        Of it provider, its options, threads, batch size and strictness count.

    Raises
    ------
    UnreadableImageError
        With ``config.strict``, for the first image that cannot be decoded.
    DataError
        If no image can be decoded.
    """
    positions: list[LabelArray] = []
    rows: list[NDArray[Any]] = []

    def keep(index: LabelArray, answers: NDArray[Any]) -> None:
        positions.append(index)
        rows.append(answers)

    with open_session(
        model,
        provider=config.provider,
        provider_options=config.provider_options,
        threads=config.threads,
    ) as session:
        extraction = extract_features(
            lambda batch: _answer(session, batch),
            images,
            sink=keep,
            batch_size=config.batch_size,
            pad_tail=session.provider != "cpu",
            strict=config.strict,
            listener=listener,
        )
    index, found = np.concatenate(positions), np.concatenate(rows)
    order = np.argsort(index)  # images of several sizes come size by size
    return ImagePredictions(
        index=index[order],
        labels=found["label"][order],
        probabilities=found["probabilities"][order],
        unreadable=extraction.unreadable,
    )


def _answer(session: Session, images: ImageArray) -> NDArray[Any]:
    """Return both outputs as one array, so that they are cut and ordered together."""
    outputs = session.run_all(images)
    probabilities = outputs[PROBABILITIES_OUTPUT]
    kind = np.dtype(
        [("label", np.int64), ("probabilities", np.float32, probabilities.shape[1:])],
    )
    both = np.empty(len(probabilities), dtype=kind)
    both["label"], both["probabilities"] = outputs[LABEL_OUTPUT], probabilities
    return both
