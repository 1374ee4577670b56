"""Errors raised on purpose: each says what was wrong, what was found and what to do."""


class TlbenchError(Exception):
    """Base of every error that a user can cause or cure: exit code 2 on the command line."""


class UnknownNameError(TlbenchError, LookupError):
    """A backbone, dataset, head, provider or parameter that does not exist."""


class ConfigError(TlbenchError, ValueError):
    """An option whose value makes no sense."""


class ComparisonError(TlbenchError, ValueError):
    """Saved runs that cannot be compared as asked."""


class DataError(TlbenchError, ValueError):
    """A dataset that is missing, damaged, empty or not usable as asked."""


class DownloadError(TlbenchError, RuntimeError):
    """A file that could not be had from the network, or is not the one that was expected."""


class UnreadableImageError(DataError):
    """One image that cannot be decoded; the caller decides whether to skip it."""


class ModelError(TlbenchError, ValueError):
    """A file that is no usable ONNX model, or a model that does not fit the request."""


class ExportError(TlbenchError, RuntimeError):
    """An export that failed; nothing was written."""


class GateError(TlbenchError, ValueError):
    """A baseline or a policy that cannot be used: no verdict, which is not a pass."""


class GpuUnreadableError(TlbenchError, RuntimeError):
    """A GPU whose sensors cannot be read; its message is the reason that a record gives."""


class MeasurementError(TlbenchError, RuntimeError):
    """A measurement that did not come about."""


class ProviderUnavailableError(TlbenchError, RuntimeError):
    """An execution provider that cannot run on this machine."""


class MissingDependencyError(TlbenchError, ImportError):
    """An optional package that the request needs."""


class StorageError(TlbenchError, OSError):
    """A cache or output folder that cannot be read or written."""


class ResultError(TlbenchError, ValueError):
    """A saved run that is missing, damaged or of an unknown schema version."""


def one_line(error: BaseException) -> str:
    """Return the message of an error without line breaks or runs of spaces."""
    return " ".join(str(error).split())
