"""Import PyTorch for one task: quietly, and with the caller's settings given back."""

import contextlib
import logging
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tlbench.core.errors import MissingDependencyError, one_line

_LOGGERS = ("torch.onnx", "torch.export", "onnxscript", "onnx_ir")


@dataclass(frozen=True, slots=True)
class TorchSession:
    """The imported framework; it is imported only when a network of it is asked for."""

    torch: Any

    @property
    def reference_name(self) -> str:
        """Name and version of the implementation that the features are compared with."""
        return f"torch {self.torch.__version__}"


@contextlib.contextmanager
def torch_session() -> Iterator[TorchSession]:
    """Yield PyTorch, silenced, without gradients, and with random numbers of its own."""
    with contextlib.ExitStack() as stack:
        # The exporter warns of its own deprecations: nothing that a user could act on.
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        # What foreign code prints must not mix with a report on stdout.
        stack.enter_context(contextlib.redirect_stdout(sys.stderr))
        torch = _imported()
        for logger in map(logging.getLogger, _LOGGERS):
            stack.callback(logger.setLevel, logger.level)
            logger.setLevel(logging.CRITICAL + 1)
        stack.callback(torch.set_default_dtype, torch.get_default_dtype())
        torch.set_default_dtype(torch.float32)
        stack.enter_context(torch.random.fork_rng(devices=[]))
        stack.enter_context(torch.no_grad())
        stack.enter_context(_here_last())
        yield TorchSession(torch)


def _imported() -> Any:  # noqa: ANN401 - a module
    try:
        import onnxscript  # noqa: F401 - torch.onnx imports it, and only when it is called
        import torch
    except (ImportError, OSError) as error:  # OSError: one of its libraries is missing
        msg = (
            f"A network of PyTorch needs torch and onnxscript ({one_line(error)}). "
            "Install them: pip install 'tlbench[torch]'"
        )
        raise MissingDependencyError(msg) from error
    return torch


@contextlib.contextmanager
def _here_last() -> Iterator[None]:
    """Let modules of the working directory be imported, if no installed one has the name."""
    here = str(Path.cwd())
    if here in sys.path or "" in sys.path:
        yield
        return
    sys.path.append(here)
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):  # the network's own code may have removed it
            sys.path.remove(here)
