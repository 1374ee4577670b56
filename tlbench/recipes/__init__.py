"""Published experiments as TOML files, and what came of repeating one."""

from tlbench.recipes.find import RECIPES, find_recipe, find_rows
from tlbench.recipes.judge import judge
from tlbench.recipes.parse import parse_recipe, read_recipe
from tlbench.recipes.records import Export, Figure, Recipe, Row, Source, Speed

__all__ = [
    "RECIPES",
    "Export",
    "Figure",
    "Recipe",
    "Row",
    "Source",
    "Speed",
    "find_recipe",
    "find_rows",
    "judge",
    "parse_recipe",
    "read_recipe",
]
