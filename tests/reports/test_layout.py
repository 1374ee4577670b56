"""Reports on a terminal: titles with tables and lines under them, wrapped and never cut."""

import pytest

from tlbench.reports.base import table
from tlbench.reports.layout import laid_out

FIGURES = ("12.3 %", "[10.0, 14.6]", "4.20 ms")
COLUMNS = "name | >accuracy | >95 % interval | >median | note"


def lines(name, note="fine", width=80):
    """Lay a table out, of two texts and three figures in each of two rows."""
    found = table("Title", COLUMNS, ((name, *FIGURES, note),) * 2)
    title, blank, *rest = laid_out(["Report"], [found], width=width, color=False).splitlines()
    assert (title, blank) == ("Report", "")
    return rest


def assert_whole(text, *texts):
    """Every figure and every word stands there in one piece."""
    assert "…" not in text
    words = text.split()
    for figure in FIGURES:
        assert figure in text
    assert [word for one in texts for word in one.split() if word not in words] == []


def test_a_table_stands_under_its_title():
    title, first, second, third = lines("softmax")
    assert title == "  Title"
    assert first == "    name     accuracy  95 % interval   median  note"
    assert second == third == "    softmax    12.3 %   [10.0, 14.6]  4.20 ms  fine"


def test_a_table_without_title_is_the_answer():
    """It has no header, and stands a step further to the left."""
    found = table("", "|>|", [("softmax on backbone", "87.0 %", "VALID")])
    text = laid_out(["Report"], [found], width=80, color=False)
    assert text == "Report\n\n  softmax on backbone  87.0 %  VALID\n"


def test_lines_stand_under_their_title():
    """Several are a list; a section of none is left out, and its blank line with it."""
    sections = {"Saved": ["runs/1"], "Nothing": [], "Notes": ["a " * 30 + "b", "c"]}
    assert laid_out(["Report"], [sections, {"Nothing": []}], width=40, color=False) == (
        "Report\n\n  Saved\n    runs/1\n  Notes\n"
        "    - a a a a a a a a a a a a a a a a a\n      a a a a a a a a a a a a a b\n    - c\n"
    )


def test_a_title_breaks_between_its_parts():
    text = laid_out(["efficientnet-lite0", "cifar10 (5,085 train)"], [], width=40, color=False)
    assert text == "efficientnet-lite0 ·\ncifar10 (5,085 train)\n"


def test_a_text_wraps_between_words_and_figures_do_not():
    note = "differs in threads, provider and precision, and in the shape of its input"
    found = lines("svm-linear-fast", note)
    assert len(found) > 4
    assert_whole("\n".join(found), "svm-linear-fast", note)


def test_a_header_wraps_before_anything_is_cut():
    """A figure is narrower than its header, and one column is missing."""
    name = "n" * 37
    found = lines(name, "n/a")
    assert found[1].split() == ["95", "%"]
    assert found[2].split() == ["name", "accuracy", "interval", "median", "note"]
    assert_whole("\n".join(found), name)


@pytest.mark.parametrize(("name", "width"), [("n" * 60, 80), ("softmax", 40), ("softmax", 32)])
def test_what_fits_nowhere_becomes_a_line_a_cell(name, width):
    """Narrow terminals and long paths: the figures stay whole, a blank line parts the rows."""
    found = lines(name, "not known", width)
    assert max(map(len, found)) <= width
    assert found.count("") == 1
    text = "\n".join(found)
    for figure in FIGURES:
        assert figure in text
    assert "…" not in text
    assert text.replace("\n", "").replace(" ", "").count(name) == 2


def test_a_long_name_breaks_at_a_seam_before_it_becomes_a_line_a_cell():
    """After the dot of an entry or the @ of a candidate, and never inside a number."""
    found = lines("backbone.svm-linear-fast@provider=cuda", "within 0.05 of the other")
    assert found[1].split()[:2] == ["name", "accuracy"]
    assert_whole("\n".join(found), "backbone. svm-linear-fast@ provider=cuda", "0.05")


def test_a_name_breaks_after_a_hyphen_where_no_other_seam_will_do():
    """Not inside a number or before the name of an option."""
    found = lines("efficientnet-lite0@size=96", "at least -1.5 with --max-latency", 60)
    text = "\n".join(found)
    assert_whole(text, "efficientnet- lite0@ size=96", "at least -1.5 with --max- latency")
    assert len(found) > 4


def test_a_header_breaks_at_a_seam_as_well():
    found = table("Title", "cell | >ms/image | >interval", [("n" * 20, "1", "[1, 2]")])
    text = laid_out(["Report"], [found], width=41, color=False)
    assert text.split()[2:6] == ["ms/", "cell", "image", "interval"]


def test_an_empty_cell_has_no_line():
    found = lines("n" * 70, "")
    assert not any("note" in line for line in found)


def test_letters_of_two_columns_count_as_two():
    """A Chinese class name takes twice the space."""
    found = lines("猫" * 15)
    assert found[0] == "  Title"
    assert found[2].startswith("    " + "猫" * 15 + "  ")
    assert_whole("\n".join(found), "猫" * 15)
