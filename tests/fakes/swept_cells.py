"""Sweeps that nobody measured: cells with planted accuracies and times."""

import dataclasses
import functools
from pathlib import Path

import numpy as np

from tlbench.compare import MeasuredCell, summarise
from tlbench.compare.cells import figures_of
from tlbench.records import (
    CellSettings,
    Interval,
    Predictions,
    Sweep,
    SweepCell,
    decode_run,
)
from tlbench.stats import wilson_interval

GOLDEN = Path(__file__).parents[1] / "golden"
RUN = decode_run((GOLDEN / "run-simple.json").read_bytes(), "run-simple.json")
replace = dataclasses.replace


_wilson = functools.cache(wilson_interval)


def rounds(median_s, *, n_rounds=30, per_round=5, noise=0.05, phase=0.03, seed=0, shared=None):
    """Return seconds of calls by round: lognormal, with a factor that a whole round shares."""
    rng = np.random.default_rng(seed)
    phases = rng.normal(0, phase, n_rounds) if shared is None else shared
    calls = rng.normal(0, noise, (n_rounds, per_round))
    return median_s * np.exp(phases[:, None] + calls)


def predictions(accuracies, *, n_images=1000, agreement=0.8, seed=0):
    """Return labels, and predictions of each accuracy whose mistakes partly agree."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 10, n_images)
    common = rng.random(n_images)
    found = []
    for accuracy in accuracies:
        own = np.where(rng.random(n_images) < agreement, common, rng.random(n_images))
        found.append(np.where(own < accuracy, labels, (labels + 1) % 10))
    return labels, found


def cell(name, labels, predicted, times, *, batch_size=1, size_bytes=1000, **latency):
    """Return a cell as its folder would hold it; *times* has shape (rounds, calls)."""
    n_correct, n_test = int((labels == predicted).sum()), len(labels)
    low, high = _wilson(n_correct, n_test)
    accuracy = replace(
        RUN.accuracy[0],
        features="backbone",
        head="softmax",
        baseline=False,
        fitted_on=None,
        n_test=n_test,
        n_correct=n_correct,
        accuracy_fraction=n_correct / n_test,
        interval=Interval(low=low, high=high, method="wilson"),
    )
    timing = replace(
        RUN.latency[0],
        scenario="single" if batch_size == 1 else "offline",
        batch_size=batch_size,
        samples_s=tuple(map(float, np.ravel(times))),
        block_sizes=(np.shape(times)[1],) * len(times),
        label=None,
        **({"verdict": "VALID", "reasons": (), "checks": ()} | latency),
    )
    run = replace(
        RUN,
        id=name,
        accuracy=(accuracy,),
        latency=(timing,),
        model=replace(RUN.model, size_bytes=size_bytes),
        warnings=(),
    )
    entries = {"backbone.softmax": predicted}
    return MeasuredCell(
        run=run, predictions=Predictions(labels=labels, index=np.arange(n_test), entries=entries)
    )


def swept(cells, *, settings=None, against=None, compared=True):
    """Return the sweep of these cells by id; not *compared* with one another it is made faster."""
    settings = settings or {}
    sweep = Sweep(
        id="simulated",
        created_at="2026-01-01T00:00:00+00:00",
        tlbench_version="0",
        command="tlbench sweep -o swept",
        settings={},
        environment=RUN.environment,
        dataset="simulated",
        fingerprint="0" * 64,
        n_train=100,
        n_test=1000,
        cells=tuple(
            SweepCell(
                id=name,
                name=f"network {name}",
                state="measured",
                settings=CellSettings(
                    **{
                        "backbone": f"network-{name}",
                        "precision": "fp32",
                        "head": "softmax",
                        "provider": "cpu",
                        "batch_size": one.timing.batch_size,
                    }
                    | settings.get(name, {})
                ),
            )
            for name, one in cells.items()
        ),
        complete=True,
    )
    if compared:
        return summarise(sweep, cells, against)
    filled = tuple(replace(one, figures=figures_of(cells[one.id])) for one in sweep.cells)
    return replace(sweep, cells=filled)
