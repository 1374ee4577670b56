"""Parameters of heads: how text is read, which head it is for, and the type of its value."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlbench.core.errors import ConfigError, UnknownNameError
from tlbench.heads import HEADS, Head, parse_params, resolve_head_params, resolve_params

NAMES = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=8)


def make_head(name, **defaults):
    return Head(name=name, summary="", defaults=defaults, build=lambda _params, _seed: None)


def test_parameters_are_read_as_text():
    """The names stay as written and the values stay text: only a head knows the types."""
    assert parse_params(["C=0.01", "mlp.alpha = 1e-4"]) == {"C": "0.01", "mlp.alpha": "1e-4"}


@given(st.dictionaries(NAMES, st.text(min_size=1).filter(lambda text: text == text.strip() != "")))
def test_what_is_written_is_read_back(overrides):
    """NAME=VALUE gives back name and value, also when the value holds an equals sign."""
    assert parse_params([f"{name}={value}" for name, value in overrides.items()]) == overrides


@pytest.mark.parametrize("text", ["C", "=1", "C=", "", " = "])
def test_a_malformed_parameter_is_refused_with_an_example(text):
    """A text without name, equals sign or value is an error that shows the right form."""
    with pytest.raises(ConfigError, match=r"NAME=VALUE.*Example: C=0\.01"):
        parse_params([text])


def test_a_parameter_given_twice_is_refused():
    """Two values for one name are a mistake, not an override."""
    with pytest.raises(ConfigError, match=r"'1' and '2'"):
        parse_params(["C=1", "C=2"])


@pytest.mark.parametrize(
    ("default", "text", "expected"),
    [
        (1, "20", 20),
        (0.5, "1e-4", 1e-4),
        (0.5, "2", 2.0),
        (True, "no", False),
        (False, "TRUE", True),
        ("uniform", "distance", "distance"),
        ("uniform", "5", "5"),
        (None, "None", None),
        (None, "3", 3),
        (None, "0.5", 0.5),
        (None, "balanced", "balanced"),
    ],
)
def test_a_value_takes_the_type_of_the_default(default, text, expected):
    """The text becomes the type of the default; a default of None accepts any plain value."""
    value = resolve_params(make_head("h", p=default), {"p": text})["p"]
    assert (value, type(value)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("default", "text", "wanted"),
    [
        (1, "1.5", "a whole number"),
        (1.0, "big", "a finite number"),
        (1.0, "nan", "a finite number"),
        (1.0, "inf", "a finite number"),
        (None, "-inf", "a finite number"),
        (True, "maybe", "true or false"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused(default, text, wanted):
    """The message names the parameter, the wanted type, the text and the default."""
    with pytest.raises(
        ConfigError, match=f"h.p must be .*{wanted}.*{text!r}.*default is {default}"
    ):
        resolve_params(make_head("h", p=default), {"p": text})


@given(st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.booleans()))
def test_a_value_written_in_python_survives(value):
    """A typed value gives itself: overrides need not be text."""
    resolved = resolve_params(make_head("h", p=type(value)()), {"p": value})["p"]
    assert (resolved, type(resolved)) == (value, type(value))


def test_a_plain_name_reaches_every_head_that_has_it():
    """C=1 sets C of both SVMs and leaves a head without C alone."""
    heads = [make_head("a", C=0.1), make_head("b", C=0.2), make_head("c", k=5)]
    resolved = resolve_head_params(heads, {"C": "1"})
    assert resolved == {"a": {"C": 1.0}, "b": {"C": 1.0}, "c": {"k": 5}}


@pytest.mark.parametrize("order", [["C", "b.C"], ["b.C", "C"]], ids=["plain first", "plain last"])
def test_the_name_of_a_head_wins_over_a_plain_name(order):
    """HEAD.NAME beats NAME whatever the order on the command line."""
    values = {"C": "1", "b.C": "2"}
    heads = [make_head("a", C=0.1), make_head("b", C=0.2)]
    resolved = resolve_head_params(heads, {key: values[key] for key in order})
    assert resolved == {"a": {"C": 1.0}, "b": {"C": 2.0}}


def test_resolving_leaves_the_defaults_alone():
    """The defaults of a head are the same after an override."""
    head = make_head("h", C=0.1)
    resolve_params(head, {"C": "1"})
    assert head.defaults == {"C": 0.1}


def test_a_plain_name_that_no_chosen_head_has_is_refused():
    """A parameter that would do nothing is a mistake; the message lists those that exist."""
    with pytest.raises(UnknownNameError, match=r"'alhpa'.*Did you mean 'alpha'.*C, alpha"):
        resolve_head_params([make_head("a", C=0.1), make_head("b", alpha=1.0)], {"alhpa": "1"})


def test_a_parameter_for_a_head_that_is_not_chosen_is_refused():
    """mlp.alpha without mlp would do nothing."""
    with pytest.raises(UnknownNameError, match=r"head among the chosen ones 'mpl'.*'mlp'"):
        resolve_head_params([make_head("mlp", alpha=1.0)], {"mpl.alpha": "1"})


def test_a_parameter_that_the_named_head_lacks_is_refused_though_another_has_it():
    """a.k is wrong when only b has k."""
    with pytest.raises(UnknownNameError, match="parameter of a 'k'"):
        resolve_head_params([make_head("a", C=0.1), make_head("b", k=1)], {"a.k": "1"})


@pytest.mark.parametrize("name", HEADS.names())
def test_every_head_hints_at_the_parameter_that_was_meant(name):
    """A misspelt parameter of a real head gets the right name back."""
    head = HEADS.load(name)
    param = max(head.defaults, key=len)
    misspelt = param + "x"
    with pytest.raises(UnknownNameError, match=f"{misspelt}.*(Did you mean|Known).*{param}"):
        resolve_params(head, {misspelt: "1"})
