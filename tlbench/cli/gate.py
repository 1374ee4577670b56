"""`tlbench gate`."""

from pathlib import Path
from typing import Annotated

import typer

from tlbench.cli import options as o


def gate(
    run: Annotated[
        str,
        typer.Argument(
            help="A run: its folder, its run.json, its id, or 'last'; RUN#LABEL for one candidate."
        ),
    ] = "last",
    *,
    baseline: Annotated[
        Path, typer.Option(metavar="FILE.json", help="Written by tlbench baseline save.")
    ],
    policy: Annotated[
        Path | None,
        typer.Option(metavar="FILE.toml", help="Rules instead of the default ones above."),
    ] = None,
    output_format: o.Format = o.OutputFormat.CONSOLE,
    junit: Annotated[
        Path | None, typer.Option(metavar="FILE.xml", help="Write the verdict as JUnit XML too.")
    ] = None,
    markdown: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.md",
            help="Append the verdict as Markdown to this file, for $GITHUB_STEP_SUMMARY.",
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
    """Hold a run against a baseline, and exit 1 where it fails.

    Nothing is measured. The data must be the same, image by image, and nothing in the baseline may
    be missing in the run. By default a run fails

    - where McNemar's exact test finds an entry less accurate than in the baseline (one-sided; 1 %
    for all entries together) and more than 0.5 points were lost;

    - where a timing of a like machine takes more than 1.5 times as long, its whole interval above
    (on another machine: not judged, which is said);

    - where the smallest cosine of drifted features is below 0.85.

    --policy changes each of these, and adds floors, largest drops and how small a drop must be
    found. The verdict says how small a drop it could have found, and how many images a finer one
    needs. docs/gating.md has a whole workflow.
    """
    from tlbench.cli.stdout import stdout_layout
    from tlbench.compare import open_compared_run
    from tlbench.gate import Policy, judge_run, read_policy
    from tlbench.records import read_baseline
    from tlbench.reports import (
        render_verdict,
        verdict_annotations,
        verdict_document,
        verdict_junit,
        verdict_markdown,
    )

    rules = read_policy(policy) if policy else Policy()
    found = judge_run(
        open_compared_run(run, output),
        read_baseline(baseline),
        rules,
        baseline_file=str(baseline),
        policy_source=str(policy) if policy else "default",
    )
    if junit is not None:
        _write(junit, verdict_junit(found))
    if markdown is not None:
        _write(markdown, verdict_markdown(found), mode="a")
    is_json = output_format is o.OutputFormat.JSON
    width, color = stdout_layout()
    text = verdict_document(found) if is_json else render_verdict(found, width=width, color=color)
    typer.echo(text, nl=False)
    if annotations:
        typer.echo(verdict_annotations(found), nl=False, err=is_json)
    raise typer.Exit(0 if found.passed else 1)


def _write(path: Path, text: str, *, mode: str = "w") -> None:
    from tlbench.core.errors import StorageError

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open(mode, encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror}.") from error
