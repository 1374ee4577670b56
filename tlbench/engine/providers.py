"""Execution providers, and whether each really works on this machine.

ONNX Runtime's own list names what was compiled in. When a provider's libraries are missing it
creates the session on the CPU and only logs it, so nothing here trusts a session that was merely
created.
"""

import contextlib
import ctypes
import io
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from tlbench.core.errors import MeasurementError, ProviderUnavailableError
from tlbench.core.registry import unknown_name

PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "directml": "DmlExecutionProvider",
    "migraphx": "MIGraphXExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "qnn": "QNNExecutionProvider",
}

_REMEDY = {
    "cuda": "Install CUDA and cuDNN with: pip install 'tlbench[cuda]'",
    "tensorrt": "Install TensorRT 10 and CUDA: pip install tensorrt 'tlbench[cuda]'",
}
_DRIVER = "libcuda.so.1"
_NO_DRIVER = f"library {_DRIVER} is missing: no NVIDIA driver is installed"
_FATAL = 4
_LONGEST_REASON = 240


@dataclass(frozen=True, slots=True)
class ProviderStatus:
    """Whether a provider is in this build and works here; ``problem`` says why not."""

    name: str
    compiled: bool
    loadable: bool
    problem: str | None = None


def provider_names() -> list[str]:
    """Return tlbench's short names of all providers it knows."""
    return list(PROVIDERS)


def ort_name(name: str) -> str:
    """Return ONNX Runtime's name of a provider; both the short and the long one are understood."""
    if name.lower() in PROVIDERS:
        return PROVIDERS[name.lower()]
    if name in PROVIDERS.values():
        return name
    raise unknown_name("provider", name, provider_names())


def onnxruntime_facts() -> tuple[str, tuple[str, ...]]:
    """Return ONNX Runtime's build description and the providers compiled into it."""
    import onnxruntime

    return onnxruntime.get_build_info(), tuple(onnxruntime.get_available_providers())


def runtime_version() -> str:
    """Return distribution and version of ONNX Runtime; imports it only if unknown to pip."""
    for name in ("onnxruntime-gpu", "onnxruntime"):
        with contextlib.suppress(metadata.PackageNotFoundError):
            return f"{name} {metadata.version(name)}"
    import onnxruntime

    return f"onnxruntime {onnxruntime.__version__}"


@contextlib.contextmanager
def quiet_runtime() -> Iterator[None]:
    """Keep ONNX Runtime from logging while a failure is provoked that we report ourselves."""
    import onnxruntime

    onnxruntime.set_default_logger_severity(_FATAL)
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # preload_dlls prints what it misses
            yield
    finally:
        onnxruntime.set_default_logger_severity(2)


def runtime_reason(error: Exception) -> str:
    """Return ONNX Runtime's complaint on one line; it stands at the end of its text."""
    text = " ".join(str(error).split())
    return text if len(text) <= _LONGEST_REASON else f"...{text[-_LONGEST_REASON:]}"


def failed_run(provider: str, shape: tuple[int, ...], error: Exception) -> MeasurementError:
    """Return the error of a batch that could not be run: the memory of a GPU is soon full."""
    return MeasurementError(
        f"A batch of shape {shape} cannot be run on provider {provider!r}: "
        f"{runtime_reason(error)}. If memory is what lacks, take a smaller --batch-size."
    )


def provider_statuses() -> list[ProviderStatus]:
    """Try every known provider; for `tlbench list providers` and `tlbench doctor`."""
    return [provider_status(name) for name in PROVIDERS]


def provider_status(name: str) -> ProviderStatus:
    """Try one provider: its libraries first, then a session of one node."""
    import onnxruntime

    wanted = ort_name(name)
    compiled = onnxruntime.get_available_providers()
    if wanted not in compiled:
        absent = f"{wanted} is not in this ONNX Runtime build, which has {', '.join(compiled)}"
        return ProviderStatus(name, compiled=False, loadable=False, problem=absent)
    with quiet_runtime():
        problem = _missing_library(wanted) or _failing_session(wanted)
    return ProviderStatus(name, compiled=True, loadable=problem is None, problem=problem)


def check_provider(name: str) -> None:
    """Raise ProviderUnavailableError, saying what is missing, unless the provider works."""
    status = provider_status(name)
    if not status.loadable:
        advice = _REMEDY.get(name.lower(), "Install the ONNX Runtime package that has it")
        if status.problem == _NO_DRIVER:
            advice = "Install NVIDIA's driver (in a container: start it with its GPUs)"
        msg = (
            f"Provider {name!r} cannot run here: {status.problem}. {advice}, "
            "or pass --provider cpu."
        )
        raise ProviderUnavailableError(msg)


def _missing_library(wanted: str) -> str | None:
    """Load the provider's shared library as ONNX Runtime would; return the loader's complaint.

    ONNX Runtime itself reports this as a log line of 500 characters that names no single cause.
    """
    import onnxruntime

    part = {"CUDAExecutionProvider": "cuda", "TensorrtExecutionProvider": "tensorrt"}.get(wanted)
    if part is None or sys.platform != "linux":
        return None
    onnxruntime.preload_dlls()
    folder = Path(onnxruntime.__file__).parent / "capi"
    try:
        ctypes.CDLL(str(folder / "libonnxruntime_providers_shared.so"), mode=ctypes.RTLD_GLOBAL)
        ctypes.CDLL(str(folder / f"libonnxruntime_providers_{part}.so"))
    except OSError as error:
        library, _, complaint = str(error).partition(":")
        if library == _DRIVER:  # the provider's library needs it: pip has all but the driver
            return _NO_DRIVER
        return f"library {library} is missing" if "cannot open" in complaint else str(error)
    try:
        ctypes.CDLL(_DRIVER)
    except OSError:
        return _NO_DRIVER
    return None


def _failing_session(wanted: str) -> str | None:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = _FATAL
    try:
        session = onnxruntime.InferenceSession(
            _identity_model(), options, providers=[wanted], enable_fallback=0
        )
        session.run(None, {"x": [0.0]})
    except Exception as error:  # noqa: BLE001 - ONNX Runtime raises a dozen types; each means "no"
        return runtime_reason(error)
    if session.get_providers()[0] != wanted:
        return f"ONNX Runtime gave a session on {session.get_providers()[0]} in its place"
    return None


def _identity_model() -> bytes:
    from onnx import TensorProto, helper

    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
    node = helper.make_node("Identity", ["x"], ["y"])
    model = helper.make_model(
        helper.make_graph([node], "probe", value[:1], value[1:]),
        opset_imports=[helper.make_opsetid("", 18)],
        ir_version=8,
    )
    content: bytes = model.SerializeToString()
    return content
