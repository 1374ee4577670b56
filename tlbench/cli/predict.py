"""`tlbench predict`."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tlbench.cli import options as o


class PredictionFormat(StrEnum):
    """What goes to stdout."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


def predict(
    classifier: Annotated[Path, typer.Argument(help="A classifier file, written by tlbench fuse.")],
    images: Annotated[
        list[str],
        typer.Argument(
            metavar="IMAGE...",
            help="Image files, folders of them, or - for a list on standard input, a path a line.",
        ),
    ],
    *,
    output_format: Annotated[
        PredictionFormat,
        typer.Option("--format", help="On stdout; messages for people are on stderr."),
    ] = PredictionFormat.TABLE,
    top_k: Annotated[
        int, typer.Option(help="The K most probable classes of each image.", metavar="K")
    ] = 1,
    session: o.SessionOptions,
    strict: Annotated[
        bool,
        typer.Option("--strict", help="Fail at an unreadable image instead of leaving it out."),
    ] = False,
    quiet: o.Quiet = False,
) -> None:
    """Classify image files with a classifier file.

    JPEG, PNG and WebP of any size. One that cannot be decoded is left out and named on stderr;
    with --strict it is exit code 2.
    """
    import sys

    from tlbench.cli.measure import make_config
    from tlbench.cli.progress import listening
    from tlbench.cli.stdout import stdout_layout
    from tlbench.reports import predictions as reports
    from tlbench.workflows import find_images, predict_images

    with listening(quiet=quiet) as listener:
        found = predict_images(
            classifier,
            find_images(images, sys.stdin),
            config=make_config([session], strict=strict),
            top_k=top_k,
            listener=listener,
        )
    if output_format is PredictionFormat.JSON:
        text = reports.predictions_document(found)
    elif output_format is PredictionFormat.CSV:
        text = reports.predictions_csv(found)
    else:
        text = reports.predictions_table(found, width=stdout_layout()[0])
    typer.echo(text, nl=False)
    for _, reason in found.unreadable:
        typer.echo(f"tlbench: warning: left out: {reason}", err=True)
