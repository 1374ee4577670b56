"""The recipes that come with tlbench: a constant for each entry point."""

from importlib import resources

from tlbench.recipes.parse import read_recipe

__all__ = [
    "LAZYBONES_2016",
    "SOFTMAX_2016",
]

_FOLDER = resources.files("tlbench.recipes")

LAZYBONES_2016 = read_recipe(_FOLDER / "lazybones-2016.toml")
SOFTMAX_2016 = read_recipe(_FOLDER / "softmax-2016.toml")
