"""Classify image files with a classifier file."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlbench.core.arrays import FloatArray, ImageArray, Images, LabelArray
from tlbench.core.errors import ConfigError, DataError, ModelError, UnreadableImageError
from tlbench.core.progress import Listener, Silent
from tlbench.datasets import SUFFIXES, ImageFiles, quiet_pillow
from tlbench.engine import Session, extract_features, open_session, provider_name
from tlbench.model import (
    LABEL_OUTPUT,
    PROBABILITIES_OUTPUT,
    ClassifierCard,
    OnnxModel,
    classifier_card,
)
from tlbench.records import ClassifiedImage, ClassifiedImages
from tlbench.workflows.config import RunConfig


@dataclass(frozen=True, slots=True, eq=False)
class ImagePredictions:
    """One row for each readable image, in the order of the images."""

    index: LabelArray  # (n,), positions of the readable images
    labels: LabelArray  # (n,)
    probabilities: FloatArray  # (n, n_classes), float32
    unreadable: tuple[tuple[int, UnreadableImageError], ...]  # position and error of the others


def classify_images(
    model: OnnxModel, images: Images, config: RunConfig, *, listener: Listener
) -> ImagePredictions:
    """Run a classifier file over *images*, decoding ahead of the network.

    With ``config.strict``, the first image that cannot be decoded raises UnreadableImageError.
    """
    positions: list[LabelArray] = []
    rows: list[NDArray[Any]] = []

    def keep(index: LabelArray, outputs: NDArray[Any]) -> None:
        positions.append(index)
        rows.append(outputs)

    with open_session(
        model,
        provider=config.provider,
        provider_options=config.provider_options,
        threads=config.threads,
    ) as session:
        extraction = extract_features(
            lambda batch: _both_outputs(session, batch),
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


def _both_outputs(session: Session, images: ImageArray) -> NDArray[Any]:
    """Return both outputs as one array, so that they are cut and ordered together."""
    outputs = session.run_all(images)
    probabilities = outputs[PROBABILITIES_OUTPUT]
    row = np.dtype(
        [("label", np.int64), ("probabilities", np.float32, probabilities.shape[1:])],
    )
    both = np.empty(len(probabilities), dtype=row)
    both["label"], both["probabilities"] = outputs[LABEL_OUTPUT], probabilities
    return both


def find_images(names: Iterable[str], listed: Iterable[str] = ()) -> tuple[Path, ...]:
    """Return the image files that *names* stand for.

    A file is taken whatever its suffix. A folder gives all JPEG, PNG and WebP files in it and below
    it, without hidden ones, in the order of their paths. ``-`` stands for the lines of *listed*.
    """
    found: list[Path] = []
    for name in names:
        if name == "-":
            lines = (line.rstrip("\r\n") for line in listed)
            for line in lines:
                if line:
                    found.extend(_expand(Path(line)))
        else:
            found.extend(_expand(Path(name)))
    if not found:
        raise DataError("No images: the list on standard input is empty. Give one path per line.")
    return tuple(found)


def _expand(path: Path) -> list[Path]:
    path = path.expanduser()
    try:
        if path.is_file():
            return [path]
        if not path.is_dir():
            msg = f"There is no file or folder {path} (looked in {Path.cwd()}). Check the path."
            raise DataError(msg)
        inside = sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}. Check its rights.") from error
    visible = [p for p in inside if not any(x.startswith(".") for x in p.relative_to(path).parts)]
    if not visible:
        raise DataError(f"No images ({', '.join(sorted(SUFFIXES))}) in the folder {path}.")
    return visible


def predict_images(
    classifier: Path,
    images: Sequence[Path],
    *,
    config: RunConfig,
    top_k: int = 1,
    listener: Listener | None = None,
) -> ClassifiedImages:
    """Classify files.

    Parameters
    ----------
    classifier : Path
        A file written by `tlbench.workflows.fuse_run`.
    images : sequence of Path
        From `find_images`.
    config : RunConfig
        Only its provider, provider options, threads, batch size and strictness are used.
    top_k : int
        Number of most probable classes to keep of each image.

    Returns
    -------
    ClassifiedImages
        Files that cannot be decoded are named in it, unless ``config.strict``.

    Raises
    ------
    ModelError
        If *classifier* is not a classifier file, or gives a probability that is not finite.
    UnreadableImageError
        With ``config.strict``, for the first file that cannot be decoded.
    DataError
        If no file can be decoded.
    """
    if top_k < 1:
        raise ConfigError(f"top_k must be at least 1, got {top_k}.")
    model = OnnxModel(classifier)
    card = _card(model)
    quiet_pillow()
    listener = listener or Silent()
    listener.start("classify", len(images), "images")
    started = time.perf_counter()
    try:
        found = classify_images(model, ImageFiles(tuple(images)), config, listener=listener)
    finally:
        listener.finish()
    elapsed_s = time.perf_counter() - started
    _check_finite(model, found, images)
    return ClassifiedImages(
        classifier=_text(classifier),
        sha256=model.sha256,
        head=card.head,
        provider=provider_name(config.provider),
        classes=card.classes,
        images=_rows(found, images, top_k),
        unreadable=tuple((_text(images[i]), str(error)) for i, error in found.unreadable),
        elapsed_s=elapsed_s,
    )


def _card(model: OnnxModel) -> ClassifierCard:
    card = classifier_card(model)
    if card is None:
        what = f"a {model.card.backbone} backbone" if model.card else "a file of other software"
        msg = (
            f"{model.path} is not a classifier but {what}: it has features and no labels. Make a "
            "classifier from a saved run with tlbench fuse."
        )
        raise ModelError(msg)
    return card


def _check_finite(model: OnnxModel, found: ImagePredictions, images: Sequence[Path]) -> None:
    wrong = np.flatnonzero(~np.isfinite(found.probabilities).all(axis=1))
    if len(wrong):
        msg = (
            f"{model.path} overflows: {len(wrong)} of {len(found.index)} images have "
            "probabilities that are not finite, the first is "
            f"{_text(images[found.index[wrong[0]]])}. Fuse a run of fp32."
        )
        raise ModelError(msg)


def _rows(
    found: ImagePredictions, images: Sequence[Path], top_k: int
) -> tuple[ClassifiedImage, ...]:
    # stable: of equally probable classes the first stays first
    order = np.argsort(-found.probabilities, axis=1, kind="stable")[:, :top_k]
    return tuple(
        ClassifiedImage(
            image=_text(images[position]),
            label=int(label),
            probability=float(probabilities[label]),
            ranked=tuple((int(column), float(probabilities[column])) for column in ranks),
        )
        for position, label, probabilities, ranks in zip(
            found.index, found.labels, found.probabilities, order, strict=True
        )
    )


def _text(path: Path) -> str:
    r"""Return a path as text that can be printed; bytes that are not UTF-8 become ``\udc..``."""
    return str(path).encode(errors="backslashreplace").decode()
