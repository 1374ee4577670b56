"""A recipe becomes runs: what of it is kept, what the user changes, what is refused."""

import importlib.util
from dataclasses import replace

import pytest

from tlbench.cli.repeat import reproduce_command
from tlbench.core.errors import ConfigError, UnknownNameError
from tlbench.recipes import RECIPES
from tlbench.workflows import RecipeChoices, RunConfig, reproduce_recipe

RECIPE = """
name = "digits-2020"
title = "Two backbones on digits"
protocol = "hold-out"

[source]
text = "Nobody, 2020"
url = "https://example.org"

[[rows]]
name = "first"
backbone = "efficientnet-lite0"
dataset = "digits"
n_train = 898
n_test = 899
heads.centroid = {}
heads.knn.k = 3
baselines = ["pixels"]

[[rows.figures]]
name = "nearest"
fraction = 0.9
head = "knn"

[[rows.speeds]]
name = "a laptop"
low_s = 0.5
high_s = 0.6

[[rows]]
name = "second"
backbone = "efficientnet-lite1"
dataset = "digits"
n_train = 898
n_test = 899
heads.centroid = {}
heads.knn.k = 3

[[rows.figures]]
name = "nearest"
fraction = 0.9
head = "knn"
"""


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "digits.toml"
    path.write_text(RECIPE)
    return str(path)


@pytest.fixture
def config(tmp_path):
    return RunConfig(
        limit_train=200, limit_test=100, latency=False, cache_dir=tmp_path / "cache", data_dir=None
    )


def run(choices, config, listener=None):
    return [outcome.result for outcome in reproduce_recipe(choices, config, listener)]


def test_rows_that_differ_in_the_backbone_alone_are_one(recipe, config, tiny_path):
    """With another backbone for all of them, nothing is measured twice."""
    (result,) = run(RecipeChoices(recipe=recipe, backbone=str(tiny_path)), config)
    found = result.reproduction
    assert (found.recipe, found.row) == ("digits-2020", "first")
    (figure,) = found.figures
    assert figure.verdict == "not comparable"
    assert figure.reasons == (
        "smaller data: 200 of 898 train images and 100 of 899 test images",
        "other backbone: tiny, not efficientnet-lite0",
    )
    ours = next(r for r in result.accuracy if (r.features, r.head) == ("backbone", "knn"))
    assert (figure.measured_fraction, figure.interval) == (ours.accuracy_fraction, ours.interval)
    assert ours.params["k"] == 3
    assert {r.features for r in result.accuracy} == {"backbone", "pixels"}


def test_limits_that_leave_nothing_out_are_no_reason(recipe, config, tiny_path):
    """The verdict counts images, and looks at no option."""
    whole = replace(config, limit_train=898, limit_test=5000)
    (result,) = run(RecipeChoices(recipe=recipe, backbone=str(tiny_path)), whole)
    assert result.reproduction.figures[0].reasons == (
        "other backbone: tiny, not efficientnet-lite0",
    )
    assert not any("limited to" in warning for warning in result.warnings)


def test_the_users_parameters_win(recipe, config, tiny_path):
    """Whether they name the head or not; and they are a reason."""
    for text in ("k=7", "knn.k=7"):
        changed = replace(config, head_params=(text,))
        (result,) = run(RecipeChoices(recipe=recipe, backbone=str(tiny_path)), changed)
        ours = next(r for r in result.accuracy if r.head == "knn")
        assert ours.params["k"] == 7
        assert result.reproduction.figures[0].reasons[-1] == f"other parameters: {text}"


def test_the_command_repeats_the_recipe(recipe, config, tiny_path):
    """What the recipe says is not repeated, what the user chose is."""
    choices = RecipeChoices(recipe=recipe, rows=("second",), backbone=str(tiny_path))
    assert reproduce_command(choices, replace(config, seed=3)) == (
        f"tlbench reproduce {recipe} --row second --backbone {tiny_path} --limit-train 200 "
        "--limit-test 100 --seed 3 --no-latency"
    )


def test_a_published_time_stands_beside_one_of_this_machine(recipe, config, tiny_path):
    """Only where the row has published times, one image after another."""
    choices = RecipeChoices(recipe=recipe, rows=("first",), backbone=str(tiny_path))
    (result,) = run(choices, replace(config, latency=True))
    assert [one.scenario for one in result.latency] == ["single"]
    (speed,) = result.reproduction.speeds
    assert (speed.name, speed.low_s, speed.high_s) == ("a laptop", 0.5, 0.6)
    (result,) = run(replace(choices, rows=("second",)), replace(config, latency=True))
    assert result.latency == ()


def test_random_weights_have_times_only(recipe, config, tiny_random_path):
    """No accuracy, and that is the verdict's reason."""
    choices = RecipeChoices(recipe=recipe, rows=("first",), backbone=str(tiny_random_path))
    (result,) = run(choices, replace(config, latency=True))
    assert result.accuracy == ()
    assert len(result.latency) == 1
    (figure,) = result.reproduction.figures
    assert (figure.verdict, figure.measured_fraction) == ("not comparable", None)
    assert any("random weights" in reason for reason in figure.reasons)
    with pytest.raises(ConfigError, match="Change one of the two"):
        run(choices, config)


def test_random_weights_of_a_backbone_have_times_only(recipe, config):
    """The same for a name; two rows are two backbones."""
    results = run(
        RecipeChoices(recipe=recipe, weights="random", rows=("first",)),
        replace(config, latency=True),
    )
    assert [result.model.card.weights.kind for result in results] == ["random"]
    assert results[0].reproduction.weights.startswith("random")


def test_a_weights_file_is_for_the_first_backbone(recipe, config, tmp_path, recorder):
    """What is left out is said, with how to choose it."""
    with pytest.raises(Exception, match=r"w\.pth"):
        run(RecipeChoices(recipe=recipe, weights=str(tmp_path / "w.pth")), config, recorder)
    (message,) = recorder.warnings
    assert "left out: second (efficientnet-lite1)" in message
    assert "Choose other rows" in message


@pytest.mark.parametrize(
    ("changes", "error", "match"),
    [
        ({"recipe": "lazybones"}, UnknownNameError, "lazybones-2016"),
        ({"rows": ("third",)}, UnknownNameError, "Unknown row"),
        ({"backbone": "efficientnet-lite9"}, UnknownNameError, "efficientnet-lite"),
        ({"backbone": "a.onnx", "weights": "random"}, ConfigError, "has its weights"),
    ],
)
def test_a_typing_error_costs_no_time(recipe, config, changes, error, match):
    with pytest.raises(error, match=match):
        run(replace(RecipeChoices(recipe=recipe), **changes), config)


@pytest.mark.slow
@pytest.mark.parametrize(
    # its networks are trained: tests/exporters_train/test_rivals_recipe.py
    "name",
    [name for name in RECIPES.names() if name != "cifar100-rivals-2018"],
)
def test_every_built_in_recipe_runs(name, config, real_data, shared_cache):
    """On small limits, with real weights of another backbone; each figure has its verdict."""
    rows = RECIPES.load(name).rows
    trained = any("epochs" in params for row in rows for params in row.heads.values())
    if trained and importlib.util.find_spec("tensorflow") is None:
        pytest.skip("needs tensorflow: pip install 'tlbench[export]'")
    changed = replace(
        config,
        data_dir=real_data,
        cache_dir=shared_cache,
        head_params=("epochs=1",) if trained else (),
    )
    results = run(RecipeChoices(recipe=name, backbone="efficientnet-lite0"), changed)
    for result in results:
        for figure in result.reproduction.figures:
            assert figure.verdict == "not comparable"
            is_measured = figure.measured_fraction is not None
            assert is_measured != figure.reasons[0].startswith("not measured")
            assert is_measured == (figure.interval is not None)
            assert not is_measured or figure.reasons[0].startswith("smaller data")
    measured = {result.reproduction.row for result in results}
    # rows that differ in their backbone alone are one
    assert measured == ({"graph-2015"} if "2016" in name else {row.name for row in rows})
    assert {result.reproduction.recipe for result in results} == {name}
