"""`tlbench list`."""

from enum import StrEnum
from typing import Annotated

import typer

__all__ = ["Kind", "list_entries"]


class Kind(StrEnum):
    """What can be listed."""

    BACKBONES = "backbones"
    DATASETS = "datasets"
    HEADS = "heads"
    BASELINES = "baselines"
    PROVIDERS = "providers"
    RENDERERS = "renderers"


def list_entries(
    kind: Annotated[
        Kind | None, typer.Argument(help="What to list; everything by default.")
    ] = None,
) -> None:
    """List the backbones, datasets, heads, baselines, providers and report formats there are."""
    for one in [kind] if kind else list(Kind):
        rows = _rows(one)
        width = max((len(name) for name, _ in rows), default=0)
        if kind is None:
            typer.echo(f"{one.value}")
        indent = "" if kind else "  "
        for name, text in rows:
            typer.echo(f"{indent}{name:<{width}}  {text}".rstrip())
        if kind is None:
            typer.echo()


def _rows(kind: Kind) -> list[tuple[str, str]]:
    from tlbench.registry import Registry

    if kind is Kind.PROVIDERS:
        from tlbench.engine import provider_statuses

        return [
            (status.name, "works" if status.loadable else status.problem or "")
            for status in provider_statuses()
        ]
    rows = []
    registry: Registry[object] = Registry(kind.value)
    for name, entry in registry.items():
        text = getattr(entry, "summary", None) or _first_line(entry)
        missing = _missing(getattr(entry, "requires", ()))
        rows.append((name, f"{text} [needs {', '.join(missing)}]" if missing else text))
    return rows


def _first_line(entry: object) -> str:
    return (entry.__doc__ or "").strip().partition("\n")[0].rstrip(".")


def _missing(distributions: tuple[str, ...]) -> list[str]:
    from importlib import metadata

    missing = []
    for name in distributions:
        try:
            metadata.version(name)
        except metadata.PackageNotFoundError:
            missing.append(name)
    return missing
