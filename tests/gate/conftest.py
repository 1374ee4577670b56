"""Runs judged against a baseline, and what the verdict says."""

import pytest
from saved_runs import few_images, gated, images, save, saved_run  # noqa: F401 - fixtures


@pytest.fixture(scope="session")
def outcomes():
    """Return the outcomes of a rule by subject."""

    def of(verdict, rule):
        return {check.subject: check.outcome for check in verdict.checks if check.rule == rule}

    return of


@pytest.fixture(scope="session")
def text_of():
    """Return what the one check of a rule says."""

    def of(verdict, rule):
        (text,) = [check.text for check in verdict.checks if check.rule == rule]
        return text

    return of
