"""Groups of options: on the command line each option stands alone, the command gets objects."""

import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from tlbench.cli.measure import make_config
from tlbench.cli.options import (
    ColumnOptions,
    EngineOptions,
    FolderOptions,
    OptionGroup,
    ProviderOptions,
    SampleOptions,
    TaskOptions,
    flatten_options,
)
from tlbench.cli.protocols import ProtocolOptions, ScenarioOptions, TimingOptions, make_timing
from tlbench.datasets import Columns
from tlbench.workflows import ProtocolConfig, RunConfig, TimingConfig


@dataclass(frozen=True, kw_only=True)
class Size(OptionGroup):
    """Two options."""

    height: Annotated[int, typer.Option(help="Pixels.")] = 1
    wide: Annotated[bool, typer.Option("--wide", help="Or not.")] = False


@pytest.fixture
def received():
    return []


@pytest.fixture
def command(received):
    """A command between whose own options a group stands."""

    def show(
        name: Annotated[str, typer.Argument()] = "it",
        *,
        first: Annotated[int, typer.Option()] = 0,
        size: Size,
        last: Annotated[int, typer.Option()] = 0,
    ) -> None:
        """Show it."""
        received.append((name, first, size, last))

    return show


@pytest.fixture
def invoke(command):
    """Run the command as typer does, with these words."""
    app = typer.Typer()
    app.command()(flatten_options(command))
    return lambda *words: CliRunner().invoke(app, words)


def test_a_group_stands_where_its_parameter_stood(command):
    names = list(inspect.signature(flatten_options(command)).parameters)
    assert names == ["name", "first", "height", "wide", "last"]


def test_the_command_receives_an_object(invoke, received):
    assert invoke("that", "--height", "3", "--wide", "--last", "2").exit_code == 0
    assert received == [("that", 0, Size(height=3, wide=True), 2)]


def test_defaults_are_those_of_the_fields(invoke, received):
    assert invoke().exit_code == 0
    assert received == [("it", 0, Size(), 0)]


def test_the_help_has_every_option(invoke):
    text = invoke("--help").output
    for word in ("Show it.", "--height", "Pixels.", "--wide", "Or not."):
        assert word in text


def test_a_command_without_groups_stays_as_it_is(received):
    def plain(name: str = "it") -> None:
        """Say it."""
        received.append(name)

    flat = flatten_options(plain)
    assert inspect.signature(flat) == inspect.signature(plain)
    flat(name="this")
    assert received == ["this"]


def test_an_option_in_two_groups_is_a_mistake_of_ours():
    def twice(*, size: Size, other: Size) -> None: ...

    with pytest.raises(ValueError, match="duplicate parameter name: 'height'"):
        flatten_options(twice)


def test_the_defaults_of_the_options_are_those_of_a_run():
    """Two places say them: what the help shows, and what the library does."""
    groups = [TaskOptions(), EngineOptions(), SampleOptions(), ProtocolOptions(), FolderOptions()]
    assert make_config([*groups, ColumnOptions()]) == RunConfig()


def test_the_defaults_of_the_options_are_those_of_a_timing():
    assert make_timing(ScenarioOptions(), TimingOptions(), candidates=()) == TimingConfig()


@pytest.mark.parametrize(
    ("group", "settings"),
    [
        (
            TaskOptions(heads="knn, mlp", baselines="none"),
            {"heads": ("knn", "mlp"), "baselines": ()},
        ),
        (TaskOptions(head_params=["C=1"]), {"head_params": ("C=1",)}),
        (
            ColumnOptions(path_column="id", label_column="breed"),
            {"columns": Columns(path_column="id", label_column="breed")},
        ),
        (ProviderOptions(provider_options=["a=b=c"]), {"provider_options": {"a": "b=c"}}),
        (FolderOptions(no_cache=True), {"cache": False}),
        (FolderOptions(data_dir=Path("~/x")), {"data_dir": Path.home() / "x", "cache": True}),
        (
            ProtocolOptions(learning_curve="1, 5", search=True),
            {"protocol": ProtocolConfig(curve=(1, 5), search=True)},
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, OptionGroup) else "",
)
def test_what_a_group_means(group, settings):
    """Texts become what the configuration takes."""
    assert settings.items() <= group.settings().items()
