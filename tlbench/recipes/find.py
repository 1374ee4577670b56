"""From what the user typed to a recipe: a name, or the path of a file."""

import os
from importlib import resources
from pathlib import Path

from tlbench.core.registry import Registry, unknown_name
from tlbench.recipes.recipe import Recipe, Row, read_recipe

RECIPES: Registry[Recipe] = Registry("recipes")


def find_recipe(name: str) -> Recipe:
    """Return the recipe that *name* means: an entry of ``tlbench.recipes``, or a TOML file."""
    path = Path(name).expanduser()
    if path.suffix.lower() == ".toml" or os.sep in name:
        return read_recipe(path)
    return RECIPES.load(name)


def find_rows(recipe: Recipe, names: tuple[str, ...]) -> list[Row]:
    """Return the rows of these names, in the recipe's order; all of them for none."""
    known = [row.name for row in recipe.rows]
    for name in names:
        if name not in known:
            raise unknown_name(f"row of {recipe.name}", name, known)
    return [row for row in recipe.rows if not names or row.name in names]


def __getattr__(name: str) -> Recipe:
    """Read a recipe that comes with tlbench: the entry point SOFTMAX_2016 is softmax-2016.toml."""
    path = resources.files("tlbench.recipes") / f"{name.lower().replace('_', '-')}.toml"
    if not path.is_file():
        raise AttributeError(name)
    return read_recipe(path)
