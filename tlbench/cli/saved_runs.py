"""`tlbench report`, `tlbench plot` and `tlbench compare`: saved runs as text and as figures."""

from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tlbench.cli import options as o
from tlbench.core.errors import ConfigError

if TYPE_CHECKING:
    from tlbench.api import Comparison, Run, Sweep

PlotName = StrEnum(
    "PlotName", ["EMBEDDING", "CONFUSION", "MISCLASSIFIED", "LATENCY", "CURVE", "PARETO"]
)


def report(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RUN...",
            help=f"{o.RUN_HELP} Default: last. Several are held against the first. The folder of "
            "a sweep stands for the sweep.",
            show_default=False,
        ),
    ] = None,
    *,
    report_format: Annotated[
        str,
        typer.Option(
            "--format",
            help="console, html, json, or another of tlbench list renderers; of several runs and "
            "of a sweep, console, html, json or markdown.",
        ),
    ] = "console",
    destination: Annotated[
        Path | None, typer.Option("-o", help="Write the report to this file instead of stdout.")
    ] = None,
    quiet: o.Quiet = False,
    output: o.Output = Path("runs"),
) -> None:
    """Show saved runs or a sweep again, in any format.

    html is one self-contained page with figures, images and a map of the features. The map is drawn
    by t-SNE if the extra 'report' is installed, which takes seconds to a minute the first time.
    """
    from tlbench.cli.measure import show
    from tlbench.cli.terminal import check_text_files, write_text

    check_text_files(destination)
    found = _opened(runs, output, with_map=report_format == "html", quiet=quiet)
    if destination is None:
        show(found, report_format)
    else:
        write_text(destination, found.report(report_format))


def _opened(
    runs: list[str] | None, folder: Path, *, with_map: bool, quiet: bool
) -> "Run | Comparison | Sweep":
    """Return what is named: the last run, a run, a sweep, or several runs held against the first.

    The t-SNE map of a single run is drawn where it is needed.
    """
    from tlbench.api import compare_runs, load_run
    from tlbench.cli.terminal import listening

    runs = runs or ["last"]
    sweeps = [name for name in runs if _is_sweep(name)]
    if sweeps and len(runs) > 1:
        raise ConfigError(
            f"{sweeps[0]} is a sweep, which stands alone, but {len(runs)} names were given. Its "
            f"cells are runs: {Path(sweeps[0]) / 'cells' / 'ID'}."
        )
    if sweeps:
        from tlbench.api import load_sweep  # a run needs none of what it imports

        return load_sweep(sweeps[0])
    if len(runs) > 1:
        return compare_runs(*runs, allow_unlike=True, folder=folder)
    found = load_run(runs[0], folder=folder)
    if with_map:
        with listening(quiet=quiet) as listener:
            found.draw_map(progress=listener)
    return found


def _is_sweep(name: str) -> bool:
    path = Path(name).expanduser()
    return path.name == "sweep.json" or (path / "sweep.json").is_file()


def plot(
    kind: Annotated[PlotName, typer.Argument(metavar="KIND", help="What to draw: see above.")],
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RUN...",
            help=f"{o.RUN_HELP} Default: last. pareto takes several, or the folder of a sweep.",
            show_default=False,
        ),
    ] = None,
    *,
    destination: Annotated[
        Path, typer.Option("-o", metavar="FILE", help="The file: .svg, .png or .pdf.")
    ],
    thumbnails: Annotated[
        bool,
        typer.Option(
            "--thumbnails", help="embedding: show images in place of points where they have room."
        ),
    ] = False,
    quiet: o.Quiet = False,
    output: o.Output = Path("runs"),
) -> None:
    """Draw one figure of a saved run into a file.

    embedding: the features of the test images in two dimensions. confusion: the confusion matrix.
    misclassified: thumbnails with true and predicted class, the most confident first. latency: each
    timing as a distribution and over time. curve: learning curves, training curves and folds.
    pareto: accuracy against time of several runs or of a sweep.

    The figures are those of tlbench report --format html. This needs the extra 'report'. The same
    run gives the same bytes.
    """
    from tlbench.api import Run
    from tlbench.cli.terminal import check_text_files
    from tlbench.reports import check_matplotlib, check_plot, check_plot_file

    check_plot(kind.value, thumbnails=thumbnails)
    check_plot_file(destination)
    check_matplotlib()
    check_text_files(destination)
    found = _opened(runs, output, with_map=kind is PlotName.EMBEDDING, quiet=quiet)
    if isinstance(found, Run):
        found.plot(kind.value, destination, thumbnails=thumbnails)
    else:
        found.plot(kind.value, destination)


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
    output_format: o.LaidOut = o.LaidOutFormat.CONSOLE,
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
