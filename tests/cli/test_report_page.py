"""The page beside a saved run, and ``tlbench report --format html``."""

from pathlib import Path

import pytest

import tlbench as api
from tlbench.core.errors import UnknownNameError


@pytest.fixture
def measured(tlbench, quick, tiny_path):
    """Measure with further options; return the folder of the run."""

    def run(*options):
        before = set(Path("runs").glob("*"))
        done = tlbench("run", tiny_path, *quick, "--quiet", *options)
        assert done.code == 0, done.err
        (folder,) = set(Path("runs").glob("*")) - before
        return folder

    return run


def test_a_run_has_a_page_beside_it(measured):
    page = (measured() / "report.html").read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>")
    assert "classifies digits with" in page
    assert "thumb{background-image" in page


def test_a_page_can_be_left_out(measured):
    """The images are kept all the same: a page can be made later."""
    folder = measured("--no-html")
    assert not (folder / "report.html").exists()
    assert (folder / "images.json").exists()


def test_a_page_is_written_anywhere(tlbench, measured):
    """The run is the last one if none is named."""
    measured()
    done = tlbench("report", "--format", "html", "-o", "page.html")
    assert (done.code, done.out, done.err) == (0, "", "")
    assert Path("page.html").read_text(encoding="utf-8").endswith("</html>\n")


def test_a_page_goes_to_stdout(tlbench, measured):
    measured()
    assert tlbench("report", "last", "--format", "html").out.startswith("<!DOCTYPE html>")


def test_the_place_is_checked_first(tlbench, measured):
    """A map may take a minute."""
    measured()
    done = tlbench("report", "--format", "html", "-o", "no/page.html")
    assert done.code == 2
    assert "there is no folder no" in done.err


@pytest.mark.parametrize("style", ["console", "json", "html"])
def test_several_runs_are_held_against_the_first(tlbench, measured, style):
    """As by compare, with what differs."""
    folders = [measured("--no-html"), measured("--no-html", "--batch-size", "8")]
    done = tlbench("report", *folders, "--format", style)
    assert done.code == 0
    assert all(folder.name in done.out for folder in folders)
    if style == "html":
        assert "Difference from A on the same images" in done.out
        assert "The runs side by side" in done.out
        assert "<script" not in done.out


def test_a_format_for_one_run_is_refused_for_several(tlbench, measured):
    folders = [measured("--no-html"), measured("--no-html")]
    done = tlbench("report", *folders, "--format", "pytest-benchmark")
    assert done.code == 2
    assert "pytest-benchmark" in done.err


def test_pages_are_written_from_python(tiny_path, tmp_path):
    """Of a run that is not saved, too; and of a comparison."""
    runs = [
        api.evaluate(tiny_path, heads="centroid", limit_train=60, limit_test=50, seed=seed)
        for seed in (0, 0)
    ]
    one = api.write_report(runs[0], tmp_path / "run.html").read_text(encoding="utf-8")
    assert "thumb{background-image" in one
    both = api.write_report(api.compare_runs(*runs), tmp_path / "both.html")
    assert "Overview" in both.read_text(encoding="utf-8")
    with pytest.raises(UnknownNameError):
        api.compare_runs(*runs).report("markdown-of-nothing")


def test_a_run_that_is_saved_again_keeps_its_images(tiny_path, tmp_path):
    run = api.evaluate(tiny_path, heads="centroid", limit_train=60, limit_test=50)
    first = run.save(tmp_path / "a", html=False)
    second = api.load_run(first).save(tmp_path / "b")
    for name in ("images.json", "thumbnails.webp"):
        assert (first / name).read_bytes() == (second / name).read_bytes()
    assert "Map of the features" in (second / "report.html").read_text(encoding="utf-8")
