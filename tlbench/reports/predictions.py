"""Predictions as a table, JSON or CSV."""

import csv
import io
import json
from collections.abc import Iterable, Sequence

from tlbench.records import (
    ClassifiedImage,
    ClassifiedImages,
    DifferingImage,
    PredictionsDocument,
)

_NARROWEST_NAME = 12


def predictions_document(found: ClassifiedImages) -> str:
    """Return JSON text: the classifier, an object for each image, and the unreadable files."""
    names = found.classes
    document: PredictionsDocument = {
        "schema_version": 1,
        "classifier": {
            "path": found.classifier,
            "sha256": found.sha256,
            "head": found.head,
            "provider": found.provider,
            "classes": list(names),
        },
        "images": [
            {
                "image": one.image,
                "label": one.label,
                "class": names[one.label],
                "probability": one.probability,
                "ranked": [{"class": names[i], "probability": p} for i, p in one.ranked],
            }
            for one in found.images
        ],
        "unreadable": [{"image": image, "reason": reason} for image, reason in found.unreadable],
        "elapsed_s": found.elapsed_s,
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def predictions_csv(found: ClassifiedImages) -> str:
    """Return CSV with a header: image, label, class, probability, then the ranked classes.

    The ranked classes stand there when there is more than one: ``class_1, probability_1, ...``.
    """
    n_ranked = max((len(one.ranked) for one in found.images), default=0)
    n_ranked = n_ranked if n_ranked > 1 else 0
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    more = [f"{word}_{i}" for i in range(1, n_ranked + 1) for word in ("class", "probability")]
    writer.writerow(["image", "label", "class", "probability", *more])
    for one in found.images:
        row = [one.image, one.label, found.classes[one.label], f"{one.probability:.6g}"]
        for column, probability in one.ranked[:n_ranked]:
            row += [found.classes[column], f"{probability:.6g}"]
        writer.writerow(row)
    return text.getvalue()


def predictions_table(found: ClassifiedImages, *, width: int = 80) -> str:
    """Return a table for people; long paths are cut at the front."""
    texts = [_labels(one, found.classes) for one in found.images]
    longest = max((len(one.image) for one in found.images), default=0)
    room = max(_NARROWEST_NAME, width - 2 - max(map(len, texts), default=0))
    column = min(longest, room)
    lines = [
        f"{_cut(one.image, column):<{column}}  {text}"
        for one, text in zip(found.images, texts, strict=True)
    ]
    return "\n".join(lines) + "\n"


def _labels(one: ClassifiedImage, classes: tuple[str, ...]) -> str:
    text = f"{classes[one.label]} {100 * one.probability:.1f} %"
    others = [f"{classes[i]} {100 * p:.1f} %" for i, p in one.ranked if i != one.label]
    return "; ".join([text, *others]) if len(one.ranked) > 1 else text


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"…{text[len(text) - width + 1 :]}"


def differing_csv(images: Iterable[DifferingImage], classes: Sequence[str]) -> str:
    """Return the images on which runs differ as CSV: a line for each image and entry.

    Parameters
    ----------
    images : iterable of DifferingImage
    classes : sequence of str
        Names of the labels; a label without a name stands as its number.
    """

    def name(label: int) -> str:
        return classes[label] if 0 <= label < len(classes) else str(label)

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("run", "entry", "index", "label", "first", "second"))
    for one in images:
        labels = (name(label) for label in (one.label, one.first, one.second))
        writer.writerow((one.run, one.entry, one.index, *labels))
    return text.getvalue()
