"""Sweeps in Python: measure a grid of cells, load one again, and pick a cell by a budget."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tlbench.api.backbone import LoadedBackbone
from tlbench.api.progress import Progress, listener_of
from tlbench.api.results import Results, Run, check_pareto, chosen_format, write_plot
from tlbench.api.settings import (
    BaselineLike,
    DatasetLike,
    Folder,
    HeadLike,
    accuracy_settings,
    columns_of,
    folder_settings,
    names_of,
)
from tlbench.compare import Objective, find_cell, pick_cell
from tlbench.core.errors import ConfigError
from tlbench.core.files import write_atomically
from tlbench.heads import ParamValue
from tlbench.model import ExportOptions, Fit
from tlbench.records import Budgets, CellDifference, SweepCell, SweepFolder, read_run
from tlbench.workflows import QUICK_TIMING, RunConfig, SweepConfig

if TYPE_CHECKING:
    from tlbench.records import Pick as PickRecord
    from tlbench.records import RunResult
    from tlbench.records import Sweep as SweepRecord
    from tlbench.workflows import Command


def sweep(
    backbones: str | Path | LoadedBackbone | Sequence[str | Path | LoadedBackbone],
    folder: str | Path,
    *,
    input_sizes: Sequence[int] = (),
    fits: Fit | Sequence[Fit] = (),
    precisions: str | Sequence[str] = ("fp32",),
    heads: HeadLike | Sequence[HeadLike] = ("softmax",),
    providers: str | Sequence[str] = ("cpu",),
    batch_sizes: Sequence[int] = (1,),
    against: str | None = None,
    rounds: int = 30,
    dataset: DatasetLike = "digits",
    path_column: str | None = None,
    label_column: str | None = None,
    split_column: str | None = None,
    head_params: Mapping[str, ParamValue] | None = None,
    baselines: BaselineLike | Sequence[BaselineLike] = ("pixels",),
    crop_fraction: float = 1.0,
    threads: int | None = None,
    limit_train: int | None = None,
    limit_test: int | None = None,
    seed: int = 0,
    strict: bool = False,
    spin: bool = True,
    costs: bool = True,
    data_dir: Folder = None,
    cache_dir: Folder = None,
    cache: bool = True,
    html: bool = True,
    progress: Progress = False,
) -> "Sweep":
    """Measure every combination of settings: a cell each, accuracy first, then latency in rounds.

    A call that was interrupted goes on where it stopped if it is repeated. A cell that cannot be
    measured is kept with the reason, and the others go on.

    Parameters
    ----------
    backbones : str, Path, LoadedBackbone or a sequence of these
        Names of backbones, or paths of ``.onnx`` files.
    folder : str or Path
        Where the sweep is kept: a new or empty folder, or that of this same sweep.
    input_sizes, fits : sequence of int, str or sequence of str
        Network inputs in pixels, and how images become square, for backbones given by name; empty
        for each backbone's own.
    precisions, providers : str or sequence of str
        As for `run`.
    heads : str, Head, scikit-learn classifier, or a sequence of these
        Each head is in cells of its own. Cells that differ in nothing else share a timing.
    batch_sizes : sequence of int
        Images per timed call. Accuracy does not depend on it.
    against : str or None
        The cell that the others are compared with: the id of a cell, or ``"BACKBONE"`` or
        ``"BACKBONE@input_size=128,precision=int8"`` for the one with the largest input among these.
        None for the first backbone.
    rounds : int
        In each round every network is timed for a tenth of a second at least, in a new order.
    dataset, path_column, label_column, split_column, head_params, baselines
        As for `run`.
    crop_fraction, threads, limit_train, limit_test, seed, strict
        As for `run`.
    spin, costs : bool
        As for `measure_latency`.
    data_dir, cache_dir, cache, progress
        As for `run`.
    html : bool
        Whether to write the report into the folder as a page as well: ``report.html``.

    Returns
    -------
    Sweep
        Saved already.

    Raises
    ------
    TlbenchError
        If a name is unknown, the folder holds something else, or no cell can be measured.

    Examples
    --------
    >>> swept = tlbench.sweep(
    ...     "efficientnet-lite0", "sizes", input_sizes=[32, 64], limit_train=200, rounds=8
    ... )
    >>> [cell.name for cell in swept.cells.values()]
    ['32 px', '64 px']
    >>> swept.pick(max_size_bytes=20e6).record.picked in swept.cells
    True
    """
    is_single = isinstance(backbones, str | Path | LoadedBackbone)
    named = [backbones] if is_single or not isinstance(backbones, Iterable) else list(backbones)
    base = RunConfig(
        **accuracy_settings(dataset, heads, head_params, baselines),
        columns=columns_of(path_column, label_column, split_column),
        export=ExportOptions(crop_fraction=crop_fraction),
        threads=threads,
        limit_train=limit_train,
        limit_test=limit_test,
        seed=seed,
        strict=strict,
        timing=replace(QUICK_TIMING, spin=spin, costs=costs),
        cache=cache,
        **folder_settings(data_dir, cache_dir),
    )
    config = SweepConfig(
        backbones=tuple(map(_backbone_name, named)),
        input_sizes=tuple(input_sizes),
        fits=names_of(fits),
        precisions=names_of(precisions),
        heads=base.heads,
        providers=names_of(providers),
        batch_sizes=tuple(batch_sizes),
        rounds=rounds,
        base=base,
    )
    path = Path(folder).expanduser()
    return measure_sweep(config, path, against=against, progress=progress, html=html)


def _backbone_name(backbone: object) -> str:
    if isinstance(backbone, LoadedBackbone):
        return str(backbone.path)
    if not isinstance(backbone, str | Path):
        raise ConfigError(
            f"backbones takes names and paths, got {type(backbone).__name__}. Export a backbone "
            "object first: tlbench.export(backbone, 'FILE.onnx')."
        )
    return str(backbone)


def measure_sweep(
    config: SweepConfig,
    folder: Path,
    *,
    against: str | None = None,
    progress: Progress = False,
    command: "Command | None" = None,
    html: bool = True,
) -> "Sweep":
    """Measure what a configuration asks for; `sweep` and the command line call this."""
    from tlbench.workflows import run_sweep

    listener = listener_of(progress)
    found = Sweep(run_sweep(config, folder, listener, against=against, command=command), folder)
    if html:  # after the sweep is safe
        write_atomically(folder / "report.html", found.report("html"))
    return found


def load_sweep(folder: str | Path) -> "Sweep":
    """Return a saved sweep.

    Parameters
    ----------
    folder : str or Path
        The sweep's folder, or its ``sweep.json``.

    Raises
    ------
    ResultError
        If there is no sweep, or it is damaged.

    Examples
    --------
    >>> _ = tlbench.sweep("efficientnet-lite0", "one", input_sizes=[32], limit_train=200, rounds=6)
    >>> tlbench.load_sweep("one")
    Sweep(one: 1 cell, 1 measured)
    """
    found = SweepFolder.of(folder)
    return Sweep(found.read(), found.path)


class Sweep:
    """A sweep: cells, their figures, and which of them are worth considering.

    Attributes
    ----------
    record : `tlbench.records.Sweep`
        Everything that was found: the content of ``sweep.json``.
    folder : Path
        Where the sweep is saved.
    """

    def __init__(self, record: "SweepRecord", folder: Path) -> None:
        self.record = record
        self.folder = folder

    @property
    def cells(self) -> Results[SweepCell]:
        """All cells by id, those that failed too: ``sweep.cells[id].figures.image_s``."""
        return Results("cell", {cell.id: cell for cell in self.record.cells})

    @property
    def failed(self) -> tuple[SweepCell, ...]:
        """The cells that could not be measured; ``reason`` says why."""
        return tuple(cell for cell in self.record.cells if cell.state == "failed")

    @property
    def front(self) -> tuple[SweepCell, ...]:
        """The cells that no other beats in both accuracy and time, the fastest first."""
        found = [(cell.figures.image_s, cell) for cell in self.record.cells if cell.figures]
        ordered = sorted(found, key=lambda pair: pair[0])
        return tuple(cell for _, cell in ordered if cell.figures and cell.figures.on_front)

    def cell(self, name: str) -> SweepCell:
        """Return a cell by its id, or as *against* of `sweep` names it."""
        return find_cell(self.record.cells, name)

    def run(self, cell: str) -> Run:
        """Return a measured cell, named as for `cell`, as a run."""
        folder = SweepFolder(self.folder).cells / self.cell(cell).id
        return Run(read_run(str(folder), folder.parent), folder=folder)

    def pick(
        self,
        *,
        objective: Objective = "accuracy",
        max_latency_s: float | None = None,
        min_accuracy: float | None = None,
        max_size_bytes: float | None = None,
        max_memory_bytes: float | None = None,
        licences: str | Sequence[str] | None = None,
    ) -> "Pick":
        """Return the best cell that certainly keeps to a budget.

        Parameters
        ----------
        objective : {"accuracy", "latency", "size"}
            What the picked cell is best in; among cells that are tied in accuracy, the fastest is
            picked, and among others the most accurate.
        max_latency_s, min_accuracy : float or None
            Seconds per image, and a fraction. A cell keeps to them if its whole interval does.
        max_size_bytes, max_memory_bytes : float or None
            Of the ONNX file; peak of a process that does nothing else, on host or GPU.
        licences : str, sequence of str or None
            Licences of the weights that are allowed, such as ``"Apache-2.0"``.

        Raises
        ------
        ResultError
            If the sweep is not finished, or a cell is damaged.
        """
        budgets = Budgets(
            max_latency_s=max_latency_s,
            min_accuracy_fraction=min_accuracy,
            max_size_bytes=max_size_bytes,
            max_memory_bytes=max_memory_bytes,
            licences=None if licences is None else names_of(licences),
        )
        return Pick(pick_cell(SweepFolder(self.folder), budgets, objective))

    def plot(self, kind: str, file: str | Path) -> Path:
        """Draw ``"pareto"``, the accuracy of the cells against their time, into a file.

        Parameters and errors are those of `Comparison.plot`.
        """
        from tlbench.reports import check_plot_file, pareto_plot, sweep_pareto_figure

        check_pareto(kind)
        suffix = check_plot_file(file)
        return write_plot(file, pareto_plot(sweep_pareto_figure(self.record), suffix))

    def report(
        self, report_format: str = "console", *, width: int = 80, color: bool = False
    ) -> str:
        """Return the sweep as text: ``"console"``, ``"html"``, ``"json"`` or ``"markdown"``.

        The page shows the runs of all cells, which are read for it.
        """
        from tlbench.reports import render_sweep, sweep_document, sweep_markdown, sweep_page

        location = str(self.folder)
        formats: dict[str, Callable[[SweepRecord], str]] = {
            "console": lambda one: render_sweep(one, location=location, width=width, color=color),
            "html": lambda one: sweep_page(one, self._runs(), location),
            "json": sweep_document,
            "markdown": lambda one: sweep_markdown(one, location),
        }
        return chosen_format(formats, report_format)(self.record)

    def _runs(self) -> dict[str, "RunResult"]:
        """Return the runs of the measured cells by the cells' ids."""
        folder = SweepFolder(self.folder)
        found = ((cell.id, folder.run_of(cell.id)) for cell in self.record.cells if cell.figures)
        return {name: one[0] for name, one in found if one is not None}

    def __str__(self) -> str:
        return self.report()

    def __repr__(self) -> str:
        n_cells = len(self.record.cells)
        n_measured = sum(cell.figures is not None for cell in self.record.cells)
        cells = f"{n_cells} cell{'' if n_cells == 1 else 's'}"
        return f"Sweep({self.folder}: {cells}, {n_measured} measured)"

    def _repr_html_(self) -> str:
        from tlbench.reports import sweep_fragment

        return sweep_fragment(self.record, str(self.folder))


class Pick:
    """The cell that a budget leaves; it is true if there is one.

    Attributes
    ----------
    record : `tlbench.records.Pick`
        Every cell with the intervals that were held against the budget, and what it misses.
    """

    def __init__(self, record: "PickRecord") -> None:
        self.record = record

    @property
    def cell(self) -> SweepCell | None:
        """The picked cell; None if no cell passes."""
        found = (one.cell for one in self.record.cells if one.cell.id == self.record.picked)
        return next(found, None)

    @property
    def ties(self) -> tuple[CellDifference, ...]:
        """The passing cells that no test can tell from the one with the best figure."""
        return self.record.ties

    def __bool__(self) -> bool:
        return self.record.picked is not None

    def report(
        self, report_format: str = "console", *, width: int = 80, color: bool = False
    ) -> str:
        """Return the pick as text: ``"console"`` or ``"json"``."""
        from tlbench.reports import pick_document, render_pick

        formats = {
            "console": lambda one: render_pick(one, width=width, color=color),
            "json": pick_document,
        }
        return chosen_format(formats, report_format)(self.record)

    def __str__(self) -> str:
        return self.report()

    def __repr__(self) -> str:
        return f"Pick({self.cell!r})" if self else "Pick(no cell passes)"

    def _repr_html_(self) -> str:
        from tlbench.reports import pick_fragment

        return pick_fragment(self.record)
