"""A recipe's file is read key by key, and what is wrong is named with its place."""

from pathlib import Path

import pytest
from msgspec.structs import fields

from tlbench.core.errors import ConfigError, UnknownNameError
from tlbench.recipes import Export, parse_recipe, read_recipe


def test_a_whole_recipe_is_read(recipe):
    """Every part of the file is in the record, with defaults for what it leaves out."""
    (row,) = recipe.rows
    assert (recipe.name, recipe.source.url) == ("small-2020", "https://example.org")
    assert row.head_params == ("softmax.C=0.01",)
    assert list(row.heads) == ["softmax", "centroid"]
    assert row.export == Export(pooling="avg")
    assert row.export.chosen == {"pooling": "avg"}
    assert [figure.protocol for figure in row.figures] == ["holdout", "holdout", "folds"]
    assert row.figures[0].rounding_fraction == 0.0001


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        ("title", "titel", r"key in x\.toml: 'titel'\. Did you mean 'title'\?"),
        ("url =", "ulr =", r"key in source of x\.toml: 'ulr'\. Did you mean 'url'\?"),
        ("n_train", "n_trian", r"rows\[0\] of x\.toml: 'n_trian'\. Did you mean 'n_train'\?"),
        ("fraction = 0.9", "fractoin = 0.9", r"figures\[0\].*Did you mean 'fraction'\?"),
        ('"avg"', '"agv"', r"rows\[0\]\.export\.pooling.*'agv'\. Did you mean 'avg'\?"),
        ("export.pooling", "export.poolng", r"rows\[0\]\.export.*Did you mean 'pooling'\?"),
    ],
)
def test_a_wrong_word_is_named_with_the_nearest(text, right, wrong, message):
    """Where it stands, what was found, what was probably meant."""
    with pytest.raises(UnknownNameError, match=message):
        parse_recipe(text.replace(right, wrong, 1).encode(), "x.toml")


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        ("= 0.9", '= "0.9"', r"rows\[0\]\.figures\[0\]\.fraction: Expected `float`.*found '0\.9'"),
        ("= 898", "= 898.5", r"rows\[0\]\.n_train: Expected `int`, got `float`, found 898\.5"),
        ("= 898", "= true", r"rows\[0\]\.n_train: Expected `int`, got `bool`, found True"),
        ("C = 0.01", "C = [1]", r"rows\[0\].*heads\.softmax\.C must be a single value, got \[1\]"),
        (
            "softmax.C =",
            "softmax =",
            r"heads\.softmax must be a table of names and values, got 0\.01",
        ),
        ('"small-2020"', "5", r"name: Expected `str`, got `int`, found 5"),
        ("= 0.9", "= 90", r"fraction of figure 'softmax' must be a fraction from 0 to 1, got 90"),
        ("folds = 3", "", "is a mean over folds, and the row has none"),
        ('features = "pixels"', 'features = "hog"', "is of 'hog', the row has backbone, pixels"),
        ('head = "softmax"', 'head = "knn"', "is of head 'knn', the row has softmax, centroid"),
        ('url = "https://example.org"', "", r"source of x\.toml lacks the key 'url'"),
        ('"avg"', '"avg"\nexport.crop_fraction = 1.2', "crop_fraction must be greater than 0"),
        ('"avg"', '"avg"\nexport.crop_fraction = 0.9\nexport.fit = "pad"', "belongs to fit='crop'"),
        ("= 898", "= 0", "n_train and n_test must be at least 1"),
        ("deviation_fraction", "low = 1 #", "Unknown key"),
        ('protocol = "folds"', "", "has a deviation, so its protocol must be 'folds'"),
        ("[source]", "[source", "is not a TOML file"),
    ],
)
def test_a_wrong_value_is_named_with_what_was_found(text, right, wrong, message):
    """No value is converted in silence, and nothing is missing in silence."""
    with pytest.raises((ConfigError, UnknownNameError), match=message):
        parse_recipe(text.replace(right, wrong, 1).encode(), "x.toml")


@pytest.mark.parametrize("name", ["none.toml", "."])
def test_a_file_that_cannot_be_read_is_named(tmp_path, name):
    """A missing file and a folder are the user's error, not ours."""
    with pytest.raises(ConfigError, match="cannot be read"):
        read_recipe(tmp_path / name)


def test_two_rows_of_one_name_are_refused(text):
    """--row could not tell them apart."""
    row = text[text.index("[[rows]]") :]
    with pytest.raises(ConfigError, match="rows of different names, got own, own"):
        parse_recipe((text + row).encode(), "x.toml")


def test_the_documented_recipe_is_a_recipe():
    """The example in the documentation has every key, and parses."""
    text = (Path(__file__).parents[2] / "docs" / "recipes.md").read_text()
    example = text.partition("```toml\n")[2].partition("```")[0]
    (row,) = parse_recipe(example.encode(), "docs/recipes.md").rows
    assert row.folds == 6
    for record in (row, *row.figures[:1], row.speeds[0]):
        for field in fields(record):
            assert field.name in example
