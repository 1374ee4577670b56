"""Compare what was measured with what was published."""

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from msgspec.structs import asdict

from tlbench.core.units import format_count
from tlbench.recipes.recipe import Figure, Recipe, Row
from tlbench.records import (
    AccuracyResult,
    CrossValidation,
    ModelInfo,
    PublishedFigure,
    PublishedSpeed,
    Reproduction,
    RunResult,
)
from tlbench.stats import welch_interval


def compare_with_published(recipe: Recipe, row: Row, run: RunResult) -> Reproduction:
    """Return the verdict on each of a row's figures: see docs/decisions/0012."""
    of_data, of_network = tuple(_data_differences(row, run)), tuple(_network_differences(row, run))

    def differences(figure: Figure) -> tuple[str, ...]:
        # no network made a baseline's features
        of_features = of_network if figure.features == "backbone" else ()
        return *of_data, *of_features, *_head_differences(figure, row, run), *figure.differs

    return Reproduction(
        recipe=recipe.name,
        row=row.name,
        title=recipe.title,
        source=f"{recipe.source.text}, {recipe.source.url}",
        protocol=recipe.protocol,
        weights=_weights(run.model),
        figures=tuple(_verdict_on(figure, row, run, differences(figure)) for figure in row.figures),
        speeds=tuple(PublishedSpeed(**asdict(speed)) for speed in row.speeds),
        notes=recipe.notes,
    )


def _weights(model: ModelInfo) -> str:
    if model.card is None:
        return f"unknown: {model.path_name}, which has no card, sha256 {model.sha256}"
    weights = model.card.weights
    digest = f", sha256 {weights.sha256}" if weights.sha256 else ""
    is_own = weights.kind == "file"
    caveat = " (tlbench cannot know whether the experiment used these)" if is_own else ""
    return f"{weights.kind}: {weights.origin}{digest}{caveat}"


def _network_differences(row: Row, run: RunResult) -> Iterator[str]:
    """Yield in what the features are not those of the experiment."""
    card = run.model.card
    backbone = card.backbone if card else run.model.path_name
    # A recipe of the user's may name a file.
    is_own_file = row.backbone.endswith(".onnx") and Path(row.backbone).name == run.model.path_name
    if backbone != row.backbone and not is_own_file:
        yield f"other backbone: {backbone}, not {row.backbone}"
    elif card is not None:
        for name, wanted in row.export.chosen.items():
            found = card.input_size[0] if name == "input_size" else getattr(card, name)
            # the card explains its resize: "bilinear (half-pixel centres, ...)"
            if str(found).split(" ")[0].rstrip(",") != str(wanted):
                yield f"other export: {name} {found}, not {wanted}"
    if card is not None and card.weights.kind == "random":
        yield "random weights: an accuracy would mean nothing, so only times are measured"
    if card is not None and card.precision != "fp32":
        yield f"other precision: {card.precision}, not fp32"


def _data_differences(row: Row, run: RunResult) -> Iterator[str]:
    """Yield in what data and protocol are not those of the experiment."""
    dataset = run.dataset  # None where only times were measured
    if dataset is None:
        yield from row.differs
        return
    counts = [("train", dataset.n_train, row.n_train), ("test", dataset.n_test, row.n_test)]
    counts = [(split, found, published) for split, found, published in counts if found != published]
    if counts:
        is_smaller = all(found < published for _, found, published in counts)
        word, between = ("smaller", "of") if is_smaller else ("other", "instead of")
        texts = " and ".join(
            f"{format_count(found)} {between} {format_count(published)} {split} images"
            for split, found, published in counts
        )
        yield f"{word} data: {texts}"
    # The right number of images in the right format may still be other images.
    *most, last = ["", *(file.name for file in dataset.files if not file.published)]
    if last:
        names = " and ".join(filter(None, [", ".join(most[1:]), last]))
        are = "are not the published files" if most[1:] else "is not the published file"
        yield f"other data: {names} {are}"
    yield from row.differs


def _head_differences(figure: Figure, row: Row, run: RunResult) -> Iterator[str]:
    """Yield in what the head's parameters are not those of the experiment."""
    asked = run.config.requested.get("head_params") or ()
    changed = [text for text in asked if text not in row.head_params]
    # C=1 is for every head, softmax.C=1 for one
    heads = {"", figure.head}
    changed = [text for text in changed if text.partition("=")[0].rpartition(".")[0] in heads]
    if changed:
        yield f"other parameters: {', '.join(changed)}"


def _verdict_on(
    figure: Figure, row: Row, run: RunResult, differences: tuple[str, ...]
) -> PublishedFigure:
    published = PublishedFigure(
        name=figure.name,
        published_fraction=figure.fraction,
        published_deviation_fraction=figure.deviation_fraction,
        verdict="not comparable",
        reasons=differences,
    )
    if figure.not_measured is not None:
        return replace(published, reasons=(f"not measured: {figure.not_measured}",))
    found = _measured(figure, run)
    if found is None:
        return replace(published, reasons=differences or ("it was not measured",))
    measured, deviation = _mean_and_deviation(found)
    published = replace(
        published,
        measured_fraction=measured,
        measured_deviation_fraction=deviation,
        interval=found.interval,
    )
    if differences:
        return published
    is_inside, how = _agrees(figure, row, found)
    return replace(
        published, verdict="reproduced" if is_inside else "not reproduced", reasons=(how,)
    )


def _measured(figure: Figure, run: RunResult) -> AccuracyResult | CrossValidation | None:
    results = run.cross_validation if figure.protocol == "folds" else run.accuracy
    own = (one for one in results if getattr(one, "fitted_on", None) is None)
    wanted = figure.features, figure.head
    return next((one for one in own if (one.features, one.head) == wanted), None)


def _mean_and_deviation(found: AccuracyResult | CrossValidation) -> tuple[float, float | None]:
    if isinstance(found, CrossValidation):
        return found.mean_fraction, found.deviation_fraction
    return found.accuracy_fraction, None


def _agrees(figure: Figure, row: Row, found: AccuracyResult | CrossValidation) -> tuple[bool, str]:
    """Tell whether a measurement agrees with a figure, and by what rule."""
    points = f"{100 * (_mean_and_deviation(found)[0] - figure.fraction):+.2f} points"
    # The published figure is any number that is rounded to the one in print.
    half = figure.rounding_fraction / 2
    if isinstance(found, AccuracyResult) or figure.deviation_fraction is None or row.folds is None:
        is_inside = found.interval.low - half <= figure.fraction <= found.interval.high + half
        side = "inside" if is_inside else "outside"
        return is_inside, (
            f"{points}; the published figure is {side} the 95 % interval of the measured one"
        )
    deviation = figure.deviation_fraction
    if figure.deviation_divisor == "n":
        deviation *= math.sqrt(row.folds / (row.folds - 1))
    low, high = welch_interval(
        (figure.fraction, deviation, row.folds),
        (found.mean_fraction, found.deviation_fraction, len(found.folds)),
    )
    interval = f"[{100 * low:+.2f}, {100 * high:+.2f}]"
    return low - half <= 0 <= high + half, (
        f"{points}, 95 % interval of the difference {interval} (Welch, over the folds)"
    )
