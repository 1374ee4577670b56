"""Reproduce a published experiment: a run for each row of its recipe, with a verdict."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import msgspec

from tlbench.core.errors import ConfigError
from tlbench.core.hashing import sha256_value
from tlbench.core.progress import Listener, Silent
from tlbench.core.registry import unknown_name
from tlbench.heads import parse_params
from tlbench.model import ExportOptions, TrainingOptions, is_file_name, resolve_model
from tlbench.recipes import Recipe, Row, compare_with_published, find_recipe, find_rows
from tlbench.records import OWN_CLASSIFIER
from tlbench.workflows.config import ProtocolConfig, RunConfig
from tlbench.workflows.run import RunOutcome, run_benchmark
from tlbench.workflows.steps.context import cache_folder
from tlbench.workflows.train import TrainingPlan, train_network

_NAMED_WEIGHTS = {"imagenet", "random"}


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeChoices:
    """What a user changes of a recipe.

    Attributes
    ----------
    recipe : str
        Name of a recipe, or the path of a TOML file.
    rows : tuple of str
        Names of the rows to run; empty for all.
    backbone : str or None
        Instead of each row's own: a name, or the path of an ``.onnx`` file.
    weights : str or None
        As for ``tlbench export --weights``; None for the backbone's usual ones.
    """

    recipe: str
    rows: tuple[str, ...] = ()
    backbone: str | None = None
    weights: str | None = None


def reproduce_recipe(
    choices: RecipeChoices,
    config: RunConfig,
    listener: Listener | None = None,
    *,
    command: str = "",
) -> Iterator[RunOutcome]:
    """Run the rows of a recipe, one after another.

    Parameters
    ----------
    config : RunConfig
        What a recipe leaves open: provider, threads, limits, seed, folders. Its ``head_params``
        are laid over those of the recipe, and its ``latency`` turns timing off.
    command : str
        Command line that repeats the experiment, for the record.

    Yields
    ------
    RunOutcome
        With ``reproduction`` in its result; not saved yet.

    Raises
    ------
    TlbenchError
        If anything is unknown or unavailable. Recipe, rows and heads are looked at first.
    """
    listener = listener or Silent()
    recipe = find_recipe(choices.recipe)
    rows = _chosen_rows(recipe, choices, listener)
    if choices.weights is not None and is_file_name(choices.backbone or ""):
        msg = (
            f"weights={choices.weights!r} belongs to the export of a backbone; {choices.backbone} "
            "is a file and has its weights. Leave one of the two out."
        )
        raise ConfigError(msg)
    for row in rows:
        row_config = _config_of(row, choices, config, listener)
        if OWN_CLASSIFIER in row.heads:
            outcome = _train(recipe, row, choices, row_config, listener, command)
        else:
            outcome = run_benchmark(row_config, listener, command=command)
        result = replace(
            outcome.result, reproduction=compare_with_published(recipe, row, outcome.result)
        )
        yield replace(outcome, result=result)


def _train(  # noqa: PLR0917 - a row, and what changes it
    recipe: Recipe,
    row: Row,
    choices: RecipeChoices,
    config: RunConfig,
    listener: Listener,
    command: str,
) -> RunOutcome:
    """Train a row's network; one that was interrupted with the same options goes on."""
    options = _training_options(config, choices, row)
    limits = [config.limit_train, config.limit_test]
    key = sha256_value([config.model, asdict(options), limits, str(config.data_dir)])[:12]
    with cache_folder(config) as cache_dir:
        destination = cache_dir / "trained" / f"{recipe.name}-{row.name}-{key}.onnx"
        plan = TrainingPlan(network=config.model, options=options, destination=destination)
        plan = replace(plan, resume=plan.checkpoint.is_file())
        config = replace(config, export=ExportOptions())
        return train_network(plan, config, listener, command=command)


def _training_options(config: RunConfig, choices: RecipeChoices, row: Row) -> TrainingOptions:
    """Return the options that the parameters of a network's own classifier mean."""
    names = [one.name for one in fields(TrainingOptions)]
    # A recipe's networks are Keras's: what makes a network of PyTorch is no parameter of theirs.
    made = {one.name for one in fields(ExportOptions)} - {"input_size"}
    known = [name for name in names if name not in made]
    values: dict[str, Any] = {"seed": config.seed, "input_size": row.export.input_size}
    if choices.weights is not None:
        values["weights"] = choices.weights
    for name, text in parse_params(config.head_params).items():
        head, _, option = name.rpartition(".")
        if head not in {"", OWN_CLASSIFIER} or option not in known:
            raise unknown_name(f"parameter of {OWN_CLASSIFIER}", name, known)
        names = [] if text == "none" else text.split(",")
        values[option] = names if option == "augment" else text
    try:
        return msgspec.convert(values, TrainingOptions, strict=False)  # numbers are text here
    except msgspec.ValidationError as error:  # their types, and what the options refuse
        msg = f"head_params of row {row.name!r}: {error}. Correct them."
        raise ConfigError(msg) from error


def _chosen_rows(recipe: Recipe, choices: RecipeChoices, listener: Listener) -> list[Row]:
    """Return the rows to run: those asked for, and none twice."""
    rows = find_rows(recipe, choices.rows)
    if choices.backbone is not None:
        # Rows that differ in the backbone alone are now the same: the first stays.
        return list({_without_backbone(row): row for row in reversed(rows)}.values())[::-1]
    is_path = choices.weights is not None and choices.weights not in _NAMED_WEIGHTS
    dropped = [row for row in rows if row.backbone != rows[0].backbone]
    if is_path and dropped:
        names = ", ".join(f"{row.name} ({row.backbone})" for row in dropped)
        listener.warn(
            f"{choices.weights} is assumed to hold weights of {rows[0].backbone}; left out: "
            f"{names}. Choose other rows to run those."
        )
        return [row for row in rows if row not in dropped]
    return rows


def _without_backbone(row: Row) -> str:
    return repr((row.dataset, row.heads, row.export, row.folds))


def _config_of(
    row: Row, choices: RecipeChoices, config: RunConfig, listener: Listener
) -> RunConfig:
    """Return the configuration of a row's run."""
    model = choices.backbone or row.backbone
    export = ExportOptions()
    if not is_file_name(model):
        chosen = dict(row.export.chosen)
        if model != row.backbone:
            chosen.pop("layer", None)  # a name in another network
        if choices.weights is not None:
            chosen["weights"] = choices.weights
        export = ExportOptions(**chosen)  # type: ignore[arg-type]  # checked in the recipe
    timing = replace(config.timing, scenarios=("single",), costs=False)
    changed = replace(
        config,
        model=model,
        export=export,
        dataset=row.dataset,
        heads=tuple(row.heads),
        baselines=row.baselines,
        head_params=_head_params(row, config.head_params),
        protocol=ProtocolConfig(folds=row.folds),
        latency=config.latency and bool(row.speeds),
        timing=timing,
    )
    if OWN_CLASSIFIER in row.heads or not _is_random(changed, listener):
        return changed
    # Random weights have a time and no accuracy.
    if not config.latency:
        msg = (
            f"{model} with random weights has no accuracy worth measuring, and latency=False "
            "leaves nothing else. Change one of the two."
        )
        raise ConfigError(msg)
    return replace(changed, accuracy=False, latency=True, protocol=ProtocolConfig())


def _is_random(config: RunConfig, listener: Listener) -> bool:
    if not is_file_name(config.model):
        return config.export.weights == "random"
    model = resolve_model(config.model, cache_dir=config.cache_dir, listener=listener)
    return model.card is not None and model.card.weights.kind == "random"


def _head_params(row: Row, overrides: Sequence[str]) -> tuple[str, ...]:
    """Lay the user's parameters over the recipe's."""
    names = {text.partition("=")[0].strip() for text in overrides}
    kept = []
    for text in row.head_params:
        name = text.partition("=")[0]
        if name not in names and name.rpartition(".")[2] not in names:
            kept.append(text)
    return (*kept, *overrides)
