"""Predictions as a table, JSON or CSV."""

import csv
import io
from collections.abc import Iterable, Sequence

from tlbench.core.errors import printable
from tlbench.core.units import format_percent
from tlbench.records import ClassifiedImage, ClassifiedImages, DifferingImage, PredictionsDocument
from tlbench.reports.base import json_text

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
        "unused": list(found.unused),
        "elapsed_s": found.elapsed_s,
    }
    return json_text(document)


def predictions_csv(found: ClassifiedImages) -> str:
    """Return CSV: image, label, class, probability, then the ranked classes if more than one."""
    n_ranked = max((len(one.ranked) for one in found.images), default=0)
    n_ranked = n_ranked if n_ranked > 1 else 0
    more = [f"{word}_{i}" for i in range(1, n_ranked + 1) for word in ("class", "probability")]
    rows: list[list[object]] = [["image", "label", "class", "probability", *more]]
    for one in found.images:
        rows.append([one.image, one.label])
        for column, probability in [(one.label, one.probability), *one.ranked[:n_ranked]]:
            rows[-1] += [found.classes[column], f"{probability:.6g}"]
    return _csv(rows)


def _csv(rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def predictions_table(found: ClassifiedImages, *, width: int = 80) -> str:
    """Return a table for people; long paths are cut at the front."""
    texts = [printable(_labels(one, found.classes)) for one in found.images]
    room = max(_NARROWEST_NAME, width - 2 - max(map(len, texts), default=0))
    paths = [printable(one.image) for one in found.images]
    paths = [path if len(path) <= room else f"…{path[len(path) - room + 1 :]}" for path in paths]
    column = max(map(len, paths), default=0)
    lines = [f"{path:<{column}}  {text}" for path, text in zip(paths, texts, strict=True)]
    return "\n".join(lines) + "\n"


def _labels(one: ClassifiedImage, classes: tuple[str, ...]) -> str:
    others = [(i, p) for i, p in one.ranked if i != one.label] if len(one.ranked) > 1 else []
    ranked = [(one.label, one.probability), *others]
    return ", ".join(f"{classes[i]} ({format_percent(p)})" for i, p in ranked)


def differing_csv(images: Iterable[DifferingImage], classes: Sequence[str]) -> str:
    """Return the images on which runs differ as CSV; a label without a name is its number."""

    def name(label: int) -> str:
        return classes[label] if 0 <= label < len(classes) else str(label)

    rows = (
        (one.run, one.entry, one.index, *map(name, (one.label, one.first, one.second)))
        for one in images
    )
    return _csv([("run", "entry", "index", "label", "first", "second"), *rows])
