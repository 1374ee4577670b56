"""Heavy libraries are imported where the design says, and only when they are needed."""

import ast
import graphlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = (
    "jinja2",
    "keras",
    "matplotlib",
    "onnx",
    "onnxruntime",
    "openTSNE",
    "ray",
    "scipy",
    "sklearn",
    "skimage",
    "tensorflow",
)

SAVED_RUN = Path(__file__).parents[1] / "golden" / "run-simple.json"

# Which files may import a library at all; a folder ends with a slash.
HOMES = {
    "onnxruntime": ("tlbench/engine/", "exporters/common/parity.py", "exporters/precision/"),
    "matplotlib": ("tlbench/reports/plots/",),
    "ray": ("tlbench/distributed/",),
    "jinja2": ("tlbench/reports/page/",),
    "openTSNE": ("tlbench/features/embedding.py",),
    "rich": ("tlbench/cli/", "tlbench/reports/bars.py", "tlbench/reports/layout.py"),
    "typer": ("tlbench/cli/",),
    "tensorflow": ("exporters/",),
    "keras": ("exporters/",),
    "tf2onnx": ("exporters/",),
    "torch": ("exporters/torch/",),
    "timm": ("exporters/torch/",),
}

# Subclasses of scikit-learn's base classes: a fit imports the first, and users the second.
ESTIMATORS = ("tlbench.heads.estimators.", "tlbench.sklearn")
ALL_MODULES = f"""
import importlib, pkgutil, tlbench
for module in pkgutil.walk_packages(tlbench.__path__, "tlbench."):
    if not module.name.startswith({ESTIMATORS}):
        importlib.import_module(module.name)
"""
COMMAND = """
import contextlib, io, sys
from tlbench.cli import main
sys.argv = ["tlbench", *{words}]
with contextlib.redirect_stdout(io.StringIO()) as stdout, contextlib.suppress(SystemExit):
    main()
assert stdout.getvalue()
"""


def _loaded(source, libraries=HEAVY):
    """Return which of the libraries a fresh Python has loaded after *source*."""
    report = f"\nimport json, sys\nprint(json.dumps([n for n in {libraries} if n in sys.modules]))"
    done = subprocess.run(
        [sys.executable, "-c", source + report],
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return json.loads(done.stdout.splitlines()[-1])


def test_the_check_sees_a_heavy_library():
    """The tests below could not fail if loading went unseen."""
    assert "onnx" in _loaded("import onnx")


@pytest.mark.parametrize(
    "source",
    [
        pytest.param("import tlbench", id="package"),
        pytest.param(ALL_MODULES, id="all modules"),
        pytest.param(COMMAND.format(words=["--help"]), id="help"),
        pytest.param(COMMAND.format(words=["run", "--help"]), id="help of a command"),
        pytest.param(COMMAND.format(words=["--version"]), id="version"),
    ],
)
def test_no_heavy_library_is_loaded(source):
    """What needs no library does not wait for it."""
    assert _loaded(source) == []


@pytest.mark.parametrize(
    "words", [["list"], ["report", str(SAVED_RUN)], ["--help"]], ids=lambda words: words[0]
)
def test_a_light_command_loads_no_heavy_library(words):
    """Listing and reporting only read: the answer should be there at once."""
    assert _loaded(COMMAND.format(words=words)) == []


@pytest.mark.parametrize(
    "words", [["list"], ["report", str(SAVED_RUN)], ["--help"]], ids=lambda words: words[0]
)
def test_light_commands_do_without_numpy(words):
    """It would take a third of their time."""
    assert _loaded(COMMAND.format(words=words), libraries=("numpy",)) == []


def _imported(tree):
    """Yield every library that is imported anywhere in a file, for types or for use."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


@pytest.mark.parametrize(("library", "homes"), HOMES.items(), ids=HOMES)
def test_library_is_imported_at_home_only(sources, library, homes):
    """A library that one package wraps is not used around it."""
    strangers = [
        path
        for path, tree in sources.items()
        if library in _imported(tree) and not path.startswith(homes)
    ]
    assert strangers == []


def test_exporters_use_the_contracts_only(sources):
    """An exporter knows the artefact, the contract of a trainer, and no other part of tlbench."""
    allowed = {"core", "heads", "model"}
    strangers = {
        (path, node.module)
        for path, tree in sources.items()
        if path.startswith("exporters/")
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        and (node.module or "").startswith("tlbench.")
        and node.module.split(".")[1] not in allowed
    }
    assert strangers == set()


def test_tlbench_reaches_exporters_by_entry_point(sources):
    """A backbone is found by its name, like a plugin's."""
    strangers = [
        path
        for path, tree in sources.items()
        if path.startswith("tlbench/") and "exporters" in _imported(tree)
    ]
    assert strangers == []


def test_no_circle_between_files(sources):
    """Not even through an import inside a function: each file can be read after those it uses."""
    files = {path.removesuffix(".py").replace("/", "."): tree for path, tree in sources.items()}
    graph = {
        name: {
            target
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom)
            for target in (node.module, *(f"{node.module}.{alias.name}" for alias in node.names))
            if target in files
        }
        for name, tree in files.items()
    }
    assert sum(map(len, graph.values())) > len(graph)
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError
