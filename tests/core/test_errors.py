"""What callers and the command line rely on in every error."""

import pytest

from tlbench.core import errors

ERRORS = [kind for kind in vars(errors).values() if isinstance(kind, type)]


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_every_error_is_a_tlbench_error(kind):
    """One except clause catches everything that a user can cause."""
    assert issubclass(kind, errors.TlbenchError)


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_message_is_shown_as_written(kind):
    """No error quotes its message, as a KeyError would."""
    assert str(kind("No such thing.")) == "No such thing."


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [
        (errors.UnknownNameError, LookupError),
        (errors.ComparisonError, ValueError),
        (errors.ConfigError, ValueError),
        (errors.DataError, ValueError),
        (errors.DownloadError, RuntimeError),
        (errors.ModelError, ValueError),
        (errors.ExportError, RuntimeError),
        (errors.ProviderUnavailableError, RuntimeError),
        (errors.MissingDependencyError, ImportError),
        (errors.StorageError, OSError),
        (errors.ResultError, ValueError),
    ],
)
def test_error_is_also_the_builtin_of_its_kind(kind, builtin):
    """Code that knows nothing of tlbench can catch Python's own kind."""
    assert issubclass(kind, builtin)
