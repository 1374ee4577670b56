"""`tlbench baseline save` and `tlbench gate`: a run becomes the reference for later ones."""

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from tlbench.cli import options as o

baseline = typer.Typer(
    help="Save a run as the small file that tlbench gate needs.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@baseline.callback()
def _root() -> None:
    # With a callback, one command stays a command of its own: tlbench baseline save.
    pass


@baseline.command()
def save(
    run: o.RunOrCandidate,
    *,
    destination: Annotated[
        Path, typer.Option("-o", metavar="FILE.json", help="The file to write.")
    ],
    entries: Annotated[
        str,
        typer.Option(
            metavar="A,B",
            help="Which predictions to keep: FEATURES.HEAD, or shell patterns. A gated run must "
            "have all that is kept.",
        ),
    ] = "backbone*.*",
    no_latency: Annotated[
        bool, typer.Option("--no-latency", help="Do not keep the timings.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
    output: o.Output = Path("runs"),
) -> None:
    """Save a run's predictions, timings and drift as a baseline.

    The file is small and belongs in version control.
    """
    from tlbench.compare import open_compared_run
    from tlbench.core.errors import printable
    from tlbench.core.units import format_bytes
    from tlbench.gate import make_baseline
    from tlbench.records import save_baseline

    found = make_baseline(
        open_compared_run(run, output), entries=o.split_names(entries), latency=not no_latency
    )
    size = save_baseline(found, destination, force=force)
    kept = [one.entry for one in found.accuracy]
    kept += [f"{one.scenario} batch {one.batch_size}" for one in found.latency]
    kept += [one.name for one in found.drifts]
    typer.echo(
        printable(f"{destination}: {format_bytes(size)}, run {found.run}: {', '.join(kept)}")
    )


def gate(
    run: o.RunOrCandidate = "last",
    *,
    baseline: Annotated[
        Path, typer.Option(metavar="FILE.json", help="A file written by tlbench baseline save.")
    ],
    policy: Annotated[
        Path | None,
        typer.Option(metavar="FILE.toml", help="Rules that replace the default ones above."),
    ] = None,
    output_format: o.Format = o.OutputFormat.CONSOLE,
    junit: Annotated[
        Path | None, typer.Option(metavar="FILE.xml", help="Also write the verdict as JUnit XML.")
    ] = None,
    markdown: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.md",
            help="Append the verdict as Markdown to this file, such as $GITHUB_STEP_SUMMARY.",
        ),
    ] = None,
    annotations: Annotated[
        bool,
        typer.Option(
            "--annotations",
            help="Print ::error lines for GitHub Actions; on stderr with --format json.",
        ),
    ] = False,
    output: o.Output = Path("runs"),
) -> None:
    """Check a run against a baseline, and exit with 1 if it fails.

    Nothing is measured. The data must be the same, image by image, and the run must have everything
    that the baseline has. By default a run fails

    - if McNemar's exact test finds an entry less accurate than in the baseline (one-sided; 1 % for
    all entries together) and more than 0.5 points were lost;

    - if a timing on a comparable machine takes more than 1.5 times as long, with its whole
    confidence interval above that ratio (on another machine it is not judged, and the verdict says
    so);

    - if the smallest cosine of the drifted features is below 0.85.

    --policy changes these rules, and adds minimum accuracies, largest drops, and the smallest drop
    that the test must be able to detect. The verdict states the smallest drop that could have been
    detected, and how many images a smaller one needs. docs/gating.md shows a complete workflow.
    """
    from tlbench.api import check_gate
    from tlbench.cli.measure import show
    from tlbench.cli.terminal import check_text_files, write_text
    from tlbench.reports import verdict_annotations

    check_text_files(junit, markdown, parents=True)
    found = check_gate(run, baseline, policy=policy, folder=output)
    is_json = output_format is o.OutputFormat.JSON
    with ExitStack() as outputs:  # from the last to the first, each even if another fails
        if annotations:
            notes = verdict_annotations(found.record)
            outputs.callback(typer.echo, notes, nl=False, err=is_json)
        outputs.callback(show, found, output_format.value)
        if markdown is not None:
            text = found.report("markdown")
            outputs.callback(write_text, markdown, text, append=True, parents=True)
        if junit is not None:
            outputs.callback(write_text, junit, found.report("junit"), parents=True)
    raise typer.Exit(0 if found.passed else 1)
