"""Classifier heads: names on the command line to scikit-learn estimators."""

from tlbench.heads.base import (
    HEADS,
    Classifier,
    Head,
    Params,
    ParamValue,
    SearchSpace,
    check_requirements,
    parse_params,
    resolve_head_params,
    resolve_params,
)

__all__ = [
    "HEADS",
    "Classifier",
    "Head",
    "ParamValue",
    "Params",
    "SearchSpace",
    "check_requirements",
    "parse_params",
    "resolve_head_params",
    "resolve_params",
]
