from .find import RECIPES, find_recipe, find_rows
from .recipe import Export, Figure, Recipe, Row, Source, Speed, parse_recipe, read_recipe
from .verdict import compare_with_published

__all__ = [
    "RECIPES",
    "Export",
    "Figure",
    "Recipe",
    "Row",
    "Source",
    "Speed",
    "compare_with_published",
    "find_recipe",
    "find_rows",
    "parse_recipe",
    "read_recipe",
]
