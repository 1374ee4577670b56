"""The plots of a run, a comparison and a sweep by name, and what a run lacks for them."""

from tlbench.core.errors import ConfigError, ResultError
from tlbench.core.registry import unknown_name
from tlbench.records import Predictions, RunImages, RunResult
from tlbench.reports.figures import ParetoFigure, fold_figures, learning_figure, training_figures
from tlbench.reports.image_figures import (
    ShownImages,
    confusion_of,
    embedding_figure,
    misclassified_figure,
    shown_images,
)
from tlbench.reports.plots.canvas import Panel, drawn
from tlbench.reports.plots.charts import (
    interval_panel,
    lines_panel,
    pareto_panel,
    parts_panel,
    timing_panel,
)
from tlbench.reports.plots.pictures import confusion_panel, embedding_panel, misclassified_panel
from tlbench.reports.timing_figures import parts_figure, timing_figures

PLOTS = ("embedding", "confusion", "misclassified", "latency", "curve", "pareto")


def run_plot(
    kind: str,
    suffix: str,
    run: RunResult,
    predictions: Predictions | None = None,
    images: RunImages | None = None,
    *,
    thumbnails: bool = False,
) -> bytes:
    """Return a figure of one run as the content of a file.

    Parameters
    ----------
    kind : str
        One of `PLOTS`.
    suffix : {".svg", ".png", ".pdf"}
        What kind of file it is.
    run : RunResult
        The run.
    predictions, images : Predictions or None, RunImages or None
        What it keeps of its test images.
    thumbnails : bool
        Whether an embedding shows images in place of points where they have room.

    Raises
    ------
    UnknownNameError, ConfigError
        If *kind* is no plot, or not one of a single run.
    ResultError
        If the run has not what the plot shows.
    MissingDependencyError
        If matplotlib is not installed.
    """
    check_plot(kind, thumbnails=thumbnails)
    if kind == "pareto":
        raise ConfigError(
            "A plot of the Pareto front needs several runs, or a sweep: one run is one point."
        )
    if kind == "latency":
        return drawn(_latency(run), suffix)
    if kind == "curve":
        panels = _curves(run)
        return drawn(panels, suffix, n_columns=2)
    shown = _shown(run, predictions, images, kind)
    assert shown.first is not None
    if kind == "confusion":
        return drawn([confusion_panel(confusion_of(shown, shown.first))], suffix)
    if shown.images is None:
        raise _missing_images(run, kind)
    if kind == "misclassified":
        return drawn([misclassified_panel(misclassified_figure(shown), shown.images)], suffix)
    figure = embedding_figure(shown)
    if figure is None:
        raise ResultError(
            f"Run {run.id} has no map of its test images: there were too few of them, or too many "
            "features. Measure it again with more test images."
        )
    return drawn([embedding_panel(figure, shown.images if thumbnails else None)], suffix)


def check_plot(kind: str, *, thumbnails: bool = False) -> None:
    """Raise UnknownNameError if *kind* is no plot, or ConfigError if it shows no thumbnails."""
    if kind not in PLOTS:
        raise unknown_name("plot", kind, list(PLOTS))
    if thumbnails and kind != "embedding":
        raise ConfigError(f"thumbnails=True is for the plot embedding, got the plot {kind}.")


def pareto_plot(figure: ParetoFigure | None, suffix: str) -> bytes:
    """Return accuracy against time as the content of a file; None is fewer than two points."""
    if figure is None:
        raise ResultError(
            "There are fewer than two points to plot. Each needs an accuracy and a timing of "
            "single images, as `tlbench run` and `tlbench sweep` measure them."
        )
    return drawn([pareto_panel(figure)], suffix)


def _latency(run: RunResult) -> list[Panel]:
    panels = [timing_panel(figure) for figure in timing_figures(run.latency)]
    if run.breakdown:
        panels.append(parts_panel(parts_figure(run.breakdown)))
    if not panels:
        raise ResultError(
            f"Run {run.id} has no timing. Measure one with `tlbench run` or `tlbench latency`."
        )
    return panels


def _curves(run: RunResult) -> list[Panel]:
    panels = [lines_panel(figure) for figure in training_figures(run.accuracy)]
    if (learning := learning_figure(run.learning_curves)) is not None:
        panels.append(lines_panel(learning))
    panels += [interval_panel(figure) for figure in fold_figures(run.cross_validation)]
    if not panels:
        raise ResultError(
            f"Run {run.id} has no learning curve, no folds, and no head that was trained in "
            "epochs. Measure it again with curve=(1, 5, 10), folds=5, or heads='dense'."
        )
    return panels


def _shown(
    run: RunResult, predictions: Predictions | None, images: RunImages | None, kind: str
) -> ShownImages:
    if not run.accuracy:
        raise ResultError(
            f"Run {run.id} has no accuracy, so there is nothing to plot as {kind}. Measure it with "
            "`tlbench run` or `tlbench evaluate`."
        )
    shown = shown_images(run, predictions, images)
    if shown is None or shown.first is None:
        raise ResultError(
            f"Run {run.id} has no predictions: its run.json was copied without predictions.npz. "
            "Copy the whole folder of the run, or measure it again."
        )
    return shown


def _missing_images(run: RunResult, kind: str) -> ResultError:
    return ResultError(
        f"Run {run.id} keeps nothing of its test images, which the plot {kind} shows. It was "
        "measured by an older tlbench, or its run.json was copied without images.json and "
        "thumbnails.webp. Copy the whole folder of the run, or measure it again."
    )
