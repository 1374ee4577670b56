"""Create an ONNX Runtime session with every setting that matters for time said out loud."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tlbench.engine.providers import ort_name

__all__ = ["create_session", "session_options", "session_settings"]


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
