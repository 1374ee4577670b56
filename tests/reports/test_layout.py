"""Tables on a terminal: behind their title, under it, wrapped, or a line a cell; never cut."""

import pytest

from tlbench.reports.layout import laid_out, titled
from tlbench.reports.tables import Table

FIGURES = ("12.3 %", "[10.0, 14.6]", "4.20 ms")


def table(name, note="fine", title="Title", rows=2):
    """Return a table of two texts and three figures in each row."""
    return Table(
        title,
        ("name", "accuracy", "95 % interval", "median", "note"),
        (False, True, True, True, False),
        ((name, *FIGURES, note),) * rows,
    )


def lines(found, width=80):
    return laid_out(titled(found, width), width=width, color=False).splitlines()


def assert_whole(text, *texts):
    """Every figure and every word stands there in one piece."""
    assert "…" not in text
    words = text.split()
    for figure in FIGURES:
        assert figure in text
    assert [word for one in texts for word in one.split() if word not in words] == []


def test_a_small_table_stands_behind_its_title():
    first, second, third = lines(table("softmax"))
    assert first == "  Title        name     accuracy  95 % interval   median  note"
    assert second == third == f"{'':15}softmax    12.3 %   [10.0, 14.6]  4.20 ms  fine"


def test_a_long_title_stands_above():
    assert lines(table("softmax", title="A long title"))[0] == "  A long title"


def test_a_wide_table_stands_under_its_title():
    """With fifteen columns more it is whole."""
    found = lines(table("svm-linear-fast", note="from the feature store"))
    assert found[0] == "  Title"
    assert found[1].startswith("    name  ")
    assert_whole("\n".join(found), "svm-linear-fast from the feature store")
    assert len(found) == 4


def test_a_text_wraps_between_words_and_figures_do_not():
    note = "differs in threads, provider and precision, and in the shape of its input"
    found = lines(table("svm-linear-fast", note))
    assert len(found) > 4
    assert_whole("\n".join(found), "svm-linear-fast", note)


def test_a_header_wraps_before_anything_is_cut():
    """A figure is narrower than its header, and one column is missing."""
    name = "n" * 37
    found = lines(table(name, "n/a"))
    assert found[1].split() == ["name", "accuracy", "95", "%", "median", "note"]
    assert found[2].split() == ["interval"]
    assert_whole("\n".join(found), name)


@pytest.mark.parametrize(("name", "width"), [("n" * 60, 80), ("softmax", 40), ("softmax", 32)])
def test_what_fits_nowhere_becomes_a_line_a_cell(name, width):
    """Narrow terminals and long paths: the figures stay whole, a blank line parts the rows."""
    found = lines(table(name, "not known"), width)
    assert max(map(len, found)) <= width
    assert found.count("") == 1
    text = "\n".join(found)
    for figure in FIGURES:
        assert figure in text
    assert "…" not in text
    assert text.replace("\n", "").replace(" ", "").count(name) == 2


def test_a_long_name_breaks_at_a_seam_before_it_becomes_a_line_a_cell():
    """After the dot of an entry or the @ of a candidate, and never inside a number."""
    found = lines(table("backbone.svm-linear-fast@provider=cuda", "within 0.05 of the other"))
    assert found[1].split()[:2] == ["name", "accuracy"]
    assert_whole("\n".join(found), "backbone. svm-linear-fast@ provider=cuda", "0.05")


def test_an_empty_cell_has_no_line():
    found = lines(table("n" * 70, ""))
    assert not any("note" in line for line in found)


def test_letters_of_two_columns_count_as_two():
    """A Chinese class name takes twice the space."""
    found = lines(table("猫" * 15))
    assert found[0] == "  Title"
    assert found[2].startswith("    " + "猫" * 15 + "  ")
    assert_whole("\n".join(found), "猫" * 15)
