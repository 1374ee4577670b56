"""`tlbench doctor`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tlbench.cli import options as o

if TYPE_CHECKING:
    from tlbench.machine import Environment


def doctor(
    *,
    cache_dir: o.CacheDir = None,
    data_dir: o.DataDir = None,
    provider: Annotated[
        str | None,
        typer.Option(help="Fail (exit 2) unless this provider works."),
    ] = None,
) -> None:
    """Say what this machine can measure."""
    from tlbench.core.units import labelled
    from tlbench.engine import check_provider, onnxruntime_facts, provider_statuses
    from tlbench.machine import capture_environment
    from tlbench.workflows import default_cache_dir

    build, providers = onnxruntime_facts()
    environment = capture_environment(onnxruntime_build=build, providers=providers)
    for label, text in _facts(environment):
        typer.echo(labelled(label, text, indent=11))
    for status in provider_statuses():
        if status.compiled:
            typer.echo(f"{'Provider':<10} {status.name}: {status.problem or 'works'}")
    typer.echo(f"{'Cache':<10} {_writable(cache_dir or default_cache_dir())}")
    typer.echo(f"{'Data':<10} {_data(data_dir)}")
    if provider is not None:
        check_provider(provider)


def _facts(environment: "Environment") -> list[tuple[str, str]]:
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
    return [
        ("CPU", f"{environment.cpu}, {usable}"),
        ("Memory", ram),
        ("GPU", "; ".join(gpus) or "none that nvidia-smi knows"),
        ("System", f"{environment.os}, {environment.python}"),
        ("Libraries", libraries),
    ]


def _writable(folder: Path) -> str:
    import os

    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    state = "writable" if os.access(existing, os.W_OK) else "NOT writable: choose with --cache-dir"
    return f"{folder} ({state})"


def _data(folder: Path | None) -> str:
    if folder is None:
        return "no --data-dir or TLBENCH_DATA: CIFAR is downloaded into the cache"
    known = ("cifar-10-batches-py", "cifar-100-python")
    found = [name for name in known if (folder / name).is_dir()]
    return (
        f"{folder} ({', '.join(found) or 'holds neither cifar-10-batches-py nor cifar-100-python'})"
    )
