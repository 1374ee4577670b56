"""Saved runs in Python: load, compare, judge, and write as reports."""

from pathlib import Path
from typing import TYPE_CHECKING

from tlbench.api.results import Comparison, Run, Verdict
from tlbench.core.errors import ConfigError
from tlbench.core.files import write_atomically

if TYPE_CHECKING:
    from tlbench.api.sweeps import Pick, Sweep
    from tlbench.compare import ComparedRun
    from tlbench.gate import Policy
    from tlbench.records import Baseline

_FORMATS = {".html": "html", ".json": "json", ".txt": "console", ".xml": "junit", ".md": "markdown"}


def load_run(run: str | Path = "last", *, folder: str | Path = "runs") -> Run:
    """Return a saved run.

    Parameters
    ----------
    run : str or Path
        The run's folder, its ``run.json``, its id, or ``"last"``.
    folder : str or Path
        Folder in which runs are saved, for an id or ``"last"``.

    Raises
    ------
    ResultError
        If there is no such run, or it is damaged.

    Examples
    --------
    >>> folder = tlbench.evaluate(limit_train=100).save("runs")
    >>> tlbench.load_run("last").id == folder.name
    True
    """
    from tlbench.records import find_run, read_run

    path = find_run(str(run), Path(folder).expanduser())
    return Run(read_run(str(path), Path(folder)), folder=path.parent)


def compare_runs(
    *runs: Run | str | Path, allow_unlike: bool = False, folder: str | Path = "runs"
) -> Comparison:
    """Compare runs with the first of them, also from different machines.

    Parameters
    ----------
    *runs : Run, str or Path
        Runs, or what `load_run` takes; ``"RUN#LABEL"`` is one of several models of a run.
    allow_unlike : bool
        Whether to compare results that differ in more than the machine, such as the batch size; the
        report lists the differences.
    folder : str or Path
        As for `load_run`.

    Raises
    ------
    ComparisonError
        If the runs have nothing in common, or differ and *allow_unlike* is false.

    Examples
    --------
    >>> first = tlbench.evaluate(heads="softmax", limit_train=100)
    >>> second = tlbench.evaluate(heads="softmax", limit_train=100, batch_size=8)
    >>> tlbench.compare_runs(first, second).accuracy[0].paired.difference_fraction
    0.0
    """
    from tlbench import compare

    compared = [_compared(run, folder) for run in runs]
    found = compare.compare_runs(compared, allow_unlike=allow_unlike)
    return Comparison(found, [one.run for one in compared])


def check_gate(
    run: Run | str | Path,
    baseline: "str | Path | Baseline",
    *,
    policy: "Policy | str | Path | None" = None,
    folder: str | Path = "runs",
) -> Verdict:
    """Judge a run against a baseline; nothing is measured.

    Parameters
    ----------
    run : Run, str or Path
        A run, or what `load_run` takes.
    baseline : str, Path or Baseline
        A file that `Run.save_baseline` or ``tlbench baseline save`` wrote.
    policy : Policy, str, Path or None
        Rules, or the path of a TOML file with them; None for the default ones.
    folder : str or Path
        As for `load_run`.

    Returns
    -------
    Verdict
        True if the run passed: ``assert tlbench.check_gate(run, "baseline.json")``.

    Raises
    ------
    GateError
        If baseline or policy cannot be used: there is no verdict then.

    Examples
    --------
    >>> run = tlbench.evaluate(heads="softmax", limit_train=100)
    >>> tlbench.check_gate(run, run.save_baseline("baseline.json"))
    Verdict(passed)
    """
    from tlbench.gate import Policy, judge_run, read_policy
    from tlbench.records import read_baseline

    baseline_file, policy_source = "", "default"
    if isinstance(baseline, str | Path):
        baseline_file = str(baseline)
        baseline = read_baseline(Path(baseline).expanduser())
    if isinstance(policy, str | Path):
        policy_source = str(policy)
        policy = read_policy(Path(policy).expanduser())
    elif policy is not None:
        policy_source = "passed from Python"
    verdict = judge_run(
        _compared(run, folder),
        baseline,
        policy or Policy(),
        baseline_file=baseline_file,
        policy_source=policy_source,
    )
    return Verdict(verdict)


def write_report(
    result: "Run | Comparison | Verdict | Sweep | Pick",
    file: str | Path,
    report_format: str | None = None,
) -> Path:
    """Write a run, a comparison, a verdict, a sweep or a pick to a file.

    Parameters
    ----------
    result : Run, Comparison, Verdict, Sweep or Pick
        What to write.
    file : str or Path
        The file, which is replaced.
    report_format : str or None
        A format that ``result.report`` knows; None to choose by the file's suffix: ``.html``,
        ``.json``, ``.txt`` (as on a console), ``.md`` or ``.xml`` (JUnit).

    Raises
    ------
    ConfigError
        If the suffix names no format.
    UnknownNameError
        If *result* has no such format.
    StorageError
        If the file cannot be written.

    Examples
    --------
    >>> tlbench.write_report(tlbench.evaluate(limit_train=100), "report.txt").name
    'report.txt'
    """
    path = Path(file).expanduser()
    chosen = report_format or _FORMATS.get(path.suffix.lower())
    if chosen is None:
        raise ConfigError(
            f"The suffix of {path} names no format. Known: {', '.join(_FORMATS)}. "
            "Pass report_format=... for another suffix."
        )
    write_atomically(path, result.report(chosen))
    return path


def _compared(run: Run | str | Path, folder: str | Path) -> "ComparedRun":
    from tlbench.compare import open_compared_run

    if isinstance(run, Run):
        return run.compared()
    return open_compared_run(str(run), Path(folder).expanduser())
