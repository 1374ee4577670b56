"""Public means "in ``__all__``": the lists are complete, true and documented."""

import ast
import importlib
import inspect
import pkgutil

import pytest

import tlbench

PACKAGES = ["tlbench"] + [
    module.name for module in pkgutil.iter_modules(tlbench.__path__, "tlbench.") if module.ispkg
]
MODULES = [module.name for module in pkgutil.walk_packages(tlbench.__path__, "tlbench.")]


def _listed(tree):
    """Return the names written out in a file's ``__all__``, or None if it has none."""
    for node in tree.body:
        is_list = isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.List)
        if is_list and ast.unparse(node).startswith("__all__"):
            # a starred part names constants that are made in a loop
            return [item.value for item in node.value.elts if isinstance(item, ast.Constant)]
    return None


def _defined(tree):
    """Return the public functions and classes of a file, without those it imports."""
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    return {
        node.name for node in tree.body if isinstance(node, kinds) and not node.name.startswith("_")
    }


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


def test_every_file_lists_its_public_names(sources):
    """A file has ``__all__``, unless it is a package's that only holds others."""
    without = [
        path
        for path, tree in sources.items()
        if _listed(tree) is None and not (path.endswith("/__init__.py") and len(tree.body) == 1)
    ]
    assert without == []


def test_no_name_is_listed_twice(sources):
    """Each name is public once."""
    lists = {path: _listed(tree) or [] for path, tree in sources.items()}
    assert [path for path, names in lists.items() if len(set(names)) < len(names)] == []


def test_what_looks_public_is_listed(sources):
    """A function or class without a leading underscore is in ``__all__``, or gets one."""
    unlisted = {
        f"{path}: {name}"
        for path, tree in sources.items()
        for name in _defined(tree) - set(_listed(tree) or [])
    }
    assert unlisted == set()


def test_packages_list_all_that_they_gather(sources):
    """What a subpackage imports at its top it offers, and nothing else."""
    wrong = {
        path: sorted(_imported(tree) ^ (set(_listed(tree) or []) - {"__version__"}))
        for path, tree in sources.items()
        if path.endswith("/__init__.py")
    }
    assert {path: names for path, names in wrong.items() if names} == {}


@pytest.mark.parametrize("name", MODULES)
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
