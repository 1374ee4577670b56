"""Keras for a training: on any of its backends, quietly, on the GPU if the backend sees one."""

import contextlib
import importlib.util
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from exporters.common.session import configure, quiet_import, silence
from tlbench.core.errors import ConfigError, MissingDependencyError

BACKENDS = ("tensorflow", "torch", "jax")  # the first that is installed is the default


@dataclass(frozen=True, slots=True)
class Backend:
    """Keras with the library that computes for it."""

    keras: Any
    name: str  # of `BACKENDS`

    @property
    def software(self) -> str:
        """Name and version of both."""
        version = metadata.version(self.name)
        return f"keras {self.keras.__version__} on {self.name} {version}"

    @property
    def device(self) -> str:
        """What computes: ``cpu``, or the first GPU by its name."""
        library = sys.modules[self.name]  # Keras has imported it
        match self.name:
            case "torch":
                return str(library.cuda.get_device_name()) if library.cuda.is_available() else "cpu"
            case "tensorflow":
                gpus = library.config.list_logical_devices("GPU")
                return str(gpus[0].name) if gpus else "cpu"
        return str(library.devices()[0].device_kind)

    def device_peak_bytes(self) -> int | None:
        """Return the most memory used on the GPU; None on a CPU, or if it cannot be read."""
        if self.device == "cpu":
            return None
        library = sys.modules[self.name]
        with contextlib.suppress(Exception):  # a figure, for which no training ends
            if self.name == "torch":
                return int(library.cuda.max_memory_allocated())
            if self.name == "tensorflow":
                return int(library.config.experimental.get_memory_info("GPU:0")["peak"])
            return int(library.devices()[0].memory_stats()["peak_bytes_in_use"])
        return None


def wanted_backend() -> str:
    """Return the backend that ``KERAS_BACKEND`` names, or else the first that is installed."""
    installed = [name for name in BACKENDS if importlib.util.find_spec(name) is not None]
    wanted = os.environ.get("KERAS_BACKEND") or (installed[0] if installed else "")
    if importlib.util.find_spec("keras") is None or wanted not in installed:
        what = f"Keras with its backend {wanted}" if wanted else "Keras and one of its backends"
        msg = (
            f"A training needs {what} (KERAS_BACKEND chooses tensorflow, torch or jax), which is "
            "not installed. Install TensorFlow with pip install 'tlbench[export]', or keras and "
            "torch."
        )
        raise MissingDependencyError(msg)
    return wanted


@contextlib.contextmanager
def training_session(*, mixed_precision: bool = False) -> Iterator[Backend]:
    """Yield Keras on its backend, silenced, and free the memory of its networks at the end."""
    with contextlib.ExitStack() as stack:
        silence(stack)
        backend = _imported(wanted_backend())
        keras = backend.keras
        configure(stack, keras)
        keras.config.disable_interactive_logging()
        stack.callback(keras.config.disable_interactive_logging)
        stack.callback(keras.backend.clear_session)
        if mixed_precision:
            stack.callback(keras.config.set_dtype_policy, keras.config.dtype_policy())
            keras.config.set_dtype_policy("mixed_float16")
        yield backend


def _imported(name: str) -> Backend:
    os.environ["KERAS_BACKEND"] = name
    first = name not in sys.modules
    with quiet_import():
        import keras

        backend = Backend(keras, name)
        if name == "tensorflow" and keras.config.backend() == name:
            _open_devices(sys.modules[name], first=first)
    if keras.config.backend() != name:
        msg = (
            f"Keras already runs on {keras.config.backend()!r} in this process, not on {name!r}. "
            "Set KERAS_BACKEND before Python starts."
        )
        raise ConfigError(msg)
    if name == "tensorflow" and backend.device == "cpu":
        # Sums in a fixed order: a resumed training then gives the figures of an unbroken one.
        sys.modules[name].config.experimental.enable_op_determinism()
    return backend


def _open_devices(tensorflow: Any, *, first: bool) -> None:  # noqa: ANN401 - no stubs
    config = tensorflow.config
    if first:  # the measurement that follows needs memory, too
        for gpu in config.list_physical_devices("GPU"):
            config.experimental.set_memory_growth(gpu, enable=True)
    tensorflow.zeros(1)  # which is logged
