"""A run with all that a page shows: images, thumbnails, confidences, a map, and hostile names."""

import dataclasses
from html.parser import HTMLParser

import numpy as np

from tlbench.datasets import ThumbnailedImages
from tlbench.records import (
    ClassScore,
    CodeMap,
    Confidence,
    ImagesDocument,
    Interval,
    Predictions,
    RunImages,
    entry_name,
)
from tlbench.stats import wilson_interval

N_IMAGES = 240
HOSTILE = (
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>'",
    "</script><!--",
    "🐈‍⬛ 猫",
    "قطة سوداء",
    "\u202ereversed",
    "x" * 300,
    "nul\x00 bell\x07 line\nbreak\x1b[31m",
    "lone \udc80 surrogate",
    "a & b &lt; {{ 7 * 7 }}",
)


def pictured(run, classes, *, names=(), n_images=N_IMAGES, with_map=True):
    """Return a run over these classes with predictions and what is kept of its images."""
    generator = np.random.default_rng(0)
    labels = np.arange(n_images) % len(classes)
    results, entries, confidence = [], {}, {}
    for k, result in enumerate(run.accuracy):
        predicted = labels.copy()
        wrong = np.arange(k, n_images, 6 + k)
        predicted[wrong] = (labels[wrong] + 1 + wrong % 3) % len(classes)
        n_correct = int((predicted == labels).sum())
        low, high = wilson_interval(n_correct, n_images)
        results.append(
            dataclasses.replace(
                result,
                n_test=n_images,
                n_correct=n_correct,
                accuracy_fraction=n_correct / n_images,
                interval=Interval(low=low, high=high, method="wilson"),
                per_class=tuple(
                    ClassScore(
                        n_test=int((labels == c).sum()),
                        n_correct=int(((labels == c) & (predicted == c)).sum()),
                        n_predicted=int((predicted == c).sum()),
                    )
                    for c in range(len(classes))
                ),
            )
        )
        name = entry_name(result)
        entries[name] = predicted
        values = tuple(np.round(generator.uniform(0.2, 1, n_images), 4).tolist())
        confidence[name] = Confidence(kind="probability", values=values)
    pixels = generator.integers(0, 256, (n_images, 8, 8, 3), dtype=np.uint8)
    kept = ThumbnailedImages(pixels, range(n_images))
    for i in range(n_images):
        kept[i]
    sheet = kept.sheet(range(n_images))
    points = generator.normal(0, 0.3, (n_images, 2)) + np.stack([labels % 3, labels // 3], axis=1)
    code_map = CodeMap(
        method="t-SNE",
        points=tuple(map(tuple, np.round(points, 4).tolist())),
        seed=0,
        n_features=16,
        n_components=16,
        recall_fraction=0.5,
        trustworthiness=0.9,
        n_neighbours=15,
        n_judged=n_images,
    )
    images = RunImages(
        document=ImagesDocument(
            rows=tuple(range(n_images)),
            n_test=n_images,
            names=tuple(names[i % len(names)] for i in range(n_images)) if names else (),
            tile_px=sheet.side,
            n_columns=sheet.n_columns,
            confidence=confidence,
            code_map=code_map if with_map else None,
        ),
        sheet=sheet.content,
    )
    dataset = dataclasses.replace(run.dataset, classes=tuple(classes), n_test=n_images)
    predictions = Predictions(labels=labels, index=np.arange(n_images), entries=entries)
    changed = dataclasses.replace(run, dataset=dataset, accuracy=tuple(results))
    return changed, predictions, images


class ParsedPage(HTMLParser):
    """The tables of a page as rows of texts, its elements, and all of its text."""

    def __init__(self, page):
        super().__init__()
        self.tables, self.elements, self.texts = [], [], []
        self._cell = None
        self._inside = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        """Note an element; open a table, a row or a cell."""
        self.elements.append((tag, dict(attrs)))
        self._inside.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in {"td", "th"}:
            self._cell = ""

    def handle_endtag(self, tag):
        """Close a cell."""
        while self._inside and self._inside.pop() != tag:
            pass
        if tag in {"td", "th"} and self._cell is not None:
            self.tables[-1][-1].append(self._cell)
            self._cell = None

    def handle_data(self, data):
        """Take a text."""
        if self._inside and self._inside[-1] in {"script", "style"}:
            return
        self.texts.append(data)
        if self._cell is not None:
            self._cell += data

    @property
    def text(self):
        """All of the text."""
        return "".join(self.texts)
