"""An extra holds all that its commands need."""

import re
import tomllib
from pathlib import Path

import pytest

PYPROJECT = tomllib.loads(
    (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
)
# Of the settings that pytest gets from plugins; it refuses those that it does not know.
PLUGINS = {"timeout": "pytest-timeout"}


@pytest.mark.parametrize("extra", ["test", "bench"])
def test_extra_has_the_plugins_that_the_settings_name(extra):
    settings = PYPROJECT["tool"]["pytest"]["ini_options"]
    needed = {plugin for setting, plugin in PLUGINS.items() if setting in settings}
    requirements = PYPROJECT["project"]["optional-dependencies"][extra]
    assert needed <= {re.match(r"[\w.-]+", line).group() for line in requirements}
