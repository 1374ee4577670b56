"""The command line that repeats a run."""

import shlex
from collections.abc import Set as AbstractSet
from dataclasses import fields, replace
from pathlib import Path
from typing import TypeAlias

from tlbench.cli.names import option_words
from tlbench.datasets import Columns
from tlbench.model import FULL_PRECISION, ExportOptions, TrainingOptions
from tlbench.workflows import (
    AXES,
    QUICK_TIMING,
    ProtocolConfig,
    RecipeChoices,
    RunConfig,
    SweepConfig,
    TimingConfig,
    TrainingPlan,
)

# Fields that the command itself states, without an option.
_IMPLIED = {"model", "candidates", "accuracy", "timing", "protocol", "export", "columns"}
# Fields of an export that the other commands have options for, too.
_OF_BACKBONE = ("fit", "crop_fraction", "input_size", "weights", "factory_args", "preprocess")
# Fields that a recipe states as well.
_OF_RECIPE = {"dataset", "heads", "baselines"}

# Fields whose option is called otherwise in the commands that measure one run.
_SPELLED = {"batch_sizes": "batch_size"}
# Fields of a run that the grid of a sweep states.
_OF_GRID = {"heads", "provider", "precision", "latency"}

_Settings: TypeAlias = (
    RunConfig | Columns | TimingConfig | ProtocolConfig | ExportOptions | TrainingOptions
)


def repeat_command(config: RunConfig) -> str:
    """Return the shortest command line that repeats the measurement.

    A backbone with other export options than `_OF_BACKBONE` is exported first: the other commands
    do not have them.
    """
    shared = {name: getattr(config.export, name) for name in _OF_BACKBONE}
    if config.export != ExportOptions(**shared):
        return _exported_first(config)
    command = "run" if config.accuracy and config.latency else "evaluate"
    implied = set(_IMPLIED)
    if config.candidates:
        command = "drift"
        implied |= {"latency", "baselines"}
    elif not config.accuracy:
        command = "latency"
    elif config.latency is False:
        implied.add("latency")
    default, words = RunConfig(), ["tlbench", command]
    if command != "run" or config.model != default.model:
        words += [config.model, *config.candidates, *config.timing.candidates]
    usual_timing = TimingConfig() if command == "latency" else QUICK_TIMING
    for chosen, usual in (
        (config, default),
        (config.columns, default.columns),
        (config.export, ExportOptions()),
        (config.timing, usual_timing),
        (config.protocol, ProtocolConfig()),
    ):
        words += _changed(chosen, usual, implied)
    return shlex.join(words)


def _changed(
    chosen: _Settings, usual: _Settings, implied: AbstractSet[str] = frozenset()
) -> list[str]:
    """Return the options of the fields that differ from the *usual* values."""
    values = {field.name: getattr(chosen, field.name) for field in fields(chosen)}
    return [
        word
        for name, value in values.items()
        if name not in implied and value != getattr(usual, name)
        for word in option_words(_SPELLED.get(name, name), value)
    ]


def _exported_first(config: RunConfig) -> str:
    """Return the command that exports a backbone, followed by the one that measures its file."""
    file = f"{Path(config.model).name}.onnx"
    words = ["tlbench", "export", config.model, *_changed(config.export, ExportOptions())]
    if config.precision != FULL_PRECISION:
        words += ["--precision", config.precision, "--calibrate", config.dataset]
        words += _changed(config.columns, RunConfig().columns)
    of_file = replace(config, model=file, export=ExportOptions(), precision=FULL_PRECISION)
    return f"{shlex.join([*words, '-o', file])} && {repeat_command(of_file)}"


def sweep_command(config: SweepConfig, folder: Path, *, against: str | None = None) -> str:
    """Return the command line that makes a sweep in *folder*."""
    default, base, usual = SweepConfig(), config.base, RunConfig()
    words = ["tlbench", "sweep"]
    for axis in (*AXES, "rounds"):
        value = getattr(config, axis)
        if axis == "backbones" or value != getattr(default, axis):
            words += option_words(axis, value)
    words += _changed(base, usual, _IMPLIED | _OF_GRID)
    words += _changed(base.columns, usual.columns)
    words += _changed(base.export, usual.export, {"fit", "input_size"})
    words += _changed(base.timing, QUICK_TIMING)
    words += option_words("against", against)
    return shlex.join([*words, "-o", str(folder)])


def train_command(plan: TrainingPlan, config: RunConfig) -> str:
    """Return the command line that repeats a training from its beginning."""
    words = ["tlbench", "train", str(plan.network)]
    words += _changed(config, RunConfig(), _IMPLIED | {"heads", "baselines"})
    words += _changed(config.columns, RunConfig().columns)
    words += _changed(plan.options, TrainingOptions(), {"seed"})
    words += option_words("folds", config.protocol.folds)
    return shlex.join([*words, "-o", str(plan.destination)])


def reproduce_command(choices: RecipeChoices, config: RunConfig) -> str:
    """Return the command line that repeats a recipe, with the settings that it leaves open."""
    words = ["tlbench", "reproduce", choices.recipe]
    for option, value in (
        ("--row", ",".join(choices.rows)),
        ("--backbone", choices.backbone),
        ("--weights", choices.weights),
    ):
        if value:
            words += [option, value]
    return shlex.join([*words, *_changed(config, RunConfig(), _IMPLIED | _OF_RECIPE)])
