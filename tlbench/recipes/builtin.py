"""The recipes that come with tlbench: a constant for each entry point."""

from importlib import resources

from tlbench.recipes.parse import read_recipe

_FOLDER = resources.files("tlbench.recipes")

LAZYBONES_2016 = read_recipe(_FOLDER / "lazybones-2016.toml")
SOFTMAX_2016 = read_recipe(_FOLDER / "softmax-2016.toml")
KERAS_SHALLOW_2017 = read_recipe(_FOLDER / "keras-shallow-2017.toml")
CIFAR100_CAPSTONE_2018 = read_recipe(_FOLDER / "cifar100-capstone-2018.toml")
CIFAR100_RIVALS_2018 = read_recipe(_FOLDER / "cifar100-rivals-2018.toml")
