"""`tlbench compare`."""

from pathlib import Path
from typing import Annotated

import typer

from tlbench.cli import options as o


def compare(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN RUN...",
            help="Runs: each a folder, its run.json, its id, or 'last'. The first is the "
            "reference. RUN#LABEL is one candidate of a run in which several took turns.",
        ),
    ],
    *,
    allow_unlike: Annotated[
        bool,
        typer.Option(
            "--allow-unlike",
            help="Compare also where model, precision, batch size, boundary, input shape, data or "
            "head parameters differ; the report says in what.",
        ),
    ] = False,
    output_format: o.Format = o.OutputFormat.CONSOLE,
    destination: Annotated[
        Path | None,
        typer.Option("-o", help="Write the comparison to this file instead of stdout."),
    ] = None,
    differing: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.csv",
            help="List here the images that a run predicts otherwise than the first: entry, row "
            "in the test split, true label, both predictions.",
        ),
    ] = None,
    output: o.Output = Path("runs"),
) -> None:
    """Show saved runs side by side, of different machines too.

    How many times as fast as the first each run is, with an interval, and how their accuracies
    differ: image by image where both have predictions of the same images. Nothing is measured: copy
    a run's folder, or its run.json alone, from the other machine.
    """
    from tlbench.cli.stdout import stdout_layout, write_report
    from tlbench.compare import compare_runs, differing_images, open_compared_run
    from tlbench.reports import comparison_document, differing_csv, render_comparison

    sides = [open_compared_run(run, output) for run in runs]
    found = compare_runs(sides, allow_unlike=allow_unlike)
    if differing is not None:
        dataset = sides[0].run.dataset
        images = differing_images(sides)
        write_report(differing_csv(images, dataset.classes if dataset else ()), differing)
    width, color = stdout_layout() if destination is None else (80, False)
    if output_format is o.OutputFormat.JSON:
        text = comparison_document(found)
    else:
        text = render_comparison(found, width=width, color=color)
    if destination is None:
        typer.echo(text, nl=False)
    else:
        write_report(text, destination)
