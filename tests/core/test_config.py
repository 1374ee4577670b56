"""Settings are refused before any work begins, and defaults come from the surroundings."""

import re
from pathlib import Path

import pytest

from tlbench.core.errors import ConfigError
from tlbench.workflows import ProtocolConfig, RunConfig, TimingConfig, default_cache_dir
from tlbench.workflows.config import default_data_dir


@pytest.mark.parametrize("name", ["batch_size", "threads", "limit_train", "limit_test"])
@pytest.mark.parametrize("value", [0, -1])
def test_numbers_below_one_are_refused(name, value):
    """The message names the parameter, and the value that was found."""
    with pytest.raises(ConfigError) as caught:
        RunConfig(**{name: value})
    assert str(caught.value) == f"{name} must be at least 1, got {value}."


@pytest.mark.parametrize("name", ["threads", "limit_train", "limit_test"])
def test_open_numbers_are_allowed(name):
    """None leaves the choice to the machine or the data."""
    assert getattr(RunConfig(**{name: None}), name) is None


def test_accuracy_needs_a_head():
    """Without a classifier there is no accuracy to measure."""
    with pytest.raises(ConfigError, match="tlbench list heads"):
        RunConfig(heads=())


def test_latency_alone_needs_no_head():
    """A latency is measured on the backbone."""
    assert RunConfig(heads=(), accuracy=False).heads == ()


@pytest.mark.parametrize(
    ("option", "names"), [("heads", ("knn", "mlp", "knn")), ("baselines", ("pixels", "pixels"))]
)
def test_a_name_given_twice_is_refused(option, names):
    """Two rows of one name could not be told apart."""
    with pytest.raises(ConfigError, match=f"{option} names an entry twice.*{','.join(names)}"):
        RunConfig(**{option: names})


def test_defaults_need_nothing_but_the_base_install():
    """The embedded default of the design: a backbone and a dataset that come with the install."""
    config = RunConfig()
    assert (config.model, config.dataset) == ("efficientnet-lite0", "digits")
    assert "pixels" in config.baselines
    assert config.provider == "cpu"


def test_cache_dir_follows_the_environment(monkeypatch):
    """TLBENCH_CACHE is read when a configuration is made, with ~ for the home folder."""
    monkeypatch.setenv("TLBENCH_CACHE", "~/elsewhere")
    assert default_cache_dir() == Path.home() / "elsewhere"
    assert RunConfig().cache_dir == Path.home() / "elsewhere"


def test_cache_dir_is_the_users_without_the_environment(monkeypatch):
    """An unset or empty variable leaves the choice to the operating system."""
    monkeypatch.setenv("TLBENCH_CACHE", "")
    assert default_cache_dir().is_absolute()
    assert "tlbench" in default_cache_dir().parts


@pytest.mark.parametrize(("value", "expected"), [("", None), ("/some/data", Path("/some/data"))])
def test_data_dir_follows_the_environment(monkeypatch, value, expected):
    """TLBENCH_DATA names the data folder; empty means none."""
    monkeypatch.setenv("TLBENCH_DATA", value)
    assert default_data_dir() == expected
    assert RunConfig().data_dir == expected


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"folds": 1}, "folds must be at least 2, got 1"),
        ({"curve": (0, 5)}, "curve takes different.*0,5"),
        ({"curve": (5, 5)}, "curve takes different.*5,5"),
        ({"curve_seeds": 0}, "curve_seeds must be at least 1, got 0"),
    ],
)
def test_impossible_protocols_are_refused(wrong, match):
    """The message names the parameter, and the value that was found."""
    with pytest.raises(ConfigError, match=match):
        ProtocolConfig(**wrong)


def test_a_protocol_without_accuracy_is_refused():
    """Folds of a latency would be ignored in silence."""
    with pytest.raises(ConfigError, match="measure accuracy"):
        RunConfig(accuracy=False, protocol=ProtocolConfig(folds=6))


@pytest.mark.parametrize("scenario", ["cold", "server"])
def test_a_scenario_without_its_boundary_is_refused(scenario):
    """It would be left out in silence; beside the host's boundary it is measured there."""
    settings = {"scenarios": (scenario, "single"), "qps": 1.0}
    with pytest.raises(ConfigError, match=f"include numpy->numpy to measure {scenario}"):
        TimingConfig(boundaries=("device->device",), **settings)
    both = ("numpy->numpy", "device->device")
    assert TimingConfig(boundaries=both, **settings).boundaries == both


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"rounds": 0}, "rounds must be at least 1, got 0."),
        ({"scenarios": ("server",)}, "pass qps=..., or find_highest_rate=True"),
        ({"scenarios": ()}, "scenarios takes one or more different names, got none."),
    ],
)
def test_impossible_timings_are_refused(wrong, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        TimingConfig(**wrong)
