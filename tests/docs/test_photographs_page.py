"""The page on images that are not square: its commands and its example do what it says."""

import numpy as np
import pytest
from documents import REPOSITORY, blocks_of
from PIL import Image

PAGE = REPOSITORY / "docs" / "photographs.md"
TEXT = " ".join(PAGE.read_text(encoding="utf-8").split())


@pytest.fixture
def photos(tlbench, tmp_path):
    """Images of 4:3 in the folder in which commands run."""
    generator = np.random.default_rng(0)
    for name, low in (("bright", 120), ("dark", 0)):
        folder = tmp_path / "work" / "photos" / name
        folder.mkdir(parents=True)
        for i in range(5):
            pixels = generator.integers(low, low + 120, (24, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"{i}.jpg")


@pytest.mark.filterwarnings("ignore:.*:UserWarning")  # a busy machine
def test_commands_and_example_run(photos, tlbench):
    """In the order of the page, with one cache."""
    (console,) = blocks_of(PAGE, "console")
    commands = [line.removeprefix("$ tlbench ").split() for line in console.text.splitlines()]
    done = [tlbench(*command) for command in commands]
    assert [one.code for one in done] == [0] * 4
    padded, cropped, _, inspected = (" ".join(one.out.split()) for one in done)
    assert "of the images' area on average" not in padded
    # 21 of 24 rows, and as many of 32 columns
    assert f"does not see {100 * (1 - 21 * 21 / (24 * 32)):.1f} % of the images' area" in cropped
    assert "crop to the centred square, 0.875 of the shorter side" in inspected
    assert "half-pixel centres, antialiasing" in inspected
    names = {}
    (python,) = blocks_of(PAGE, "python")
    exec(python.text, names)
    assert names["codes"].shape == (10, 1280)


def test_the_page_names_every_field_of_the_card():
    from dataclasses import fields

    from tlbench.model import Preprocess

    assert [one.name for one in fields(Preprocess) if f"`{one.name}`" not in TEXT] == []
