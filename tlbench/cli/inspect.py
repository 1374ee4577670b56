"""`tlbench inspect`."""

import typer

from tlbench.cli import options as o


def inspect(
    model: o.Model,
    *,
    cache_dir: o.CacheDir = None,
    output_format: o.Format = o.OutputFormat.CONSOLE,
    quiet: o.Quiet = False,
) -> None:
    """Show card, inputs, outputs, size and cost of a model."""
    from tlbench.cli.progress import listening
    from tlbench.model import resolve_model
    from tlbench.reports import describe_model, model_document
    from tlbench.workflows import default_cache_dir

    with listening(quiet=quiet) as listener:
        found = resolve_model(model, cache_dir=cache_dir or default_cache_dir(), listener=listener)
    is_json = output_format is o.OutputFormat.JSON
    typer.echo(model_document(found) if is_json else describe_model(found))
