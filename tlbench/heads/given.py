"""Heads that are given as objects: any scikit-learn classifier."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tlbench.core.errors import ConfigError
from tlbench.heads.base import Classifier, Head, Params, ParamValue

_RUN_SEED = "seed of the run"  # recorded in place of None


def as_head(given: Any, name: str | None = None) -> Head:  # noqa: ANN401 - any estimator
    """Return a head of an object.

    Parameters
    ----------
    given : Head or scikit-learn classifier
        A classifier is cloned for each fit. Where a ``random_state`` of it is None, the run's seed
        takes its place, so that a run can be repeated.
    name : str or None
        The head's name in reports and records; None for the name of the class.

    Returns
    -------
    Head
        Its parameters are those of ``get_params``; values that JSON cannot hold become text.

    Raises
    ------
    ConfigError
        If it is not a classifier, or the name has a dot or a comma.
    """
    if isinstance(given, Head):
        return replace(given, storable=False)
    _check_classifier(given)
    name = type(given).__name__ if name is None else name
    if not name or "." in name or "," in name:
        raise ConfigError(f"A head needs a name without dots and commas, got {name!r}.")
    params = given.get_params(deep=True)
    seeded = tuple(k for k, v in params.items() if _is_seed(k) and v is None)
    defaults = {key: _plain(value) for key, value in params.items()}
    defaults |= dict.fromkeys(seeded, _RUN_SEED)
    return Head(
        name=name,
        summary=_text(given),
        defaults=defaults,
        build=lambda chosen, seed: _built(given, defaults, chosen, dict.fromkeys(seeded, seed)),
        storable=all(map(_is_identified, [given, *params.values()])),
    )


def _check_classifier(given: Any) -> None:  # noqa: ANN401 - anything may be given
    from sklearn.base import is_classifier

    if isinstance(given, type):
        raise ConfigError(f"heads takes objects, not classes: pass {given.__name__}().")
    if not hasattr(given, "get_params") or not is_classifier(given):
        raise ConfigError(
            f"heads takes names and scikit-learn classifiers, got {type(given).__name__}. "
            "`tlbench list heads` lists the names."
        )


def _is_seed(parameter: str) -> bool:
    return parameter.rpartition("__")[2] == "random_state"


def _built(given: Any, defaults: Params, chosen: Params, seeds: Mapping[str, int]) -> Classifier:  # noqa: ANN401
    from sklearn.base import clone

    changed = {key: value for key, value in chosen.items() if value != defaults.get(key)}
    made: Classifier = clone(given).set_params(**{**seeds, **changed})
    return made


def _plain(value: Any) -> ParamValue:  # noqa: ANN401 - a parameter of any estimator
    """Return a parameter as JSON can hold it: an estimator as its class, other objects as text."""
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:  # a numpy scalar
        value = value.item()
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    return type(value).__name__ if hasattr(value, "get_params") else _text(value)


def _text(value: object) -> str:
    """Return a value as one line, without the address of a function, which changes every time."""
    return getattr(value, "__qualname__", None) or " ".join(repr(value).split())


def _is_identified(value: Any) -> bool:  # noqa: ANN401 - a parameter of any estimator
    """Tell whether a parameter's text determines what it does; scikit-learn's version is known."""
    if value is None or isinstance(value, bool | int | float | str):
        return True
    if isinstance(value, list | tuple):  # the steps of a Pipeline, hidden_layer_sizes
        return all(map(_is_identified, value))
    return hasattr(value, "get_params") and type(value).__module__.startswith("sklearn.")
