"""`tlbench list`, `inspect` and `doctor`: the entries, a model, and this machine."""

import re
from enum import StrEnum
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tlbench.cli import options as o

if TYPE_CHECKING:
    from tlbench.machine import Environment

_Rows = list[tuple[str, str]]


Kind = StrEnum(
    "Kind", "BACKBONES DATASETS HEADS BASELINES PROVIDERS RENDERERS PRECISIONS NETWORKS RECIPES"
)


def list_entries(
    kind: Annotated[Kind | None, typer.Argument(help="What to list; default: everything.")] = None,
) -> None:
    """List backbones, datasets, heads, providers and more.

    Entries that need a package that is not installed come last, with the command that installs it.
    """
    for one in [kind] if kind else list(Kind):
        indent = "" if kind else "  "
        if kind is None:
            typer.echo(one.value)
        if one is Kind.PROVIDERS:
            _print_providers(indent, check=kind is not None)
        else:
            _print_entries(one, indent)
        if kind is None:
            typer.echo()


def _print_entries(kind: Kind, indent: str) -> None:
    """Print the entries that can be used here, then the others under what to install for them."""
    from tlbench.core.registry import Registry

    is_missing, installation = cache(_is_missing), cache(_installation)  # reading metadata is slow
    rows: dict[str, _Rows] = {"": []}
    registry: Registry[object] = Registry(kind.value)
    for name, entry in registry.items():
        text = getattr(entry, "summary", None) or _first_line(entry)
        advice = installation(tuple(filter(is_missing, getattr(entry, "requires", ()))))
        rows.setdefault(advice, []).append((name, text))
    for advice, group in rows.items():
        if advice:
            typer.echo(f"{indent}After {advice}:")
        _print_rows(group, indent)


def _print_rows(rows: _Rows, indent: str) -> None:
    from tlbench.core.units import labelled

    width = max((len(name) for name, _ in rows), default=0)
    for name, text in rows:
        label = f"{indent}{name:<{width}}  "
        typer.echo(labelled(label, text, indent=len(label)))


def _print_providers(indent: str, *, check: bool) -> None:
    """Print the providers; only *check* imports ONNX Runtime, and tries each of them."""
    from tlbench.core.units import labelled
    from tlbench.engine import provider_names, provider_statuses

    if check:
        absent = "not in this ONNX Runtime build"
        _print_rows(
            [
                (one.name, (one.problem or "works") if one.compiled else absent)
                for one in provider_statuses()
            ],
            indent,
        )
    else:
        text = f"{', '.join(provider_names())} (tlbench list providers shows which of them work)"
        typer.echo(labelled(indent, text, indent=len(indent)))


def _first_line(entry: object) -> str:
    return (entry.__doc__ or "").strip().partition("\n")[0].replace("``", "")


def _is_missing(distribution: str) -> bool:
    try:
        metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return True
    return False


def _installation(missing: tuple[str, ...]) -> str:
    """Return the command that installs the *missing* distributions: the smallest extra with all."""
    if not missing:
        return ""
    extras: dict[str, set[str]] = {}
    for requirement in metadata.requires("tlbench") or ():
        if found := re.match(r"([\w.-]+).*extra == ['\"](\w+)['\"]", requirement):
            extras.setdefault(found[2], set()).add(found[1])
    fitting = [extra for extra, content in extras.items() if content.issuperset(missing)]
    smallest = min(fitting, key=lambda extra: (len(extras[extra]), extra), default=None)
    named = " ".join(missing) if smallest is None else f"'tlbench[{smallest}]'"
    return f"pip install {named}"


def inspect(
    model: o.Model,
    *,
    tensors: Annotated[
        bool,
        typer.Option(
            "--tensors",
            help="List the tensors inside that can become features: the names that --layer and "
            "--top-output of tlbench export onnx:FILE.onnx take.",
        ),
    ] = False,
    cache_dir: o.CacheDir = None,
    output_format: o.Format = o.OutputFormat.CONSOLE,
    quiet: o.Quiet = False,
) -> None:
    """Show the card, inputs, outputs, size and cost of a model."""
    from tlbench.cli.terminal import listening
    from tlbench.model import is_file_name, resolve_model
    from tlbench.reports import describe_model, describe_tensors, model_document
    from tlbench.workflows import default_cache_dir

    is_json = output_format is o.OutputFormat.JSON
    if tensors and is_file_name(model):  # also one whose weights are in other files
        typer.echo(describe_tensors(Path(model).expanduser(), as_json=is_json))
        return
    with listening(quiet=quiet) as listener:
        found = resolve_model(model, cache_dir=cache_dir or default_cache_dir(), listener=listener)
    if tensors:
        typer.echo(describe_tensors(found.path, as_json=is_json))
        return
    typer.echo(model_document(found) if is_json else describe_model(found))


def doctor(
    *,
    cache_dir: o.CacheDir = None,
    data_dir: o.DataDir = None,
    provider: Annotated[
        str | None, typer.Option(help="Fail with exit code 2 unless this provider works.")
    ] = None,
) -> None:
    """Show what this machine can measure."""
    from tlbench.core.errors import printable
    from tlbench.core.units import labelled
    from tlbench.engine import check_provider, onnxruntime_facts, provider_statuses
    from tlbench.machine import capture_environment
    from tlbench.workflows import default_cache_dir

    build, providers = onnxruntime_facts()
    environment = capture_environment(onnxruntime_build=build, providers=providers)
    rows = _machine(environment)
    rows += [
        ("Provider", f"{status.name}: {status.problem or 'works'}")
        for status in provider_statuses()
        if status.compiled
    ]
    for label, text in rows:
        typer.echo(labelled(label, text, indent=11))
    typer.echo(f"{'Cache':<10} {printable(_cache(cache_dir or default_cache_dir()))}")
    typer.echo(f"{'Data':<10} {printable(_data(data_dir))}")
    if provider is not None:
        check_provider(provider)


def _machine(environment: "Environment") -> _Rows:
    from tlbench.core.units import format_bytes

    ram = "unknown" if environment.ram_bytes is None else format_bytes(environment.ram_bytes)
    gpus = [f"{gpu.name}, driver {gpu.driver}" for gpu in environment.gpus]
    libraries = ", ".join(f"{name} {version}" for name, version in environment.libraries.items())
    usable = f"{environment.cpus_usable} of {environment.cpus_total} usable"
    if len(environment.processors) > 1:
        kinds = (
            f"{each.n_usable} {each.kind or f'of capacity {each.capacity}'}"
            for each in environment.processors
        )
        usable += f" ({', '.join(kinds)})"
    if environment.cpu_quota is not None:
        usable += f", CPU quota of {environment.cpu_quota:g} processors"
    return [
        ("CPU", f"{environment.cpu}, {usable}"),
        ("Memory", ram),
        ("GPU", "; ".join(gpus) or "none found by nvidia-smi"),
        ("System", f"{environment.os}, {environment.python}"),
        ("Libraries", libraries),
    ]


def _cache(folder: Path) -> str:
    import os

    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    writable = os.access(existing, os.W_OK)
    return f"{folder} ({'writable' if writable else 'NOT writable: choose with --cache-dir'})"


def _data(folder: Path | None) -> str:
    if folder is None:
        return "--data-dir and TLBENCH_DATA are not set: CIFAR is downloaded into the cache"
    known = ("cifar-10-batches-py", "cifar-100-python")
    found = [name for name in known if (folder / name).is_dir()]
    return f"{folder} ({', '.join(found) or f'contains neither {known[0]} nor {known[1]}'})"
