"""`tlbench inspect`."""

import typer

from tlbench.cli import options as o

__all__ = ["inspect"]


def inspect(
    model: o.Model,
    *,
    cache_dir: o.CacheDir = None,
    output_format: o.Format = o.OutputFormat.CONSOLE,
    quiet: o.Quiet = False,
) -> None:
    """Show card, inputs, outputs, size and cost of a model."""
    from tlbench.backbones import resolve_model
    from tlbench.cli.progress import listening
    from tlbench.config import default_cache_dir
    from tlbench.reports.model import describe_model, model_document

    with listening(quiet=quiet) as listener:
        found = resolve_model(model, cache_dir=cache_dir or default_cache_dir(), listener=listener)
    is_json = output_format is o.OutputFormat.JSON
    typer.echo(model_document(found) if is_json else describe_model(found))
