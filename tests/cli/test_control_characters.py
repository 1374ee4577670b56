"""Names of files and classes reach a terminal as text: no name moves its cursor or its colours."""

import io
import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tlbench.cli.terminal import listening
from tlbench.core.errors import DataError, one_line, printable
from tlbench.reports import gate_files, markdown

# An escape sequence, a line break, a C1 control, a reversal of the direction, a bell.
EVIL = "a\x1b[2J\x1b]0;title\x07b\nc\x9bd\u202ee\u2028f"
SHOWN = r"a\x1b[2J\x1b]0;title\x07b\nc\x9bd\u202ee\u2028f"
UNSAFE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u202e]")


def check(text):
    """Hold that a terminal only shows *text*; return it without the line breaks of its layout."""
    assert not UNSAFE.search(text)
    return "".join(text.split())


@pytest.fixture
def photos(tlbench):
    """Two classes, one of an evil name; an evil image, a broken one and an unused one."""
    generator = np.random.default_rng(3)
    for split in ("train", "test"):
        for shift, name in enumerate((EVIL, "plain")):
            folder = Path("photos", split, name)
            folder.mkdir(parents=True)
            for number in range(8):
                pixels = generator.integers(0, 100, (9, 7, 3)) + 120 * shift
                Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{number}{EVIL}.png")
    Path("photos", "train", "plain", f"0{EVIL}.png").write_bytes(b"no image")
    Path("photos", "test", "plain", f"{EVIL}.heif.psd").write_bytes(b"8BPS")
    return "photos"


@pytest.fixture
def measured(tlbench, quick, tiny_path, photos):
    done = tlbench(
        "run", tiny_path, "--dataset", "folder:photos", "--baselines", "none", *quick[2:]
    )
    assert done.code == 0, done.err
    return done


def test_a_report_shows_control_characters_as_text(tlbench, measured):
    text = check(measured.out)
    assert f"test/plain/{SHOWN}.heif.psd" in text
    assert f"0{SHOWN}.png" in text  # the broken one, in a warning
    check(measured.err)
    check(tlbench("report", "last").out)


def test_json_keeps_the_real_names(tlbench, measured):
    document = json.loads(tlbench("report", "last", "--format", "json").out)
    assert document["dataset"]["classes"] == [EVIL, "plain"]
    assert any(EVIL in name for one in document["dataset"]["unused"] for name in one["examples"])


@pytest.fixture
def classifier(tlbench, tiny_path, photos):
    options = ("--dataset", "folder:photos", "--heads", "softmax", "--no-latency")
    assert tlbench("run", tiny_path, *options).code == 0
    done = tlbench("fuse", "last", "-o", "c.onnx")
    assert done.code == 0, done.err
    return done


def test_predictions_and_models_show_them_as_text(tlbench, classifier):
    """Paths, class names, warnings, and the classes in the file of a classifier."""
    assert SHOWN in check(classifier.out)
    assert SHOWN in check(tlbench("inspect", "c.onnx").out)
    done = tlbench("predict", "c.onnx", "photos")
    assert len(done.out.splitlines()) == 31  # one line each
    assert f"{SHOWN}(" in check(done.out)
    assert f"not used: 1 .psd file (format not supported): photos/test/plain/{SHOWN}.heif.psd" in (
        done.err
    )
    check(done.err)
    document = json.loads(tlbench("predict", "c.onnx", "photos", "--format", "json").out)
    assert {one["class"] for one in document["images"]} <= {EVIL, "plain"}
    assert any(EVIL in one["image"] for one in document["images"])


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", f"{EVIL}.onnx"),
        ("run", EVIL),
        ("evaluate", "{model}", "--dataset", f"folder:{EVIL}"),
        ("evaluate", "{model}", "--dataset", EVIL),
        ("evaluate", "{model}", "--heads", EVIL),
        ("run", "{model}", "--batch-size", EVIL),
        ("report", EVIL),
        ("predict", EVIL, EVIL),
        ("compare", EVIL, EVIL),
        ("gate", EVIL),
        (EVIL,),
    ],
    ids=lambda arguments: arguments[0][:7].strip("\x1b[2J"),
)
def test_errors_show_them_as_text(tlbench, tiny_path, arguments):
    done = tlbench(*(word.replace("{model}", str(tiny_path)) for word in arguments))
    assert done.code == 2
    assert done.err.count("\n") == 1
    check(done.out + done.err)


def test_progress_and_warnings_show_them_as_text(monkeypatch):
    """On a terminal, where rich would take square brackets for its markup."""

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with listening(quiet=False) as listener:
        listener.start(f"read {EVIL} [red]x[/blue]", 3, "images")
        listener.warn(f"about {EVIL} [red]x[/blue]")
        listener.advance()
        listener.finish()
        listener.warn(EVIL)
    assert f"about {SHOWN} [red]x[/blue]" in terminal.getvalue()
    assert "[2J\x1b]0" not in terminal.getvalue()
    assert "[/blue]" in terminal.getvalue()


@pytest.mark.parametrize(
    "name",
    ["Grüße", "猫", "قطة", "👩‍🚀", "a\u00a0b", "\u200f\u05d0\u05d1", "e\u0301", "a\\x1b", "\ue000"],
)
def test_other_characters_stay(name):
    """Letters of all scripts, joined emoji, spaces of other widths."""
    assert printable(name) == name


def test_names_that_are_not_utf8_are_written_out():
    assert printable(os.fsdecode(b"caf\xe9")) == r"caf\udce9"


def test_an_error_is_one_line():
    assert one_line(DataError("a\r\n b\tc\x1b[0m")) == r"a b c\x1b[0m"


@pytest.mark.parametrize(
    ("escape", "shown"),
    [
        (markdown.markdown_cell, r"a\\x1b\[31m b"),
        (gate_files._data, r"a\x1b[31m%0Ab"),
        (gate_files._xml, "a?[31m\nb"),
    ],
    ids=["Markdown", "GitHub", "JUnit"],
)
def test_files_of_a_gate_show_them_as_text(escape, shown):
    assert escape("a\x1b[31m\nb") == shown
