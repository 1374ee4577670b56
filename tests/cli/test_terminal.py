"""Progress is for people at a terminal; warnings are for everybody."""

import os
import pty
import subprocess
import sys

import pytest

from tlbench.cli.terminal import listening

PROGRAM = """
from tlbench.cli.terminal import listening
with listening(quiet={quiet}) as listener:
    listener.start("extract train", 200, "images")
    for _ in range(4):
        listener.advance(50)
    listener.warn("something changed [bold] the meaning")
    listener.start("fit softmax")
"""


def on_a_terminal(quiet):
    """Run the program with stderr on a pseudo-terminal of 80 columns; return what appears there."""
    parent, child = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(quiet=quiet)],
        stdout=subprocess.PIPE,
        stderr=child,
        env=os.environ | {"COLUMNS": "80", "TERM": "xterm"},
    )
    os.close(child)
    shown = b""
    while True:
        try:
            block = os.read(parent, 4096)
        except OSError:  # the other end is closed
            break
        if not block:
            break
        shown += block
    os.close(parent)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert out == b""  # stdout is for results
    return shown.decode()


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_a_terminal_sees_the_task_and_the_count():
    shown = on_a_terminal(quiet=False)
    assert "extract train" in shown
    assert "200/200" in shown
    assert "fit softmax" in shown
    assert "tlbench: warning: something changed [bold] the meaning" in shown


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_quiet_shows_warnings_only():
    shown = on_a_terminal(quiet=True)
    assert shown.strip() == "tlbench: warning: something changed [bold] the meaning"


def test_without_a_terminal_there_is_no_progress(capsys):
    with listening(quiet=False) as listener:
        listener.start("extract train", 200, "images")
        listener.advance(200)
    assert capsys.readouterr() == ("", "")
