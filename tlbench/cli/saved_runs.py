"""`tlbench report` and `tlbench compare`: saved runs as text."""

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tlbench.cli import options as o

if TYPE_CHECKING:
    from tlbench.api import Comparison, Run


def report(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RUN...",
            help=f"{o.RUN_HELP} Default: last. Several are held against the first.",
            show_default=False,
        ),
    ] = None,
    *,
    report_format: Annotated[
        str,
        typer.Option(
            "--format",
            help="console, html, json, or another of tlbench list renderers; of several runs, "
            "console, html or json.",
        ),
    ] = "console",
    destination: Annotated[
        Path | None, typer.Option("-o", help="Write the report to this file instead of stdout.")
    ] = None,
    quiet: o.Quiet = False,
    output: o.Output = Path("runs"),
) -> None:
    """Show one or more saved runs again, in any format.

    html is one self-contained page with figures, images and a map of the features. The map is drawn
    by t-SNE if the extra 'report' is installed, which takes seconds to a minute the first time.
    """
    from tlbench.api import compare_runs, load_run
    from tlbench.cli.measure import show
    from tlbench.cli.terminal import check_text_files, listening, write_text

    check_text_files(destination)
    found: Run | Comparison
    if runs is not None and len(runs) > 1:
        found = compare_runs(*runs, allow_unlike=True, folder=output)
    else:
        found = load_run(runs[0] if runs else "last", folder=output)
        if report_format == "html":
            with listening(quiet=quiet) as listener:
                found.draw_map(progress=listener)
    if destination is None:
        show(found, report_format)
    else:
        write_text(destination, found.report(report_format))


def compare(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN RUN...",
            help="Saved runs, the reference first: each a folder, its run.json, its id, or 'last'. "
            "RUN#LABEL is one of several models of a run.",
        ),
    ],
    *,
    allow_unlike: Annotated[
        bool,
        typer.Option(
            "--allow-unlike",
            help="Compare even if model, precision, batch size, boundary, input shape, data or "
            "head parameters differ; the report lists the differences.",
        ),
    ] = False,
    output_format: o.Format = o.OutputFormat.CONSOLE,
    destination: Annotated[
        Path | None, typer.Option("-o", help="Write the comparison to this file instead of stdout.")
    ] = None,
    differing: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.csv",
            help="Write the images that a run predicts differently from the first to this file: "
            "entry, row in the test split, true label, both predictions.",
        ),
    ] = None,
    output: o.Output = Path("runs"),
) -> None:
    """Compare saved runs, also from different machines.

    The report shows each run's speed relative to the first, with a confidence interval, and the
    difference in accuracy, image by image where both runs have predictions of the same images.
    Nothing is measured: to compare with another machine, copy a run's folder or its run.json.
    """
    from tlbench.api import compare_runs
    from tlbench.cli.measure import show
    from tlbench.cli.terminal import check_text_files, write_text
    from tlbench.compare import differing_images, open_compared_run
    from tlbench.reports import differing_csv

    check_text_files(destination, differing)
    found = compare_runs(*runs, allow_unlike=allow_unlike, folder=output)
    with ExitStack() as outputs:  # from the last to the first, each even if another fails
        if destination is None:
            outputs.callback(show, found, output_format.value)
        else:
            outputs.callback(write_text, destination, found.report(output_format.value))
        if differing is not None:
            compared = [open_compared_run(run, output) for run in runs]
            dataset = compared[0].run.dataset
            images = differing_csv(differing_images(compared), dataset.classes if dataset else ())
            outputs.callback(write_text, differing, images)
