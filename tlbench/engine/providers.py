"""Execution providers: whether each works on this machine, and sessions on exactly one of them.

ONNX Runtime lists what was compiled in. If a provider's libraries are missing, it creates the
session on the CPU and only logs that, so a session is not trusted merely because it exists.
"""

import contextlib
import ctypes
import io
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from tlbench.core.errors import MeasurementError, ProviderUnavailableError, one_line
from tlbench.core.registry import unknown_name
from tlbench.core.stderr import no_stderr

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
# ONNX Runtime's log level "fatal": it logs an error and raises it, which says the same thing twice.
_FATAL = 4
_LONGEST_REASON = 240
# ONNX Runtime's number for "neither capture a CUDA graph nor replay one".
NO_GRAPH = -1


@dataclass(frozen=True, slots=True)
class ProviderStatus:
    """Whether a provider is in this build and works here; ``problem`` says why not."""

    name: str
    compiled: bool
    loadable: bool
    problem: str | None = None


def provider_names() -> list[str]:
    """Return tlbench's short names of all providers that it knows."""
    return list(PROVIDERS)


def provider_name(name: str) -> str:
    """Return tlbench's name of a provider, given that or ONNX Runtime's, in upper or lower case."""
    for short, long in PROVIDERS.items():
        if name.lower() in {short, long.lower()}:
            return short
    raise unknown_name("provider", name, provider_names())


def ort_name(name: str) -> str:
    """Return ONNX Runtime's name of a provider, given any name that `provider_name` accepts."""
    return PROVIDERS[provider_name(name)]


def onnxruntime_facts() -> tuple[str, tuple[str, ...]]:
    """Return ONNX Runtime's build description and the providers compiled into it."""
    import onnxruntime

    return onnxruntime.get_build_info(), tuple(onnxruntime.get_available_providers())


def runtime_version() -> str:
    """Return distribution and version of ONNX Runtime; import it only if pip does not know it."""
    for name in ("onnxruntime-gpu", "onnxruntime"):
        with contextlib.suppress(metadata.PackageNotFoundError):
            return f"{name} {metadata.version(name)}"
    import onnxruntime

    return f"onnxruntime {onnxruntime.__version__}"


def session_settings(*, spin: bool) -> dict[str, str]:
    """Return the session configuration entries that tlbench sets, by ONNX Runtime's names."""
    return {
        "session.record_ep_graph_assignment_info": "1",
        # Unless told not to, ONNX Runtime's threads wait for more work in a busy loop.
        "session.intra_op.allow_spinning": "1" if spin else "0",
    }


def session_options(*, threads: int, spin: bool) -> Any:  # noqa: ANN401 - ONNX Runtime has no types
    """Return ``onnxruntime.SessionOptions`` with the threads and `session_settings`."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # From the affinity of this process: ONNX Runtime's default counts the machine's cores.
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _FATAL
    for name, value in session_settings(spin=spin).items():
        options.add_session_config_entry(name, value)
    return options


def create_session(
    source: Path | bytes,
    *,
    provider: str,
    provider_options: Mapping[str, str] | None = None,
    threads: int,
    spin: bool = True,
) -> Any:  # noqa: ANN401 - ONNX Runtime has no types
    """Return an ``onnxruntime.InferenceSession`` on one provider, with no fallback to another."""
    import onnxruntime

    session = onnxruntime.InferenceSession(
        source if isinstance(source, bytes) else str(source),
        session_options(threads=threads, spin=spin),
        providers=[(ort_name(provider), dict(provider_options or {}))],
        enable_fallback=0,
    )
    session.disable_fallback()
    return session


def captures_graph(provider_options: Mapping[str, str]) -> bool:
    """Return whether these options make a session capture its kernels as a CUDA graph."""
    return str(provider_options.get("enable_cuda_graph", "0")).lower() in {"1", "true"}


def graph_options(number: int) -> Any:  # noqa: ANN401 - ONNX Runtime has no types
    """Return ``onnxruntime.RunOptions`` for the CUDA graph of this number, or for `NO_GRAPH`.

    Calls that share a graph use the addresses of its capture: another buffer would be ignored.
    """
    import onnxruntime

    options = onnxruntime.RunOptions()
    options.add_run_config_entry("gpu_graph_id", str(number))
    return options


def runtime_reason(error: Exception) -> str:
    """Return ONNX Runtime's error message on one line, shortened to its end, where the cause is."""
    text = one_line(error)
    return text if len(text) <= _LONGEST_REASON else f"...{text[-_LONGEST_REASON:]}"


def failed_run(provider: str, shape: tuple[int, ...], error: Exception) -> MeasurementError:
    """Return the error to raise for a batch that ONNX Runtime could not run."""
    return MeasurementError(
        f"A batch of shape {shape} cannot be run on provider {provider!r}: "
        f"{runtime_reason(error)}. If memory ran out, choose a smaller batch_size."
    )


def provider_statuses() -> list[ProviderStatus]:
    """Return for every provider that tlbench knows whether it is in this build and works here."""
    return [provider_status(name) for name in PROVIDERS]


def provider_status(name: str) -> ProviderStatus:
    """Try one provider: first its libraries, then a session with a single node."""
    import onnxruntime

    name = provider_name(name)
    wanted = PROVIDERS[name]
    compiled = onnxruntime.get_available_providers()
    if wanted not in compiled:
        problem = f"{wanted} is not in this ONNX Runtime build, which has {', '.join(compiled)}"
        return ProviderStatus(name, compiled=False, loadable=False, problem=problem)
    # tlbench itself reports the failure that this may provoke. ONNX Runtime's default logger cannot
    # be silenced instead: its level cannot be read, so it could not be put back.
    with (
        no_stderr() if name != "cpu" else contextlib.nullcontext(),
        contextlib.redirect_stdout(io.StringIO()),  # preload_dlls prints what it misses
    ):
        found = _missing_library(wanted) or _failing_session(wanted)
    return ProviderStatus(name, compiled=True, loadable=found is None, problem=found)


def check_provider(name: str) -> None:
    """Make sure that a provider works on this machine."""
    status = provider_status(name)
    if not status.loadable:
        advice = _REMEDY.get(status.name, "Install the ONNX Runtime package that includes it")
        if status.problem == _NO_DRIVER:
            advice = "Install NVIDIA's driver (in a container: give it access to the GPUs)"
        raise ProviderUnavailableError(
            f"Provider {name!r} cannot run here: {status.problem}. {advice}, "
            "or pass provider='cpu'."
        )


def _missing_library(wanted: str) -> str | None:
    """Load the provider's shared library as ONNX Runtime would; return the loader's complaint."""
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
        if library == _DRIVER:  # the provider's library needs it; pip has everything but the driver
            return _NO_DRIVER
        return f"library {library} is missing" if "cannot open" in complaint else str(error)
    try:
        ctypes.CDLL(_DRIVER)
    except OSError:
        return _NO_DRIVER
    return None


def _failing_session(wanted: str) -> str | None:
    """Run a model of one node on the provider; return why that failed, or None."""
    from onnx import TensorProto, helper

    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
    model = graph_model([helper.make_node("Identity", ["x"], ["y"])], value[:1], value[1:])
    try:
        session = create_session(model, provider=wanted, threads=1)
        session.run(None, {"x": [0.0]})
    except Exception as error:  # noqa: BLE001 - ONNX Runtime raises a dozen types; each means "no"
        return runtime_reason(error)
    if (actual := session.get_providers()[0]) != wanted:
        return f"ONNX Runtime created the session on {actual} instead"
    return None


def graph_model(nodes: list[Any], inputs: list[Any], outputs: list[Any], *constants: Any) -> bytes:
    """Return the bytes of an ONNX model of these nodes."""
    from onnx import helper

    graph = helper.make_graph(nodes, "tlbench", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())
