"""`tlbench list`."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tlbench.engine import ProviderStatus


class Kind(StrEnum):
    """What can be listed."""

    BACKBONES = "backbones"
    DATASETS = "datasets"
    HEADS = "heads"
    BASELINES = "baselines"
    PROVIDERS = "providers"
    RENDERERS = "renderers"
    PRECISIONS = "precisions"
    RECIPES = "recipes"


def list_entries(
    kind: Annotated[
        Kind | None, typer.Argument(help="What to list; everything by default.")
    ] = None,
) -> None:
    """List backbones, datasets, heads, providers and more."""
    from tlbench.core.units import labelled

    for one in [kind] if kind else list(Kind):
        rows = _rows(one)
        width = max((len(name) for name, _ in rows), default=0)
        if kind is None:
            typer.echo(f"{one.value}")
        indent = "" if kind else "  "
        for name, text in rows:
            label = f"{indent}{name:<{width}}  "
            typer.echo(labelled(label, text, indent=len(label)))
        if kind is None:
            typer.echo()


def _rows(kind: Kind) -> list[tuple[str, str]]:
    from tlbench.core.registry import Registry

    if kind is Kind.PROVIDERS:
        from tlbench.engine import provider_statuses

        return [(status.name, _provider_text(status)) for status in provider_statuses()]
    rows = []
    registry: Registry[object] = Registry(kind.value)
    for name, entry in registry.items():
        text = getattr(entry, "summary", None) or _first_line(entry)
        missing = _missing(getattr(entry, "requires", ()))
        rows.append((name, f"{text} [needs {', '.join(missing)}]" if missing else text))
    return rows


def _provider_text(status: "ProviderStatus") -> str:
    if not status.compiled:
        return "not in this ONNX Runtime build"
    return status.problem or "works"


def _first_line(entry: object) -> str:
    return (entry.__doc__ or "").strip().partition("\n")[0].replace("``", "")


def _missing(distributions: tuple[str, ...]) -> list[str]:
    from importlib import metadata

    missing = []
    for name in distributions:
        try:
            metadata.version(name)
        except metadata.PackageNotFoundError:
            missing.append(name)
    return missing
