"""Entry points of distributions made on the spot: the door that plugins come through."""

import sys

import pytest

from tlbench.core.errors import ConfigError, MissingDependencyError, UnknownNameError
from tlbench.core.registry import Registry, unknown_name

THINGS = Registry("things")


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Return a function that installs a distribution with modules and entry points of 'things'."""

    def _install(distribution, points, **modules):
        site = tmp_path / distribution
        info = site / f"{distribution}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n"
        )
        lines = ["[tlbench.things]", *(f"{name} = {value}" for name, value in points.items())]
        (info / "entry_points.txt").write_text("\n".join(lines))
        for name, source in modules.items():
            (site / f"{name}.py").write_text(source)
        monkeypatch.syspath_prepend(site)
        return site

    before = set(sys.modules)
    yield _install
    for name in set(sys.modules) - before:
        if name.startswith("thing_"):
            del sys.modules[name]


def test_plugin_is_found_and_loaded(install):
    """An installed distribution is enough: nothing has to be registered by hand."""
    install("first", {"lamp": "thing_a:LAMP"}, thing_a="LAMP = 'a lamp'")
    assert THINGS.names() == ["lamp"]
    assert THINGS.load("lamp") == "a lamp"


def test_names_are_sorted_over_all_distributions(install):
    """The order in which plugins were installed does not show."""
    install("first", {"lamp": "thing_a:LAMP", "chair": "thing_a:CHAIR"})
    install("second", {"bed": "thing_b:BED"})
    assert THINGS.names() == ["bed", "chair", "lamp"]


def test_names_imports_nothing(install):
    """Listing a broken plugin works, since its module is not touched."""
    install("first", {"lamp": "thing_a:LAMP"}, thing_a="raise RuntimeError('imported')")
    assert THINGS.names() == ["lamp"]
    assert "thing_a" not in sys.modules


def test_items_loads_every_entry(install):
    """A contract test can walk over all entries."""
    source = "LAMP, CHAIR = 'a lamp', 'a chair'"
    install("first", {"lamp": "thing_a:LAMP", "chair": "thing_a:CHAIR"}, thing_a=source)
    assert list(THINGS.items()) == [("chair", "a chair"), ("lamp", "a lamp")]


def test_two_plugins_of_one_name_are_refused(install):
    """Which of the two is meant cannot be known, so both are named."""
    install("first", {"lamp": "thing_a:LAMP"}, thing_a="LAMP = 1")
    install("second", {"lamp": "thing_b:LAMP"}, thing_b="LAMP = 2")
    with pytest.raises(ConfigError, match="lamp") as caught:
        THINGS.load("lamp")
    assert "thing_a:LAMP" in str(caught.value)
    assert "thing_b:LAMP" in str(caught.value)


def test_one_plugin_seen_twice_is_no_conflict(install):
    """An editable install beside an ordinary one offers the same target twice."""
    install("first", {"lamp": "thing_a:LAMP"}, thing_a="LAMP = 1")
    install("second", {"lamp": "thing_a:LAMP"})
    assert THINGS.load("lamp") == 1


def test_unknown_name_lists_the_known_and_the_nearest(install):
    """A typing error is answered with what was probably meant."""
    install("first", {"lamp": "thing_a:LAMP", "chair": "thing_a:CHAIR"})
    with pytest.raises(UnknownNameError) as caught:
        THINGS.load("lmap")
    assert str(caught.value) == ("Unknown thing 'lmap'. Did you mean 'lamp'? Known: chair, lamp.")


def test_unknown_name_without_a_near_one_gets_no_hint():
    """A far-fetched suggestion would only confuse."""
    assert "Did you mean" not in str(unknown_name("thing", "xyzzy", ["chair", "lamp"]))


def test_unknown_name_in_an_empty_group_says_none():
    """The sentence stays readable where there are no entries."""
    with pytest.raises(UnknownNameError, match=r"Known: none\."):
        Registry("nothings").load("lamp")


@pytest.mark.parametrize(
    "source",
    [
        pytest.param("import a_package_that_is_not_there", id="missing package"),
        pytest.param("from math import no_such_function", id="other version of a package"),
        pytest.param("CHAIR = 1", id="without the attribute"),
    ],
)
def test_plugin_that_cannot_be_imported(install, source):
    """The error names the entry, its target and what Python said."""
    install("first", {"lamp": "thing_a:LAMP"}, thing_a=source)
    with pytest.raises(MissingDependencyError) as caught:
        THINGS.load("lamp")
    message = str(caught.value)
    assert "'lamp'" in message
    assert "thing_a:LAMP" in message
    assert str(caught.value.__cause__) in message


def test_plugin_whose_module_is_missing(install):
    """A distribution that was half removed is reported like a missing dependency."""
    install("first", {"lamp": "thing_gone:LAMP"})
    with pytest.raises(MissingDependencyError, match="thing_gone"):
        THINGS.load("lamp")


@pytest.mark.parametrize("kind", ["backbones", "datasets", "heads", "baselines", "renderers"])
def test_built_in_entries_come_through_the_same_door(kind):
    """tlbench's own entries are entry points of its own distribution."""
    assert Registry(kind).names()
