"""Classify image files with a classifier file."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlbench.core.arrays import FloatArray, ImageArray, Images, LabelArray
from tlbench.core.errors import ConfigError, DataError, ModelError, UnreadableImageError
from tlbench.core.progress import Listener, Silent, task
from tlbench.core.unused import UnusedFiles, UnusedTally, account, missed
from tlbench.datasets import ImageFiles, ImageFinder, quiet_pillow
from tlbench.engine import Session, extract_features, open_session
from tlbench.model import (
    LABEL_OUTPUT,
    PROBABILITIES_OUTPUT,
    ClassifierCard,
    OnnxModel,
    classifier_card,
)
from tlbench.records import ClassifiedImage, ClassifiedImages
from tlbench.workflows.config import RunConfig
from tlbench.workflows.steps.unused import UNDECODABLE, refusal


@dataclass(frozen=True, slots=True, eq=False)
class ImagePredictions:
    """One row for each readable image, in the order of the images."""

    index: LabelArray  # (n,), positions of the readable images
    labels: LabelArray  # (n,)
    probabilities: FloatArray  # (n, n_classes), float32
    unreadable: tuple[tuple[int, UnreadableImageError], ...]  # position and error of the others
    elapsed_s: float  # from reading the first image to the last prediction


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
        elapsed_s=extraction.elapsed_s,
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


@dataclass(frozen=True, slots=True)
class FoundImages:
    """Image files, and an account of the other files in the folders that were given."""

    paths: tuple[Path, ...]
    unused: tuple[UnusedFiles, ...] = ()


def find_images(names: Iterable[str], listed: Iterable[str] = ()) -> FoundImages:
    """Return the image files that *names* stand for.

    A file is taken whatever its name. A folder gives all image files in it and below it, without
    hidden ones, in the order of their paths. ``-`` stands for the lines of *listed*.
    """
    found: list[Path] = []
    unused = UnusedTally()
    for name in names:
        if name == "-":
            lines = (line.rstrip("\r\n") for line in listed)
            for line in lines:
                if line:
                    found.extend(_expand(Path(line), unused))
        else:
            found.extend(_expand(Path(name), unused))
    if not found:
        raise DataError("No images: the list on standard input is empty. Give one path per line.")
    return FoundImages(tuple(found), unused.result())


def _expand(path: Path, unused: UnusedTally) -> list[Path]:
    path = path.expanduser()
    try:
        if path.is_file():
            return [path]
        if not path.is_dir():
            msg = f"There is no file or folder {path} (looked in {Path.cwd()}). Check the path."
            raise DataError(msg)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}. Check its rights.") from error
    finder = ImageFinder(path)
    inside = finder.below(path)
    others = finder.unused.result()
    if not inside:
        found = f"only {account(others)}" if others else "it is empty"
        raise DataError(f"No images in the folder {path}: {found}. Check the path.")
    unused.add_all(others, path)
    return inside


def predict_images(
    classifier: Path,
    images: FoundImages | Sequence[Path],
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
    images : FoundImages or sequence of Path
        From `find_images`, or any files.
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
        With ``config.strict``, if a file cannot be decoded or was left out of a folder.
    DataError
        If no file can be decoded.
    """
    if top_k < 1:
        raise ConfigError(f"top_k must be at least 1, got {top_k}.")
    model = OnnxModel(classifier)
    card = _card(model)
    quiet_pillow()
    listener = listener or Silent()
    paths, unused = (
        (images.paths, images.unused) if isinstance(images, FoundImages) else (images, ())
    )
    with task(listener, "classify", len(paths), "images"):
        # To the end even if it is strict: the error accounts for every file.
        lenient = replace(config, strict=False)
        found = classify_images(model, ImageFiles(tuple(paths)), lenient, listener=listener)
    unreadable = tuple((_text(paths[i]), str(error)) for i, error in found.unreadable)
    if config.strict and (unreadable or missed(unused)):
        tally = UnusedTally(unused)
        for name, _ in unreadable:
            tally.add(UNDECODABLE, name)
        raise refusal(tally.result(), unreadable[0][1] if unreadable else "")
    _check_finite(model, found, paths)
    return ClassifiedImages(
        classifier=_text(classifier),
        sha256=model.sha256,
        head=card.head,
        provider=config.provider,
        classes=card.classes,
        images=_rows(found, paths, top_k),
        unreadable=unreadable,
        elapsed_s=found.elapsed_s,
        unused=unused,
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
