"""Pages of the site that are made when it is built: the commands' help, and the Python API."""

import os

import typer
from mkdocs.structure.files import File

import tlbench
from tlbench.cli.app import app

COMMANDS = """# Commands

The help of each command, as `tlbench COMMAND --help` prints it.
"""
PYTHON = """# Python

What `import tlbench` offers, and `tlbench.sklearn`. [The Python API](api.md) shows it in use.
"""


def on_files(files, config):
    """Add the pages that are not in the folder."""
    commands = [COMMANDS, *_sections(typer.main.get_command(app), "tlbench")]
    names = sorted(tlbench.__all__, key=str.lower)
    objects = [getattr(tlbench, name) for name in names if not name.startswith("_")]
    # By the place of its definition: `tlbench.api.export` is also the name of a module.
    python = [f"::: {each.__module__}.{each.__qualname__}\n" for each in objects]
    python.append("::: tlbench.sklearn.FeatureExtractor\n")
    pages = {"commands.md": commands, "python.md": [PYTHON, *python]}
    for name, parts in pages.items():
        files.append(File.generated(config, name, content="\n".join(parts)))
    return files


def _sections(command, path):
    """Yield a heading and the help of a command, and of those below it."""
    os.environ["COLUMNS"] = "80"
    with command.make_context(path, [], resilient_parsing=True) as context:
        yield f"## {path}\n\n```text\n{command.get_help(context).strip()}\n```\n"
    for name, below in getattr(command, "commands", {}).items():
        yield from _sections(below, f"{path} {name}")
