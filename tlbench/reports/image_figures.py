"""The data of figures about test images: the misclassified ones, and the map of the features."""

from dataclasses import dataclass

from tlbench.core.errors import ResultError
from tlbench.core.units import format_count, format_percent
from tlbench.records import CodeMap, Predictions, RunImages, RunResult, entry_name
from tlbench.reports.accuracy import first_result
from tlbench.reports.figures import ConfusionFigure, confusion_figure

# Misclassified images that fit into a figure; the script of a page shows the others.
N_SHOWN = 48


@dataclass(frozen=True, slots=True, kw_only=True)
class MisclassifiedImage:
    """One image: its thumbnail's place in the sheet, and what it was taken for."""

    tile: int
    name: str
    true: str
    predicted: str
    confidence: str  # in percent, or a margin; empty where the head gives no scores


@dataclass(frozen=True, slots=True, kw_only=True)
class MisclassifiedFigure:
    """The first misclassified images, the most confident first."""

    title: str
    images: tuple[MisclassifiedImage, ...]
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingFigure:
    """The features of the kept images in two dimensions, in the order of the sheet."""

    title: str
    classes: tuple[str, ...]
    labels: tuple[int, ...]
    points: tuple[tuple[float, float], ...]
    wrong: tuple[bool, ...]  # whether the first head is wrong about it
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownImages:
    """Predictions of a run with what it keeps of its test images."""

    run: RunResult
    predictions: Predictions
    images: RunImages | None

    def check(self) -> None:
        """Raise ResultError if a label is none of the classes."""
        for found in self.predictions.arrays.values():
            if found is self.predictions.index or not len(found):
                continue
            if found.min() < 0 or found.max() >= len(self.classes):
                raise ResultError(
                    f"Run {self.run.id} is damaged: its predictions have labels from {found.min()} "
                    f"to {found.max()}, but it has {len(self.classes)} classes. Measure it again."
                )

    @property
    def entries(self) -> list[str]:
        """Names of the predictions that are shown: those on the backbone's features."""
        found = [entry_name(one) for one in self.run.accuracy if not one.baseline]
        return [name for name in found if name in self.predictions.entries]

    @property
    def first(self) -> str | None:
        """Name of the predictions of the report's answer."""
        first = first_result(self.run.accuracy)
        name = entry_name(first) if first else None
        return name if name in self.entries else next(iter(self.entries), None)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""
        return self.run.dataset.classes if self.run.dataset else ()


def shown_images(
    run: RunResult, predictions: Predictions | None, images: RunImages | None
) -> ShownImages | None:
    """Return what can be shown of a run's test images, None without predictions.

    Images that belong to another run are left out. Raises ResultError for damaged predictions.
    """
    if predictions is None:
        return None
    if images is not None and images.document.n_test != len(predictions.labels):
        images = None
    shown = ShownImages(run=run, predictions=predictions, images=images)
    shown.check()
    return shown


def confusion_of(shown: ShownImages, name: str) -> ConfusionFigure:
    """Return the confusion matrix of the predictions called *name*."""
    predictions = shown.predictions
    labels, predicted = predictions.labels.tolist(), predictions.entries[name].tolist()
    return confusion_figure(shown.classes, labels, predicted, name)


def misclassified_figure(shown: ShownImages) -> MisclassifiedFigure:
    """Return the misclassified images of the first head, of a run that keeps its images."""
    assert shown.images is not None
    assert shown.first is not None
    document, name = shown.images.document, shown.first
    predicted, labels = shown.predictions.entries[name], shown.predictions.labels
    confidence = document.confidence.get(name)
    wrong = [tile for tile, row in enumerate(document.rows) if predicted[row] != labels[row]]
    if confidence is not None:
        wrong.sort(key=lambda tile: -confidence.values[tile])
    order = {
        "probability": "the most confident first: % is the probability of the predicted class",
        "margin": "the most confident first: by the margin of the score over the next class's",
        None: "in the order of the data set: this head gives no scores",
    }[confidence.kind if confidence else None]
    n_wrong, n_kept = format_count(len(wrong)), format_count(len(document.rows))
    note = f"{n_wrong} of n = {n_kept} images are misclassified by {name}; {order}."
    if len(document.rows) < document.n_test:
        note += f" Thumbnails were kept of {n_kept} of {format_count(document.n_test)} images."
    if len(wrong) > N_SHOWN:
        note += f" The first {N_SHOWN} are shown here."
    return MisclassifiedFigure(
        title=f"Misclassified images, {_spoken(name)}",
        images=tuple(
            MisclassifiedImage(
                tile=tile,
                name=document.names[tile] if document.names else f"test image {row}",
                true=shown.classes[int(labels[row])],
                predicted=shown.classes[int(predicted[row])],
                confidence=_confidence(shown.images, name, tile),
            )
            for tile in wrong[:N_SHOWN]
            for row in (document.rows[tile],)
        ),
        note=note,
    )


def _spoken(entry: str) -> str:
    features, _, head = entry.partition(".")
    return f"{head} on {features}"


def _confidence(images: RunImages, name: str, tile: int) -> str:
    found = images.document.confidence.get(name)
    if found is None:
        return ""
    value = found.values[tile]
    return format_percent(value, 0) if found.kind == "probability" else f"{value:.2f}"


def embedding_figure(shown: ShownImages) -> EmbeddingFigure | None:
    """Return the map of the features; None if the run keeps none."""
    found = shown.images.document.code_map if shown.images else None
    if found is None or shown.images is None or shown.first is None:
        return None
    rows = list(shown.images.document.rows)
    labels = shown.predictions.labels[rows]
    wrong = shown.predictions.entries[shown.first][rows] != labels
    n_points = format_count(len(rows))
    return EmbeddingFigure(
        title=f"Map of the features, {found.method}",
        classes=shown.classes,
        labels=tuple(labels.tolist()),
        points=found.points,
        wrong=tuple(wrong.tolist()),
        note=f"n = {n_points} test images; {map_method(found)} of {format_count(found.n_features)} "
        f"features, seed {found.seed}; {_faithfulness(found)}. Axes have no unit. Ringed: "
        f"misclassified by {_spoken(shown.first)}.",
    )


def map_method(found: CodeMap) -> str:
    """Return how a map was made."""
    if found.method == "PCA":
        return "PCA: the first two principal components"
    return f"t-SNE of the first {found.n_components} principal components"


def _faithfulness(found: CodeMap) -> str:
    if found.recall_fraction is None or found.trustworthiness is None:
        return "too few images to tell how faithful it is"
    return (
        f"{found.n_neighbours}-neighbour recall {format_percent(found.recall_fraction)}, "
        f"trustworthiness {found.trustworthiness:.3f} (1 is best; on n = "
        f"{format_count(found.n_judged)} images, no intervals)"
    )
