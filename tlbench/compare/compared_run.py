"""A run as one side of a comparison: all of it, or one candidate of several."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from string import ascii_uppercase
from typing import TypeVar

from tlbench.core.errors import ComparisonError, ResultError
from tlbench.records import AccuracyResult, LatencyResult, ModelInfo, RunResult, find_run, read_run

_SEPARATOR = "#"

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedRun:
    """A saved run, or with *label* what one candidate of it did.

    Attributes
    ----------
    label : str or None
        One of the run's models under test; None for the whole run.
    folder : Path or None
        Where its ``run.json`` is, and perhaps its ``predictions.npz``.
    """

    run: RunResult
    label: str | None = None
    folder: Path | None = None

    @property
    def name(self) -> str:
        """How to write this side on the command line."""
        return self.run.id if self.label is None else f"{self.run.id}{_SEPARATOR}{self.label}"

    @property
    def timings(self) -> tuple[LatencyResult, ...]:
        """The timings to compare; those of a chosen candidate lose their label."""
        if self.label is None:
            return self.run.latency
        mine = (result for result in self.run.latency if result.label == self.label)
        return tuple(replace(result, label=None) for result in mine)

    @property
    def accuracy(self) -> tuple[AccuracyResult, ...]:
        """The accuracies to compare."""
        return self.run.accuracy

    @property
    def labels(self) -> tuple[str, ...]:
        """The models under test among the timings to compare; none where there is only one."""
        found = (result.label for result in self.timings)
        return tuple(dict.fromkeys(label for label in found if label is not None))

    def model_of(self, label: str | None = None) -> ModelInfo:
        """Return the model behind a timing of *label*.

        Raises
        ------
        ResultError
            If the run does not say which model it was.
        """
        wanted = self.label or label
        if wanted is None:
            return self.run.model
        for candidate in self.run.models_under_test:
            if candidate.label == wanted:
                return candidate.model
        raise ResultError(f"Run {self.run.id} times {wanted!r} and does not say which model it is.")

    def check(self) -> None:
        """Refuse a run of which nothing can be computed.

        Raises
        ------
        ResultError
            If a timing is there twice, or has no samples or impossible ones.
        """
        names = [timing_name(result) for result in self.timings]
        names += [accuracy_name(one) for one in self.accuracy]
        if twice := _first_repeated(names):
            raise ResultError(f"Run {self.run.id} is damaged: it holds {twice} twice.")
        for name, result in zip(names, self.timings, strict=False):
            samples = result.samples_s
            if not samples or not all(0 < sample < float("inf") for sample in samples):
                msg = (
                    f"Run {self.run.id} is damaged: {name} has "
                    f"{'samples that are no times' if samples else 'no samples'}."
                )
                raise ResultError(msg)


def _first_repeated(names: Iterable[_T]) -> _T | None:
    seen = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None


def open_compared_run(name: str, output: Path) -> ComparedRun:
    """Read the run that *name* means; ``RUN#LABEL`` is one candidate of a run.

    Parameters
    ----------
    name : str
        A run as `tlbench.records.find_run` takes it, and if that finds nothing, one with a label.
    output : Path
        Folder that runs are saved in.

    Raises
    ------
    ResultError
        If there is no such run, or it cannot be read.
    ComparisonError
        If the run has no such candidate.
    """
    try:
        return ComparedRun(run=read_run(name, output), folder=find_run(name, output).parent)
    except ResultError:
        run_name, separator, label = name.partition(_SEPARATOR)  # a label may hold another "#"
        if not separator:
            raise
        run = read_run(run_name, output)
    labels = tuple(dict.fromkeys(result.label for result in run.latency if result.label))
    if label not in labels:
        found = ", ".join(labels) or "none: it measured one model by itself"
        raise ComparisonError(
            f"Run {run.id} has no candidate {label!r}. Its models under test: {found}."
        )
    return ComparedRun(run=run, label=label, folder=find_run(run_name, output).parent)


def letter_of(position: int) -> str:
    """Return what a comparison calls the run at *position*: A, B, ... Z, 26, ..."""
    return ascii_uppercase[position] if position < len(ascii_uppercase) else str(position)


def accuracy_name(result: AccuracyResult) -> str:
    """Return ``softmax on backbone``, with the precision it was fitted on where that differs."""
    name = f"{result.head} on {result.features}"
    return f"{name}, fitted on {result.fitted_on}" if result.fitted_on else name


def timing_name(result: LatencyResult) -> str:
    """Return ``single, batch 1, numpy->numpy``, behind the candidate's label if there is one."""
    prefix = f"{result.label}: " if result.label else ""
    return f"{prefix}{result.scenario}, batch {result.batch_size}, {result.boundary}"
