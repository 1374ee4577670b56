"""What `tlbench inspect` says of a model's card."""

from dataclasses import replace

import pytest

from tlbench.reports.model import card_rows


@pytest.mark.parametrize(
    ("formula", "shown"),
    [
        ("x", "; pixels 0 to 255"),
        ("BGR, x", "; BGR, pixels 0 to 255"),
        ("x / 127.5 - 1", "; x / 127.5 - 1"),
        ("max", "; max"),
    ],
)
def test_pixels_that_are_left_as_they_are_read_as_such(golden_run, formula, shown):
    card = replace(golden_run.model.card, preprocessing=formula)
    assert dict(card_rows(card))["Preprocessing"].endswith(shown)
