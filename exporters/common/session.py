"""Import Keras, TensorFlow and tf2onnx for one export: quietly, on the CPU, freed afterwards."""

import contextlib
import importlib.util
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tlbench.core.errors import ConfigError, MissingDependencyError
from tlbench.core.stderr import no_stderr

_LOG_LEVEL = "TF_CPP_MIN_LOG_LEVEL"
_LOGGERS = ("tensorflow", "absl", "tf2onnx", "jax")


@dataclass(frozen=True, slots=True)
class Frameworks:
    """The imported modules, which have no type stubs; they are imported only during an export."""

    keras: Any
    tf: Any
    tf2onnx: Any

    @property
    def reference_name(self) -> str:
        """Name and version of the implementation that the features are compared with."""
        return f"keras {self.keras.__version__} on tensorflow {self.tf.__version__}"

    def start_over(self) -> None:
        """Forget all networks and the numbers in their made-up names."""
        self.keras.backend.clear_session()
        # That forgets this setting, too: Keras draws progress bars on stdout, watched or not.
        self.keras.config.disable_interactive_logging()


@contextlib.contextmanager
def keras_session() -> Iterator[Frameworks]:
    """Yield the frameworks, silenced, and free their memory at the end."""
    with contextlib.ExitStack() as stack:
        silence(stack)
        frameworks = _imported()
        configure(stack, frameworks.keras)
        stack.callback(frameworks.start_over)
        # Convolutions on a GPU may use TF32, which is no reference for float32.
        stack.enter_context(frameworks.tf.device("/CPU:0"))
        yield frameworks


def silence(stack: contextlib.ExitStack) -> None:
    """Silence the warnings and logs of the frameworks until *stack* ends."""
    # The frameworks warn of one another's deprecations while they are imported, traced and
    # converted: nothing that a user of tlbench could act on. Our own warnings go through the
    # listener, never through this module.
    stack.enter_context(warnings.catch_warnings())
    warnings.simplefilter("ignore")
    # Set when they are imported, and by tf2onnx while it converts: a process started later would
    # take it for the user's own.
    stack.callback(_set_log_level, os.environ.get(_LOG_LEVEL))
    for logger in map(logging.getLogger, _LOGGERS):
        stack.callback(logger.setLevel, logger.level)


def configure(stack: contextlib.ExitStack, keras: Any) -> None:  # noqa: ANN401 - no stubs
    """Give Keras the layouts and types that this package expects, until *stack* ends."""
    for logger in map(logging.getLogger, _LOGGERS):
        logger.setLevel(logging.CRITICAL + 1)
    # A user's keras.json may ask for other layouts and types.
    config = keras.config
    if config.is_interactive_logging_enabled():
        stack.callback(config.enable_interactive_logging)
    stack.callback(config.set_floatx, config.floatx())
    stack.callback(config.set_image_data_format, config.image_data_format())
    config.set_image_data_format("channels_last")
    config.set_floatx("float32")


def _imported() -> Frameworks:
    backend = os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    if backend != "tensorflow":
        raise _other_backend(backend)
    with quiet_import():
        try:
            import keras
            import tensorflow as tf
            import tf2onnx
        except ImportError as error:
            raise _missing(str(error)) from error
        # A GPU is hidden: TensorFlow would take all its memory from the measurement that follows.
        # RuntimeError: other code in this process has already used TensorFlow.
        with contextlib.suppress(RuntimeError):
            tf.config.set_visible_devices([], "GPU")
        tf.zeros(1)  # the devices are opened here, and that is logged too
    if keras.config.backend() != "tensorflow":
        raise _other_backend(keras.config.backend())  # by keras.json, and imported before
    return Frameworks(keras, tf, tf2onnx)


@contextlib.contextmanager
def quiet_import() -> Iterator[None]:
    """Let the first import of Keras and of its backend log nothing, and leave no file behind."""
    quiet = _LOG_LEVEL not in os.environ  # a user who set it wants to see the log
    os.environ.setdefault(_LOG_LEVEL, "3")
    first = "tensorflow" not in sys.modules
    # TensorFlow's C++ part logs before it reads its log level.
    with no_stderr() if quiet and first else contextlib.nullcontext(), _no_new_settings():
        yield


def require_frameworks() -> None:
    """Raise MissingDependencyError before a long download that no export can follow."""
    for name in ("keras", "tensorflow", "tf2onnx"):
        if importlib.util.find_spec(name) is None:
            raise _missing(f"No module named {name!r}")


def _missing(reason: str) -> MissingDependencyError:
    return MissingDependencyError(
        f"This export needs tensorflow and tf2onnx ({reason}). "
        "Install them: pip install 'tlbench[export]'"
    )


def _other_backend(name: str) -> ConfigError:
    return ConfigError(
        f"Keras runs on {name!r} here, but this export needs its TensorFlow backend. "
        "Set KERAS_BACKEND=tensorflow."
    )


@contextlib.contextmanager
def _no_new_settings() -> Iterator[None]:
    """Remove the keras.json that Keras writes on its first import, unless it was there before."""
    settings = Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser() / "keras.json"
    existed = settings.exists()
    try:
        yield
    finally:
        if not existed:
            with contextlib.suppress(OSError):  # the folder may hold downloaded weights
                settings.unlink()
                settings.parent.rmdir()


def _set_log_level(level: str | None) -> None:
    os.environ.pop(_LOG_LEVEL, None)
    if level is not None:
        os.environ[_LOG_LEVEL] = level
