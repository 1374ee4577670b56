"""`tlbench fuse`."""

from pathlib import Path
from typing import Annotated

import typer

from tlbench.cli import options as o


def fuse(
    run: Annotated[
        str, typer.Argument(help="A run: its folder, its run.json, its id, or 'last'.")
    ] = "last",
    *,
    head: Annotated[str, typer.Option(help="The head of the run to put in.")] = "softmax",
    destination: Annotated[
        Path, typer.Option("-o", help="The ONNX file to write.", metavar="FILE")
    ] = Path("classifier.onnx"),
    data_dir: Annotated[
        Path | None,
        typer.Option(
            envvar="TLBENCH_DATA", help="Where the data lie, if not where they lay in the run."
        ),
    ] = None,
    cache_dir: Annotated[
        Path | None,
        typer.Option(envvar="TLBENCH_CACHE", help="The cache, if it is not the run's."),
    ] = None,
    output: o.Output = Path("runs"),
    quiet: o.Quiet = False,
) -> None:
    """Write backbone and fitted head as one ONNX classifier.

    It takes raw uint8 images (N, H, W, 3) and gives their label, an index into the class names in
    its metadata, and their probabilities. It is written only if it answers as scikit-learn does on
    every test image of the run.
    """
    from tlbench.cli.progress import listening
    from tlbench.reports import describe_model
    from tlbench.workflows import fuse_run

    with listening(quiet=quiet) as listener:
        model = fuse_run(
            run,
            head=head,
            destination=destination,
            output=output,
            data_dir=data_dir,
            cache_dir=cache_dir,
            listener=listener,
        )
    typer.echo(describe_model(model))
