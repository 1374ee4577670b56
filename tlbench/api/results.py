"""What the functions of the Python API return: saved or unsaved, and how a notebook shows it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from tlbench.api.progress import Progress, listener_of
from tlbench.core.errors import ConfigError, UnknownNameError
from tlbench.core.files import write_atomically
from tlbench.core.registry import unknown_name
from tlbench.records import (
    check_predictions,
    entry_name,
    pack_predictions,
    read_images,
    read_predictions,
    save_run,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tlbench.compare import ComparedRun
    from tlbench.records import (
        AccuracyDifference,
        AccuracyResult,
        CrossValidation,
        GateCheck,
        GateVerdict,
        LatencyResult,
        Predictions,
        RunImages,
        RunResult,
        SpeedUp,
    )
    from tlbench.records import Comparison as ComparisonRecord

T = TypeVar("T")
_BACKBONE = "backbone."


class UnknownResultError(UnknownNameError, KeyError):
    """A name that no result of a run has."""

    __str__ = Exception.__str__  # KeyError would quote the message


class Results(Mapping[str, T]):
    """Results of a run by name, in the order in which they were measured.

    The results of heads are named ``backbone.softmax`` or ``pixels.softmax``; ``softmax`` alone
    means the head on the backbone's features. Timings are named after their scenario, such as
    ``single``, and where several share it after the batch size as well: ``offline batch 32``.
    """

    def __init__(self, kind: str, found: Mapping[str, T]) -> None:
        self._kind = kind
        self._found = found

    def __getitem__(self, name: str) -> T:
        for key in (name, f"{_BACKBONE}{name}"):
            if key in self._found:
                return self._found[key]
        known = ", ".join(self._found) or "none, because nothing of this kind was measured"
        raise UnknownResultError(f"There is no {self._kind} {name!r}. Known: {known}.")

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)

    def __repr__(self) -> str:
        lines = [f"  {name!r}: {result!r}," for name, result in self._found.items()]
        return "\n".join(["{", *lines, "}"]) if lines else "{}"


class Run:
    """A run, saved or not: what was measured, and on what.

    Attributes
    ----------
    record : `tlbench.records.RunResult`
        Everything that was measured and recorded: the content of ``run.json``.
    folder : Path or None
        Where the run is saved; None for a run that is not.
    """

    def __init__(
        self,
        record: RunResult,
        predictions: Mapping[str, NDArray[np.generic]] | None = None,
        folder: Path | None = None,
        images: RunImages | None = None,
    ) -> None:
        self.record = record
        self.folder = folder
        self._arrays = predictions
        self._images = images

    @property
    def id(self) -> str:
        """Name of the run's folder: the time of its start, and a few random digits."""
        return self.record.id

    @property
    def complete(self) -> bool:
        """Whether everything was measured; False after an interruption."""
        return self.record.complete

    @property
    def warnings(self) -> tuple[str, ...]:
        """What limits the meaning of the figures, as the report states it."""
        return self.record.warnings

    @cached_property
    def accuracy(self) -> Results[AccuracyResult]:
        """Accuracy on the test split: ``run.accuracy["softmax"]``, ``["pixels.softmax"]``."""
        return Results("accuracy", {entry_name(one): one for one in self.record.accuracy})

    @cached_property
    def cross_validation(self) -> Results[CrossValidation]:
        """Cross-validations, by the same names as the accuracies."""
        found = {f"{one.features}.{one.head}": one for one in self.record.cross_validation}
        return Results("cross-validation", found)

    @cached_property
    def latency(self) -> Results[LatencyResult]:
        """Timings: ``run.latency["single"]``, ``run.latency["offline batch 32"]``."""
        return Results("timing", _named_timings(self.record.latency))

    @cached_property
    def predictions(self) -> Predictions | None:
        """Labels of the test images and what each head predicted; None if they were not kept.

        Raises
        ------
        ResultError
            If the saved predictions are damaged or belong to another run.
        """
        if self._arrays is not None:
            return pack_predictions(self._arrays) if self._arrays else None
        found = None if self.folder is None else read_predictions(self.folder)
        if found is not None:
            check_predictions(self.record, found)
        return found

    @property
    def images(self) -> RunImages | None:
        """Names, confidences, thumbnails and a map of the test images; None if they were not kept.

        Raises
        ------
        ResultError
            If the saved files are damaged.
        """
        if self._images is None and self.folder is not None:
            self._images = read_images(self.folder)
        return self._images

    def save(self, folder: str | Path = "runs", *, html: bool = True) -> Path:
        """Save the run, so that ``tlbench report last`` and `tlbench.load_run` find it.

        Parameters
        ----------
        folder : str or Path
            Folder of runs; it is made if it is missing.
        html : bool
            Whether to write the report as a page as well.

        Returns
        -------
        Path
            ``folder/<id>``, with ``run.json``, ``predictions.npz``, what was kept of the test
            images, and ``report.html``.

        Raises
        ------
        StorageError
            If the folder cannot be written, or holds a run of this id.
        """
        arrays = self._arrays
        if arrays is None:
            found = self.predictions
            arrays = {} if found is None else found.arrays
        images = self.images
        self.folder = save_run(self.record, arrays, Path(folder).expanduser(), images)
        if html:  # after the run is safe
            write_atomically(self.folder / "report.html", self.report("html"))
        return self.folder

    def draw_map(self, *, progress: Progress = False) -> bool:
        """Draw the t-SNE map of the test images, for the page: seconds to a minute, once.

        A run draws the quick map of PCA only. The t-SNE map is kept in the cache and in the run's
        folder.

        Parameters
        ----------
        progress : bool or Listener
            True shows progress bars.

        Returns
        -------
        bool
            Whether the run has a t-SNE map now. It has none if openTSNE is not installed
            (``pip install 'tlbench[report]'``), if the features are no longer in the cache, or if
            there are fewer than 45 test images.
        """
        images = self.images
        if images is None:
            return False
        if not images.has_tsne:
            from tlbench.workflows import draw_map  # seconds of imports

            drawn = draw_map(self.record, images, listener_of(progress))
            if drawn is not images:
                self._images = images = drawn
                if self.folder is not None:
                    drawn.save(self.folder)
        return images.has_tsne

    def plot(self, kind: str, file: str | Path, *, thumbnails: bool = False) -> Path:
        """Draw one figure of the run into a file; the same run gives the same bytes.

        Parameters
        ----------
        kind : {"embedding", "confusion", "misclassified", "latency", "curve"}
            The map of the features; the confusion matrix; misclassified images; each timing; or
            learning curves, training curves and folds. ``"pareto"`` needs a comparison or a sweep.
        file : str or Path
            The file, which is replaced: ``.svg``, ``.png`` or ``.pdf``.
        thumbnails : bool
            Whether an embedding shows images in place of points where they have room.

        Returns
        -------
        Path
            The file.

        Raises
        ------
        UnknownNameError, ConfigError
            If there is no such plot, or *file* has another suffix.
        ResultError
            If the run has not what the plot shows; the message says how to get it.
        MissingDependencyError
            If matplotlib is not installed: ``pip install 'tlbench[report]'``.

        Examples
        --------
        >>> run = tlbench.evaluate(heads="softmax", limit_train=100, limit_test=60)
        >>> run.plot("confusion", "confusion.svg").name
        'confusion.svg'
        """
        from tlbench.reports import check_plot, check_plot_file, run_plot

        check_plot(kind, thumbnails=thumbnails)
        suffix = check_plot_file(file)
        predictions, images = self.predictions, self.images
        content = run_plot(kind, suffix, self.record, predictions, images, thumbnails=thumbnails)
        return write_plot(file, content)

    def save_baseline(
        self,
        file: str | Path,
        *,
        entries: Sequence[str] = ("backbone*.*",),
        latency: bool = True,
        force: bool = False,
    ) -> Path:
        """Write the small file that `tlbench.check_gate` holds later runs against.

        Parameters
        ----------
        file : str or Path
            The file, which belongs in version control.
        entries : sequence of str
            Which predictions to keep: names as in `accuracy`, or shell patterns.
        latency : bool
            Whether to keep the timings.
        force : bool
            Whether to replace an existing file.
        """
        from tlbench.gate import make_baseline
        from tlbench.records import save_baseline

        destination = Path(file).expanduser()
        made = make_baseline(self.compared(), entries=tuple(entries), latency=latency)
        save_baseline(made, destination, force=force)
        return destination

    def compared(self) -> ComparedRun:
        """Return the run as comparisons and gates take it."""
        from tlbench.compare import ComparedRun

        kept = self.predictions if self._arrays else None
        return ComparedRun(run=self.record, folder=self.folder, predictions=kept)

    def report(
        self, report_format: str = "console", *, width: int = 80, color: bool = False
    ) -> str:
        """Return the run's report as text.

        Parameters
        ----------
        report_format : str
            ``"console"``, ``"html"``, ``"json"`` or another that ``tlbench list renderers`` names.
        width, color : int, bool
            Columns to use, and whether to write terminal colours.
        """
        from tlbench.reports import RENDERERS

        location = None if self.folder is None else str(self.folder)
        if report_format == "html":  # with what is in memory of a run that is not saved
            from tlbench.reports import run_page

            return run_page(self.record, location, self.predictions, self.images)
        render = RENDERERS.load(report_format)
        return render(self.record, location=location, width=width, color=color)

    def __str__(self) -> str:
        return self.report()

    def __repr__(self) -> str:
        card, data = self.record.model.card, self.record.dataset
        about = [card.backbone if card else self.record.model.path_name]
        about += [f"on {data.name}"] if data else []
        figures = [f"{name} {_percent(one)}" for name, one in self.accuracy.items()]
        figures += [f"{name} {_milliseconds(one)}" for name, one in self.latency.items()]
        return f"Run({', '.join([self.id, ' '.join(about), *figures])})"

    def _repr_html_(self) -> str:
        from tlbench.reports import run_fragment

        return run_fragment(self.record, None if self.folder is None else str(self.folder))


def _percent(result: AccuracyResult) -> str:
    from tlbench.core.units import format_percent

    return format_percent(result.accuracy_fraction)


def _milliseconds(result: LatencyResult) -> str:
    from tlbench.core.units import format_seconds

    return format_seconds(result.median_s)


def _named_timings(timings: Sequence[LatencyResult]) -> dict[str, LatencyResult]:
    """Return timings under the shortest name that no other has."""
    levels = [_timing_names(one) for one in timings]
    counts = Counter(name for names in levels for name in names)
    return {
        next((name for name in names if counts[name] == 1), names[-1]): one
        for names, one in zip(levels, timings, strict=True)
    }


def _timing_names(one: LatencyResult) -> list[str]:
    names = [one.scenario, f"{one.scenario} batch {one.batch_size}"]
    names.append(f"{names[-1]} {one.boundary}")
    return names if one.label is None else [f"{one.label}: {name}" for name in names]


class Comparison:
    """Runs held against the first of them.

    Attributes
    ----------
    record : `tlbench.records.Comparison`
        Every figure of the comparison.
    """

    def __init__(self, record: ComparisonRecord, runs: Sequence[RunResult] = ()) -> None:
        self.record = record
        self._runs = tuple(runs)

    @property
    def accuracy(self) -> tuple[AccuracyDifference, ...]:
        """Differences in accuracy from the first run, image by image where that is possible."""
        return self.record.accuracy

    @property
    def speed_ups(self) -> tuple[SpeedUp, ...]:
        """Speed relative to the first run, with confidence intervals."""
        return self.record.speed_ups

    def plot(self, kind: str, file: str | Path) -> Path:
        """Draw ``"pareto"``, the accuracy of the runs against their time, into a file.

        Parameters
        ----------
        kind : {"pareto"}
            The only plot of several runs.
        file : str or Path
            The file, which is replaced: ``.svg``, ``.png`` or ``.pdf``.

        Raises
        ------
        UnknownNameError, ConfigError
            If there is no such plot, or *file* has another suffix.
        ResultError
            If fewer than two runs have an accuracy and a timing of single images.
        MissingDependencyError
            If matplotlib is not installed: ``pip install 'tlbench[report]'``.
        """
        from tlbench.reports import check_plot_file, pareto_figure, pareto_plot

        check_pareto(kind)
        suffix = check_plot_file(file)
        letters = (one.letter for one in self.record.runs)
        figure = pareto_figure(list(zip(letters, self._runs, strict=True)))
        return write_plot(file, pareto_plot(figure, suffix))

    def report(
        self, report_format: str = "console", *, width: int = 80, color: bool = False
    ) -> str:
        """Return the comparison: ``"console"``, ``"html"``, ``"json"`` or ``"markdown"``."""
        from tlbench.reports import (
            comparison_document,
            comparison_markdown,
            comparison_page,
            render_comparison,
        )

        formats: dict[str, Callable[[ComparisonRecord], str]] = {
            "console": lambda one: render_comparison(one, width=width, color=color),
            "html": lambda one: comparison_page(one, self._runs),
            "json": comparison_document,
            "markdown": comparison_markdown,
        }
        return chosen_format(formats, report_format)(self.record)

    def __str__(self) -> str:
        return self.report()

    def __repr__(self) -> str:
        runs = ", ".join(run.id for run in self.record.runs)
        n_results = len(self.accuracy) + len(self.speed_ups)
        return f"Comparison({runs}: {n_results} results compared)"

    def _repr_html_(self) -> str:
        from tlbench.reports import comparison_fragment

        return comparison_fragment(self.record)


class Verdict:
    """A gate's verdict; it is true if the run passed, so that a test can assert it.

    Attributes
    ----------
    record : `tlbench.records.GateVerdict`
        Every rule that was applied, and the smallest drop that could have been detected.
    """

    def __init__(self, record: GateVerdict) -> None:
        self.record = record

    @property
    def passed(self) -> bool:
        """Whether the run passed."""
        return self.record.passed

    @property
    def failures(self) -> tuple[GateCheck, ...]:
        """The rules that the run broke."""
        return tuple(check for check in self.record.checks if check.outcome == "fail")

    def __bool__(self) -> bool:
        return self.passed

    def report(
        self, report_format: str = "console", *, width: int = 80, color: bool = False
    ) -> str:
        """Return the verdict as text: ``"console"``, ``"json"``, ``"junit"`` or ``"markdown"``."""
        from tlbench.reports import (
            render_verdict,
            verdict_document,
            verdict_junit,
            verdict_markdown,
        )

        formats: dict[str, Callable[[GateVerdict], str]] = {
            "console": lambda one: render_verdict(one, width=width, color=color),
            "json": verdict_document,
            "junit": verdict_junit,
            "markdown": verdict_markdown,
        }
        return chosen_format(formats, report_format)(self.record)

    def __str__(self) -> str:
        return self.report()

    def __repr__(self) -> str:
        reasons = "; ".join(f"{one.subject}: {one.text}" for one in self.failures)
        return f"Verdict({'passed' if self.passed else f'failed: {reasons}'})"

    def _repr_html_(self) -> str:
        from tlbench.reports import verdict_fragment

        return verdict_fragment(self.record)


def check_pareto(kind: str) -> None:
    """Raise an error for any plot that several runs, or a sweep, do not have."""
    from tlbench.reports import check_plot

    check_plot(kind)
    if kind != "pareto":
        raise ConfigError(
            f"The plot {kind} shows one run, but there are several. Plot each run by itself, or "
            "plot pareto."
        )


def write_plot(file: str | Path, content: bytes) -> Path:
    """Replace the file of a plot."""
    path = Path(file).expanduser()
    write_atomically(path, content)
    return path


def chosen_format(formats: Mapping[str, Callable[[Any], str]], name: str) -> Callable[[Any], str]:
    """Return the function of the format *name*; raise UnknownNameError if there is none."""
    if name not in formats:
        raise unknown_name("format", name, list(formats))
    return formats[name]
