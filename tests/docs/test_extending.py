"""The plugins that the documents show work as they stand, from a package that offers them."""

import importlib
import json
import re
import sys

import pytest
from documents import REPOSITORY, blocks_of

GUIDE = REPOSITORY / "docs" / "extending.md"
RECIPES = REPOSITORY / "docs" / "recipes.md"
QUICK = ("--limit-train", "120", "--limit-test", "60", "--baselines", "none", "--quiet")


def _sources(path):
    """Return the files of the package that a document shows: those that begin with their name."""
    blocks = [block.text for block in blocks_of(path, "python")]
    named = [(re.match(r"# my_package/(\w+)\.py\n", text), text) for text in blocks]
    return {match[1]: text for match, text in named if match}


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Install the documents' package, as far as Python can tell; return its folder."""
    folder = tmp_path / "site" / "my_package"
    folder.mkdir(parents=True)
    (folder / "__init__.py").touch()
    for name, text in (_sources(GUIDE) | _sources(RECIPES)).items():
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
    recipe = next(block.text for block in blocks_of(RECIPES, "toml"))
    (folder / "plants.toml").write_text(recipe, encoding="utf-8")
    info = folder.parent / "my_package-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[tlbench.heads]\nridge = my_package.heads:RIDGE\nwide = my_package.wide:WIDE\n"
        "[tlbench.datasets]\nplants = my_package.plants:load\n"
        "[tlbench.recipes]\nplants-2026 = my_package.recipes:PLANTS\n"
    )
    monkeypatch.syspath_prepend(folder.parent)
    importlib.invalidate_caches()
    yield folder
    for name in [name for name in sys.modules if name.startswith("my_package")]:
        del sys.modules[name]


def test_the_entry_point_shown_is_the_heads(package):
    """The lines for pyproject.toml name the object in the file above them."""
    (block,) = blocks_of(GUIDE, "toml")
    entries = (package.parent / "my_package-1.0.dist-info" / "entry_points.txt").read_text()
    assert 'project.entry-points."tlbench.heads"' in block.text
    assert re.sub('"', "", block.text.splitlines()[1]) in entries


def test_the_head_is_listed_fitted_searched_and_fused(package, tlbench, tiny_path):
    """With the parameter that the text sets, with the search that it adds, in one file."""
    assert "ridge  " in tlbench("list", "heads").out
    ridge = ("evaluate", tiny_path, *QUICK, "--heads", "ridge", "--format", "json")
    done = tlbench(*ridge, "--head-param", "alpha=10")
    assert done.code == 0, done.err
    assert json.loads(done.out)["accuracy"][0]["params"] == {"alpha": 10.0}
    done = tlbench("fuse", "last", "--head", "ridge", "-o", "ridge.onnx", "--quiet")
    assert done.code == 0, done.err
    # The guide's next block is what the sentence below it hands to Head.
    space = next(text for _, text in blocks_of(GUIDE, "python") if "SearchSpace(" in text)
    space = space.replace("SearchSpace(p", "SPACE = SearchSpace(p")
    with (package / "heads.py").open("a", encoding="utf-8") as file:
        file.write(
            f"{space}\nfrom dataclasses import replace\nRIDGE = replace(RIDGE, search=SPACE)"
        )
    importlib.invalidate_caches()
    del sys.modules["my_package.heads"]
    done = tlbench(*ridge, "--search")
    assert done.code == 0, done.err
    assert len(json.loads(done.out)["accuracy"][0]["search"]["values"]) == 6


@pytest.mark.tensorflow
def test_the_network_is_trained(package, tlbench, tiny_path):
    pytest.importorskip("tensorflow", reason="needs TensorFlow (extra 'export')")
    options = ("--heads", "wide", "--head-param", "epochs=2", "--head-param", "hidden=16")
    done = tlbench("evaluate", tiny_path, *QUICK, *options, "--format", "json")
    assert done.code == 0, done.err
    assert len(json.loads(done.out)["accuracy"][0]["curve"]) == 2


def test_the_dataset_is_one(package, tlbench, tiny_path):
    """Its black images give no accuracy worth the name, but they are read and described."""
    assert "Fifty plants" in tlbench("list", "datasets").out
    done = tlbench("extract", tiny_path, "--dataset", "plants", "--split", "test", "--quiet")
    assert done.code == 0, done.err
    assert "50 images, 16 features" in done.err


def test_the_recipe_is_found(package, tlbench):
    assert "Plants on a frozen ResNet50" in tlbench("list", "recipes").out
