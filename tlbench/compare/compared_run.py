"""A saved run as a comparison sees it: the whole run, or one of its models under test."""

from dataclasses import dataclass, replace
from pathlib import Path
from string import ascii_uppercase

from tlbench.core.errors import ComparisonError, ResultError
from tlbench.records import (
    AccuracyResult,
    LatencyResult,
    ModelInfo,
    Predictions,
    RunResult,
    check_predictions,
    find_run,
    read_predictions,
    read_run,
)

_SEPARATOR = "#"


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedRun:
    """A saved run, or with a label the part of it that one model under test did."""

    run: RunResult
    label: str | None = None
    folder: Path | None = None  # that holds its run.json, and perhaps its predictions.npz
    predictions: Predictions | None = None  # of a run that is not saved

    @property
    def name(self) -> str:
        """How to write it on the command line."""
        return self.run.id if self.label is None else f"{self.run.id}{_SEPARATOR}{self.label}"

    @property
    def timings(self) -> tuple[LatencyResult, ...]:
        """The timings to compare; those of one chosen model lose their label."""
        if self.label is None:
            return self.run.latency
        chosen = (result for result in self.run.latency if result.label == self.label)
        return tuple(replace(result, label=None) for result in chosen)

    @property
    def accuracy(self) -> tuple[AccuracyResult, ...]:
        """The accuracies to compare."""
        return self.run.accuracy

    @property
    def labels(self) -> tuple[str, ...]:
        """The models under test among the timings to compare; none if there is only one model."""
        return tuple(dict.fromkeys(one.label for one in self.timings if one.label is not None))

    def model_of(self, label: str | None = None) -> ModelInfo:
        """Return the model that a timing of *label* is of; raise ResultError if it is unknown."""
        wanted = self.label or label
        if wanted is None:
            return self.run.model
        for candidate in self.run.models_under_test:
            if candidate.label == wanted:
                return candidate.model
        msg = f"Run {self.run.id} is damaged: it does not say which model {wanted!r} is."
        raise ResultError(msg)

    def check(self) -> None:
        """Raise ResultError if a result is there twice, or has no samples or impossible ones."""
        timings = [timing_name(result) for result in self.timings]
        names = [*timings, *map(accuracy_name, self.accuracy)]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise ResultError(f"Run {self.run.id} is damaged: it holds {twice} twice.")
        for name, result in zip(timings, self.timings, strict=True):
            samples = result.samples_s
            if not samples or not all(0 < sample < float("inf") for sample in samples):
                wrong = "samples that are not times" if samples else "no samples"
                raise ResultError(f"Run {self.run.id} is damaged: {name} has {wrong}.")


def open_compared_run(name: str, output: Path) -> ComparedRun:
    """Return the run that *name* stands for as in `find_run`, or one model of it: ``RUN#LABEL``."""
    try:
        return ComparedRun(run=read_run(name, output), folder=find_run(name, output).parent)
    except ResultError:
        run_name, separator, label = name.partition(_SEPARATOR)  # a label may hold another "#"
        if not separator:
            raise
        run = read_run(run_name, output)
    labels = ComparedRun(run=run).labels
    if label not in labels:
        found = ", ".join(labels) or "none, because it measured a single model"
        msg = f"Run {run.id} has no candidate {label!r}. Its models under test: {found}."
        raise ComparisonError(msg)
    return ComparedRun(run=run, label=label, folder=find_run(run_name, output).parent)


def predictions_of(compared: ComparedRun) -> Predictions | None:
    """Return the checked predictions of a run; None if they were not saved or not copied."""
    if compared.predictions is not None:
        return compared.predictions
    if compared.folder is None or not compared.accuracy:
        return None
    found = read_predictions(compared.folder)
    if found is not None:
        check_predictions(compared.run, found)
    return found


def letter_of(position: int) -> str:
    """Return what a comparison calls the run at *position*: A, B, ... Z, 26, ..."""
    return ascii_uppercase[position] if position < len(ascii_uppercase) else str(position)


def accuracy_name(result: AccuracyResult) -> str:
    """Return ``softmax on backbone``, with the precision it was fitted on where that differs."""
    name = f"{result.head} on {result.features}"
    return f"{name}, fitted on {result.fitted_on}" if result.fitted_on else name


def timing_name(result: LatencyResult) -> str:
    """Return ``single, batch 1, numpy->numpy``, after the model's label if there is one."""
    prefix = f"{result.label}: " if result.label else ""
    return f"{prefix}{result.scenario}, batch {result.batch_size}, {result.boundary}"
