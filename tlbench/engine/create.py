"""Create an ONNX Runtime session with every setting that matters for time said out loud."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tlbench.engine.providers import ort_name

# ONNX Runtime's number for "neither capture a CUDA graph nor replay one".
NO_GRAPH = -1


def captures_graph(provider_options: Mapping[str, str]) -> bool:
    """Tell whether these options make a session capture its kernels as a CUDA graph."""
    return str(provider_options.get("enable_cuda_graph", "0")).lower() in {"1", "true"}


def graph_options(number: int) -> Any:  # noqa: ANN401 - ONNX Runtime has no types
    """Return ``onnxruntime.RunOptions`` for the CUDA graph of this number, or for `NO_GRAPH`.

    A graph reads and writes where the buffers were when it was captured. Without a number all calls
    of a session share one graph: a second buffer, or an array of the host's, would be ignored, and
    the first answer's place written to again.
    """
    import onnxruntime

    options = onnxruntime.RunOptions()
    options.add_run_config_entry("gpu_graph_id", str(number))
    return options


def session_settings(*, spin: bool) -> dict[str, str]:
    """Return the session's configuration entries that tlbench sets, by ONNX Runtime's names."""
    return {
        "session.record_ep_graph_assignment_info": "1",
        # ONNX Runtime's threads wait for the next work in a busy loop unless told not to.
        "session.intra_op.allow_spinning": "1" if spin else "0",
    }


def session_options(*, threads: int, spin: bool) -> Any:  # noqa: ANN401 - ONNX Runtime has no types
    """Return ``onnxruntime.SessionOptions`` with the threads and `session_settings`."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # From the affinity of this process: ONNX Runtime's default counts the machine's cores.
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
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
    """Return an ``onnxruntime.InferenceSession`` on one provider, without fallback.

    Raises whatever ONNX Runtime raises.
    """
    import onnxruntime

    session = onnxruntime.InferenceSession(
        source if isinstance(source, bytes) else str(source),
        session_options(threads=threads, spin=spin),
        providers=[(ort_name(provider), dict(provider_options or {}))],
        enable_fallback=0,
    )
    session.disable_fallback()
    return session
