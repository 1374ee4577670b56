"""The errors of tlbench; each says what was wrong, what was found and what to do."""

import re
from typing import Final

# C0, C1, line separators, what changes the direction of text, surrogates of names in other codes,
# and the two noncharacters that XML does not take.
_CONTROL: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff\ufffe\uffff]"
)


class TlbenchError(Exception):
    """Base of all errors that a user can cause or fix: exit code 2 on the command line."""


class UnknownNameError(TlbenchError, LookupError):
    """A backbone, dataset, head, provider or parameter that does not exist."""


class ConfigError(TlbenchError, ValueError):
    """A parameter with an invalid value."""


class ComparisonError(TlbenchError, ValueError):
    """Saved runs that cannot be compared as requested."""


class DataError(TlbenchError, ValueError):
    """A dataset that is missing, damaged, empty or not usable as requested."""


class DownloadError(TlbenchError, RuntimeError):
    """A file that could not be downloaded, or is not the expected one."""


class UnreadableImageError(DataError):
    """An image that cannot be decoded; the caller decides whether to skip it."""


class ModelError(TlbenchError, ValueError):
    """A file that is not a usable ONNX model, or a model that does not fit the request."""


class ExportError(TlbenchError, RuntimeError):
    """An export that failed; nothing was written."""


class TrainingError(TlbenchError, RuntimeError):
    """A training that failed, or a checkpoint that cannot be continued."""


class GateError(TlbenchError, ValueError):
    """A baseline or a policy that cannot be used: there is no verdict, which is not a pass."""


class GpuUnreadableError(TlbenchError, RuntimeError):
    """A GPU whose sensors cannot be read; the message is the reason in the record."""


class MeasurementError(TlbenchError, RuntimeError):
    """A measurement that failed."""


class ProviderUnavailableError(TlbenchError, RuntimeError):
    """An execution provider that cannot run on this machine."""


class MissingDependencyError(TlbenchError, ImportError):
    """A missing optional package that the request needs."""


class StorageError(TlbenchError, OSError):
    """A cache or output folder that cannot be read or written."""


class ResultError(TlbenchError, ValueError):
    """A saved run that is missing, damaged or of an unknown schema version."""


def one_line(error: BaseException) -> str:
    """Return the message of an error without line breaks, runs of spaces or control characters."""
    return printable(" ".join(str(error).split()))


def printable(text: str) -> str:
    r"""Return text that a terminal only shows: control characters are written out, as ``\x1b``.

    Names of files and classes may hold escape sequences, line breaks, or marks that reverse the
    direction of the text after them.
    """
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
