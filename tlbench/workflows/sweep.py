"""A grid of cells, measured so that it can be stopped anywhere: accuracy first, then latency."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TypeAlias

from tlbench import __version__
from tlbench.compare import MeasuredCell, find_cell, open_cells, summarise
from tlbench.core.errors import ConfigError, MeasurementError, ResultError, StorageError, one_line
from tlbench.core.hashing import sha256_value
from tlbench.core.progress import Listener, Silent
from tlbench.datasets import Dataset
from tlbench.engine import check_provider, onnxruntime_facts
from tlbench.machine import Environment, capture_environment, loaded_libraries
from tlbench.records import (
    CellSettings,
    LatencyResult,
    RunResult,
    Sweep,
    SweepCell,
    SweepFailure,
    SweepFolder,
    save_run,
)
from tlbench.workflows.run import MeasuredTiming, record_of
from tlbench.workflows.steps.accuracy import measure_accuracy
from tlbench.workflows.steps.context import RunContext, cache_folder, load_limited_dataset
from tlbench.workflows.steps.heads import ChosenHeads
from tlbench.workflows.steps.rounds import Rounds, TimedPoint, TimedRound, read_rounds
from tlbench.workflows.steps.timed_model import latency_inputs
from tlbench.workflows.steps.warnings import run_warnings
from tlbench.workflows.sweep_config import SweepConfig, cell_names

Phase: TypeAlias = Literal["accuracy", "latency"]
Command: TypeAlias = Callable[[SweepConfig, Path], str]
"""Returns the command line that makes a sweep in a folder."""

# Another of these makes other figures: then a sweep does not go on with what it had.
_SAME = ("machine", "cpu", "cpus_usable", "cpu_quota", "os", "onnxruntime_build")
_SAME_LIBRARIES = ("onnxruntime-gpu", "onnxruntime", "numpy", "scikit-learn", "scipy")


def run_sweep(
    config: SweepConfig,
    folder: Path,
    listener: Listener | None = None,
    *,
    against: str | None = None,
    command: Command | None = None,
) -> Sweep:
    """Measure every cell of the grid, or go on where an earlier call was stopped.

    Parameters
    ----------
    config : SweepConfig
        The grid, and what all cells share. Names are resolved before any work begins.
    folder : Path
        Where the sweep is kept: new, empty, or with this same sweep.
    against : str or None
        The cell that the others are compared with, as for `tlbench.compare.find_cell`.
    command : callable or None
        Gives the command line that repeats a sweep, for the records.

    Returns
    -------
    Sweep
        The content of ``sweep.json``. A cell that could not be measured is in it with the reason.

    Raises
    ------
    TlbenchError
        If the settings are wrong, the data cannot be loaded, the folder holds something else or
        cannot be written, or no cell could be measured.
    """
    config.check_names()
    return _Measurement(
        config, SweepFolder(folder), listener or Silent(), against, command or (lambda *_: "")
    ).run()


class _Measurement:
    """One start of a sweep; what is finished in the folder is left as it is."""

    def __init__(
        self,
        config: SweepConfig,
        folder: SweepFolder,
        listener: Listener,
        against: str | None,
        command: Command,
    ) -> None:
        self.config, self.folder, self.listener = config, folder, listener
        self.against, self.command = against, command
        self.cells = config.cells()
        self.names = dict(zip(self.cells, cell_names(self.cells.values()), strict=True))
        self.told: set[str] = set()  # reasons of failures that the listener knows
        if against is not None:  # a wrong name costs no time
            find_cell(self._pending(), against)

    def run(self) -> Sweep:
        """Do what is missing, and summarise all."""
        with self.folder.locked():
            before = self._begun()
            if before is None or not self._is_finished():
                before = self._measure(before)
            sweep = self._summary(before)
            self.folder.write(sweep)
        if not any(cell.figures for cell in sweep.cells):
            first = sweep.cells[0]
            raise MeasurementError(
                f"None of the {len(sweep.cells)} cells could be measured. The first, {first.name}: "
                f"{first.reason}"
            )
        return sweep

    def _pending(self) -> tuple[SweepCell, ...]:
        return tuple(
            SweepCell(id=key, name=self.names[key], settings=cell)
            for key, cell in self.cells.items()
        )

    def _begun(self) -> Sweep | None:
        """Return what the folder holds of this sweep; raise StorageError if it is another one."""
        if not self.folder.has_sweep():
            self.folder.check_empty()
            return None
        before = self.folder.read()
        if before.id != self._id:
            raise StorageError(
                f"{self.folder.path} holds another sweep: {_differences(before, self.config)}. "
                "Pass another folder, or the settings of that sweep to go on with it."
            )
        return before

    @property
    def _id(self) -> str:
        return sha256_value(sorted(self.cells))[:12]

    def _is_finished(self) -> bool:
        """Return whether every cell is measured or failed."""
        return all(self._is_failed(key) or self._is_timed(key) for key in self.cells)

    def _is_failed(self, key: str) -> bool:
        try:
            return self.folder.failure_of(key) is not None
        except ResultError as error:
            self._remove(key, error)
            return False

    def _run_of(self, key: str) -> RunResult | None:
        """Return the run of a cell, timed or not; None if it has none that can be used."""
        try:
            found = self.folder.run_of(key)
        except ResultError as error:
            self._remove(key, error)
            return None
        return found[0] if found else None

    def _is_timed(self, key: str) -> bool:
        run = self._run_of(key)
        return run is not None and run.complete

    def _remove(self, key: str, error: ResultError) -> None:
        self.listener.warn(f"The cell {key} ({self.names[key]}) is measured again: {error}")
        self.folder.discard(self.folder.cells / key)

    def _measure(self, before: Sweep | None) -> Sweep:
        build, providers = onnxruntime_facts()
        environment = capture_environment(
            onnxruntime_build=build, providers=providers, loaded=loaded_libraries()
        )
        if before is not None:
            _check_same(before, environment, self.folder.path)
        with cache_folder(self.config.base) as cache_dir:
            dataset = load_limited_dataset(self.config.base, self.listener)
            before = before or self._plan(dataset, environment)
            if dataset.fingerprint != before.fingerprint:
                raise StorageError(
                    f"The images of {dataset.name} are others than when the sweep in "
                    f"{self.folder.path} was begun. Pass another folder."
                )
            for key, cell in self.cells.items():
                if not self._is_failed(key) and self._run_of(key) is None:
                    with self._failures(key, "accuracy"):
                        self._measure_accuracy(key, cell, dataset, cache_dir)
            starts = self._time(dataset, cache_dir)
        return replace(before, starts=max(before.starts, starts))

    def _plan(self, dataset: Dataset, environment: Environment) -> Sweep:
        """Write down what is going to be measured."""
        sweep = Sweep(
            id=self._id,
            created_at=datetime.now(UTC).isoformat(timespec="seconds"),
            tlbench_version=__version__,
            command=self.command(self.config, self.folder.path),
            settings=self.config.settings,
            environment=environment,
            dataset=dataset.name,
            fingerprint=dataset.fingerprint,
            n_train=len(dataset.train),
            n_test=len(dataset.test),
            cells=self._pending(),
        )
        self.folder.write(sweep)
        return sweep

    @contextmanager
    def _failures(self, key: str, phase: Phase) -> Iterator[None]:
        """Record an error of the block as the cell's; storage that fails ends the sweep."""
        try:
            yield
        except StorageError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever an exporter or a head raises
            self.listener.finish()
            self._fail([key], phase, error)

    def _fail(self, keys: list[str], phase: Phase, error: Exception) -> None:
        reason = one_line(error) or type(error).__name__
        for key in keys:
            failure = SweepFailure(
                id=key,
                settings=self.cells[key],
                failed_at=datetime.now(UTC).isoformat(timespec="seconds"),
                phase=phase,
                reason=reason,
            )
            self.folder.write_failure(failure)
            if reason not in self.told:  # of an absent provider once, and not for every cell
                self.told.add(reason)
                self.listener.warn(f"The cell {key} ({self.names[key]}) failed: {reason}")

    def _measure_accuracy(
        self, key: str, cell: CellSettings, dataset: Dataset, cache_dir: Path
    ) -> None:
        """Save the run of a cell without its timing, marked as incomplete."""
        created, config = datetime.now(UTC), self.config.run_config(cell)
        path = self.folder.path
        check_provider(config.provider)
        heads = ChosenHeads.of(config)
        with RunContext(config, self.listener, cache_dir, dataset) as context:
            accuracy = measure_accuracy(context, heads)
            run = record_of(
                context,
                created,
                command=self.command(self.config.only(cell), path.with_name(f"{path.name}-{key}")),
                accuracy=accuracy,
                timing=MeasuredTiming(complete=False),
            )
        self.folder.discard(self.folder.cells / key)
        save_run(replace(run, id=key), accuracy.predictions, self.folder.cells)

    def _time(self, dataset: Dataset, cache_dir: Path) -> int:
        """Time all networks in rounds and complete the runs; return how often that was begun."""
        runs = {key: run for key in self.cells if (run := self._run_of(key))}
        if not runs or all(run.complete for run in runs.values()):
            return 0
        who = self._points(runs, dataset, cache_dir)
        self._check_rounds({point.key for point in who}, runs)
        keys_of = {point.key: keys for point, keys in who.items()}

        def fail(point: TimedPoint, error: Exception) -> None:
            self._fail(keys_of[point.key], "latency", error)

        with Rounds(list(who), self.folder.rounds, on_failure=fail) as rounds:
            timed = rounds.time(self.config.rounds, self.listener)
            starts = max((one.start for one in timed), default=0)
            waiting = [p.key for p, keys in who.items() if not all(runs[k].complete for k in keys)]
            for point, result in rounds.results(timed, waiting, self.listener):
                for key in keys_of[point]:
                    self.folder.replace_run(self._completed(runs[key], result, starts, len(who)))
        return starts

    def _points(
        self, runs: Mapping[str, RunResult], dataset: Dataset, cache_dir: Path
    ) -> dict[TimedPoint, list[str]]:
        """Return what is timed, each with the cells that share its timing."""
        points: dict[str, TimedPoint] = {}
        keys_of: dict[str, list[str]] = {}
        for key, run in runs.items():
            cell = self.cells[key]
            name = f"{run.model.sha256[:16]}-{cell.provider}-{cell.batch_size}"
            if name not in points:
                with self._failures(key, "latency"):
                    points[name] = self._point(name, key, run, dataset, cache_dir)
            if name in points:
                keys_of.setdefault(name, []).append(key)
        return {point: keys_of[name] for name, point in points.items()}

    def _point(
        self, name: str, key: str, run: RunResult, dataset: Dataset, cache_dir: Path
    ) -> TimedPoint:
        config = self.config.run_config(self.cells[key])
        with RunContext(config, self.listener, cache_dir, dataset) as context:
            model = context.model
        if model.sha256 != run.model.sha256:
            raise ConfigError(
                f"The export of {config.model} is another file than when its accuracy was measured."
            )
        inputs = latency_inputs(model, dataset.test.images)
        return TimedPoint(key=name, config=config, model=model, inputs=inputs)

    def _check_rounds(self, needed: set[str], runs: dict[str, RunResult]) -> None:
        """Discard rounds that some network did not take part in: it would be timed alone."""
        try:
            rounds: list[TimedRound] | None = read_rounds(self.folder.rounds)
        except ResultError as error:
            self.listener.warn(str(error))
            rounds = None
        if rounds is not None and all(needed <= one.blocks.keys() for one in rounds):
            return
        self.listener.warn(
            "All networks are timed again in the same rounds, so that they can be compared."
        )
        for key, run in runs.items():
            if run.complete:
                runs[key] = replace(run, complete=False, latency=())
                self.folder.replace_run(runs[key])
        self.folder.discard(self.folder.rounds)

    def _completed(
        self, run: RunResult, result: LatencyResult, starts: int, n_points: int
    ) -> RunResult:
        config = self.config.run_config(self.cells[run.id])
        warnings = run_warnings(config, None, (result,))
        if starts > 1:
            interrupted = (
                f"the timing was interrupted: its {self.config.rounds} rounds were measured in "
                f"{starts} parts, between which the machine may have changed, for all {n_points} "
                "networks alike"
            )
            warnings = (*warnings, interrupted)
        effective = run.config.effective | {"latency_batch_sizes": [result.batch_size]}
        return replace(
            run,
            config=replace(run.config, effective=effective),
            latency=(result,),
            complete=True,
            warnings=tuple(dict.fromkeys((*run.warnings, *warnings))),
        )

    def _summary(self, before: Sweep) -> Sweep:
        cells = []
        for cell in self._pending():
            if failure := self.folder.failure_of(cell.id):
                cells.append(replace(cell, state="failed", reason=failure.reason))
            else:
                cells.append(replace(cell, state="measured"))
        sweep = replace(before, cells=tuple(cells), complete=True)
        measured: dict[str, MeasuredCell] = open_cells(self.folder, sweep)
        against = self.against
        if against is not None and measured:
            try:
                find_cell(sweep.cells, against)
            except ConfigError as error:
                self.listener.warn(f"{error} The cells are compared with the first backbone's.")
                against = None
        return summarise(sweep, measured, against)


def _differences(before: Sweep, config: SweepConfig) -> str:
    """Return which settings differ, in words."""
    now = config.settings
    names = [name for name in now if now[name] != before.settings.get(name)]
    found = [f"{name} is {before.settings.get(name)} there and {now[name]} here" for name in names]
    return "; ".join(found) or "the model files have another content"


def _check_same(before: Sweep, environment: Environment, folder: Path) -> None:
    """Raise StorageError if the sweep was begun on another machine or with other software."""
    there, here = before.environment, environment
    pairs: list[tuple[str, Any, Any]] = [("tlbench", before.tlbench_version, __version__)]
    pairs += [(name, getattr(there, name), getattr(here, name)) for name in _SAME]
    pairs += [
        (name, there.libraries.get(name), here.libraries.get(name)) for name in _SAME_LIBRARIES
    ]
    pairs.append(("gpus", [gpu.name for gpu in there.gpus], [gpu.name for gpu in here.gpus]))
    if found := [f"{name} was {one}, and is {two}" for name, one, two in pairs if one != two]:
        raise StorageError(
            f"The sweep in {folder} was begun elsewhere: {'; '.join(found)}. Its cells would not "
            "be comparable. Pass another folder."
        )
