"""Public means "in ``__all__``": the lists are complete, true and documented."""

import ast
import importlib
import inspect
import pkgutil
import subprocess
import sys

import pytest

import tlbench

PACKAGES = ["tlbench"] + [
    module.name
    for module in pkgutil.iter_modules(tlbench.__path__, "tlbench.")
    if module.ispkg and module.name != "tlbench.core"
]


def _listed(tree):
    """Return the names written out in a file's ``__all__``, or None if it has none."""
    for node in tree.body:
        is_list = isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.List)
        if is_list and ast.unparse(node).startswith("__all__"):
            # a starred part names constants that are made in a loop
            return [item.value for item in node.value.elts if isinstance(item, ast.Constant)]
    return None


def _imported(tree):
    """Return the public names that a file imports at its top level."""
    return {
        alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if not alias.name.startswith("_")
    }


def test_every_file_says_what_it_is_for(sources):
    """A file begins with a docstring."""
    assert [path for path, tree in sources.items() if not ast.get_docstring(tree)] == []


def test_public_names_are_listed_by_packages_only(sources):
    """A name has one import path: its package."""
    lists = {path for path, tree in sources.items() if _listed(tree) is not None}
    assert {path for path in lists if not path.endswith("/__init__.py")} == set()


def test_no_name_is_listed_twice(sources):
    """Each name is public once."""
    lists = {path: _listed(tree) or [] for path, tree in sources.items()}
    assert [path for path, names in lists.items() if len(set(names)) < len(names)] == []


def test_packages_are_entered_by_the_front_door(sources):
    """A package takes from another what that one offers, not from its files."""
    strangers = {
        (path, node.module)
        for path, tree in sources.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        and (parts := (node.module or "").split("."))[0] == "tlbench"
        and len(parts) > 2
        and parts[1] not in {path.split("/")[1], "core"}
    }
    assert strangers == set()


def test_packages_list_all_that_they_gather(sources):
    """What a subpackage imports at its top it offers, and nothing else."""
    wrong = {
        path: sorted(_imported(tree) ^ (set(_listed(tree) or []) - {"__version__"}))
        for path, tree in sources.items()
        if path.endswith("/__init__.py")
    }
    assert {path: names for path, names in wrong.items() if names} == {}


@pytest.mark.parametrize("name", PACKAGES)
def test_listed_names_exist(name):
    """Every name in ``__all__`` can be imported."""
    module = importlib.import_module(name)
    assert [public for public in module.__all__ if not hasattr(module, public)] == []


@pytest.mark.parametrize("name", PACKAGES)
def test_public_objects_are_documented(name):
    """Every function and class that a subpackage offers has a docstring of its own."""
    module = importlib.import_module(name)
    objects = {public: getattr(module, public) for public in module.__all__}
    undocumented = [
        public
        for public, value in objects.items()
        if (inspect.isclass(value) or inspect.isfunction(value)) and not value.__doc__
    ]
    assert undocumented == []


@pytest.mark.parametrize("name", PACKAGES)
def test_public_methods_are_documented(name):
    """Every public method and property of an offered class has a docstring."""
    module = importlib.import_module(name)
    undocumented = [
        f"{public}.{attribute}"
        for public in module.__all__
        if inspect.isclass(kind := getattr(module, public))
        and kind.__module__.startswith("tlbench")
        for attribute, value in vars(kind).items()
        if not attribute.startswith("_")
        and (inspect.isfunction(value) or isinstance(value, property))
        and not value.__doc__
    ]
    assert undocumented == []


SHADOWS = """
import importlib, pkgutil, tlbench
before = {name: getattr(tlbench, name) for name in tlbench.__all__}
for package in ("tlbench", "exporters"):
    module = importlib.import_module(package)
    for found in pkgutil.walk_packages(module.__path__, f"{package}."):
        try:
            importlib.import_module(found.name)
        except ModuleNotFoundError as error:  # exporters/torch, where PyTorch is not installed
            assert error.name == "torch", error
changed = [name for name, value in before.items() if getattr(tlbench, name) is not value]
assert changed == [], changed
"""


def test_no_public_name_is_overwritten_by_a_module():
    """Importing a package puts it in the place of a function of the same name."""
    subprocess.run([sys.executable, "-c", SHADOWS], check=True, timeout=120)
