"""The command line in this process: arguments in; exit code, stdout and stderr out."""

from dataclasses import dataclass

import pytest

from tlbench.cli import main


@dataclass
class Finished:
    code: int
    out: str
    err: str


@pytest.fixture
def tlbench(monkeypatch, capsys, tmp_path):
    """Run a command in an empty folder."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)

    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["tlbench", *map(str, arguments)])
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = stop.code or 0
        out, err = capsys.readouterr()
        return Finished(code, out, err)

    return run


QUICK = ("--limit-train", "200", "--limit-test", "100", "--heads", "centroid", "--no-latency")


@pytest.fixture
def quick():
    """Options of a run that takes a second."""
    return QUICK
