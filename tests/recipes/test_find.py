"""Recipes by name and by path, and what the built-in ones say."""

import pytest

from tlbench.core.errors import ConfigError, UnknownNameError
from tlbench.datasets import DATASETS
from tlbench.features import BASELINES
from tlbench.heads import HEADS, parse_params, resolve_head_params
from tlbench.model import BACKBONES, ExportOptions, find_network
from tlbench.recipes import RECIPES, find_recipe, find_rows

NAMES = RECIPES.names()


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_names_only_what_exists(name):
    """Backbones, datasets, heads with their parameters, and baselines are all known."""
    recipe = RECIPES.load(name)
    assert recipe.name == name
    assert recipe.source.url.startswith("https://")
    for row in recipe.rows:
        assert row.dataset.partition(":")[0] in DATASETS.names()
        assert set(row.baselines) <= set(BASELINES.names())
        if "classifier" in row.heads:
            assert find_network(row.backbone).name == row.backbone
            continue
        assert row.backbone in BACKBONES.names()
        heads = [HEADS.load(head) for head in row.heads]
        resolve_head_params(heads, parse_params(row.head_params))
        ExportOptions(**row.export.chosen)
        # what the authors of those years did with images that are not square
        assert row.export.fit == "squash"


def test_a_path_is_a_recipe_of_the_users(tmp_path, text):
    """Whatever its name inside; a suffix or a folder tells a path from a name."""
    path = tmp_path / "mine.toml"
    path.write_text(text)
    assert find_recipe(str(path)).name == "small-2020"
    with pytest.raises(ConfigError, match="cannot be read"):
        find_recipe(str(tmp_path / "other.toml"))


def test_an_unknown_recipe_has_a_nearest():
    with pytest.raises(UnknownNameError, match="Did you mean 'lazybones-2016'"):
        find_recipe("lazybone-2016")


def test_rows_are_found_by_name(recipe):
    """All for none; an unknown one is named with those that there are."""
    assert find_rows(recipe, ()) == find_rows(recipe, ("own",)) == list(recipe.rows)
    with pytest.raises(UnknownNameError, match=r"Unknown row of small-2020 'onw'.*'own'"):
        find_rows(recipe, ("onw",))


# The published figures, from the table in the design: recipe, row, figure's name, fraction.
PUBLISHED = [
    ("lazybones-2016", "graph-2015", "SVM on CNN codes", 0.8741),
    ("lazybones-2016", "graph-2015", "SVM on HOG features", 0.59),
    ("lazybones-2016", "keras", "SVM on CNN codes", 0.8741),
    ("softmax-2016", "graph-2015", "softmax on CNN codes", 0.877),
    ("softmax-2016", "graph-2015", "after 100 mini-batches", 0.80),
    ("softmax-2016", "keras", "softmax on CNN codes", 0.877),
    ("keras-shallow-2017", "conv", "conv on unpooled features", 0.8268),
    ("cifar100-capstone-2018", "fine", "dense head, fine labels", 0.7641),
    ("cifar100-capstone-2018", "fine", "the same, 6 folds", 0.7668),
    ("cifar100-capstone-2018", "coarse", "dense head, coarse labels", 0.8487),
    ("cifar100-rivals-2018", "cnn", "four-layer CNN, fine labels", 0.4430),
    ("cifar100-rivals-2018", "cnn", "four-layer CNN, fine, 6 folds", 0.4125),
    ("cifar100-rivals-2018", "finetune", "last block fine-tuned, fine", 0.6193),
    ("cifar100-rivals-2018", "wrn", "WRN-28-8 from scratch, fine", 0.6563),
    ("cifar100-rivals-2018", "cnn-coarse", "four-layer CNN, coarse labels", 0.5640),
    ("cifar100-rivals-2018", "finetune-coarse", "last block fine-tuned, coarse", 0.7524),
]


@pytest.mark.parametrize(("name", "row", "figure", "fraction"), PUBLISHED)
def test_the_published_figures_are_there(name, row, figure, fraction):
    """Nobody changes a published figure by accident."""
    (found,) = [one for one in RECIPES.load(name).rows if one.name == row]
    assert [one.fraction for one in found.figures if one.name == figure] == [fraction]


def test_the_figures_are_all_tested():
    """A recipe that is added is added to the table above."""
    figures = [(n, r.name, f.name) for n in NAMES for r in RECIPES.load(n).rows for f in r.figures]
    assert sorted(figures) == sorted(one[:3] for one in PUBLISHED)


@pytest.mark.parametrize("name", ["lazybones-2016", "softmax-2016"])
def test_the_2016_recipes_run_the_graph_of_2015_first(name):
    """Keras's weights come second, and say that they are others."""
    first, second = RECIPES.load(name).rows
    assert first.backbone == "inceptionv3-2015"
    assert not first.differs
    assert second.backbone == "inceptionv3"
    assert "other weights" in second.differs[0]
