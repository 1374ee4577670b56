"""Classify image files with a classifier file."""

import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from tlbench.core.errors import ConfigError, DataError, ModelError
from tlbench.core.progress import Listener, Silent
from tlbench.datasets import SUFFIXES, ImageFiles, quiet_pillow
from tlbench.model import ClassifierCard, OnnxModel, classifier_card
from tlbench.records import ClassifiedImage, ClassifiedImages
from tlbench.workflows.config import RunConfig
from tlbench.workflows.steps.predictions import ImagePredictions, classify_images


def find_images(names: Iterable[str], listed: Iterable[str] = ()) -> tuple[Path, ...]:
    """Return the image files that *names* mean.

    Parameters
    ----------
    names : iterable of str
        A file is taken whatever its suffix; of a folder, all JPEG, PNG and WebP files in it and
        below it, hidden ones left out, in the order of their paths; ``-`` stands for *listed*.
    listed : iterable of str
        Lines with a file or folder each; empty ones are passed over.

    Raises
    ------
    DataError
        If a name is no file or folder, or a folder has no image.
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
        raise DataError("No images: the list on standard input is empty. Give one path a line.")
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
        A file of `tlbench.workflows.fuse.fuse_run`.
    images : sequence of Path
        From `find_images`.
    config : RunConfig
        Of it provider, its options, threads, batch size and strictness count.
    top_k : int
        Most probable classes to keep of each image; all of them where it is larger.

    Returns
    -------
    ClassifiedImages
        Files that cannot be decoded are named in it, unless ``config.strict``.

    Raises
    ------
    ModelError
        If *classifier* is no classifier file, or has no finite probabilities for an image.
    UnreadableImageError
        With ``config.strict``, for the first file that cannot be decoded.
    DataError
        If no file can be decoded.
    """
    if top_k < 1:
        raise ConfigError(f"--top-k must be at least 1, not {top_k}.")
    model = OnnxModel(classifier)
    card = _card(model)
    quiet_pillow()
    listener = listener or Silent()
    listener.start("classify", len(images), "images")
    started = time.perf_counter()
    try:
        answers = classify_images(model, ImageFiles(tuple(images)), config, listener=listener)
    finally:
        listener.finish()
    elapsed_s = time.perf_counter() - started
    _check_finite(model, answers, images)
    return ClassifiedImages(
        classifier=_text(classifier),
        sha256=model.sha256,
        head=card.head,
        provider=config.provider,
        classes=card.classes,
        images=_rows(answers, images, top_k),
        unreadable=tuple((_text(images[i]), str(error)) for i, error in answers.unreadable),
        elapsed_s=elapsed_s,
    )


def _card(model: OnnxModel) -> ClassifierCard:
    card = classifier_card(model)
    if card is None:
        what = f"a {model.card.backbone} backbone" if model.card else "a file of other software"
        msg = (
            f"{model.path} is no classifier but {what}: it has features and no labels. Make a "
            "classifier from a saved run: tlbench fuse RUN --head softmax -o classifier.onnx."
        )
        raise ModelError(msg)
    return card


def _check_finite(model: OnnxModel, answers: ImagePredictions, images: Sequence[Path]) -> None:
    wrong = np.flatnonzero(~np.isfinite(answers.probabilities).all(axis=1))
    if len(wrong):
        msg = (
            f"{model.path} overflows: {len(wrong)} of {len(answers.index)} images have "
            "probabilities that are no numbers, the first is "
            f"{_text(images[answers.index[wrong[0]]])}. Fuse a run of fp32."
        )
        raise ModelError(msg)


def _rows(
    answers: ImagePredictions, images: Sequence[Path], top_k: int
) -> tuple[ClassifiedImage, ...]:
    # stable: of equally probable classes the first stays first
    order = np.argsort(-answers.probabilities, axis=1, kind="stable")[:, :top_k]
    return tuple(
        ClassifiedImage(
            image=_text(images[position]),
            label=int(label),
            probability=float(probabilities[label]),
            ranked=tuple((int(column), float(probabilities[column])) for column in ranks),
        )
        for position, label, probabilities, ranks in zip(
            answers.index, answers.labels, answers.probabilities, order, strict=True
        )
    )


def _text(path: Path) -> str:
    r"""Return a path as text that can be printed; bytes that are no UTF-8 become ``\udc..``."""
    return str(path).encode(errors="backslashreplace").decode()
