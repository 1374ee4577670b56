"""Costs that only a fresh process shows: cold calls, and the memory of one model alone."""

from tlbench.core.errors import GpuUnreadableError
from tlbench.engine import Session
from tlbench.latency import run_isolated
from tlbench.machine import locate_gpu
from tlbench.records import FreshProcess
from tlbench.workflows.steps.inputs import LatencyInputs

_MODULE = "tlbench.engine.fresh"
_TIMEOUT_S = 300.0


def measure_fresh(
    session: Session, inputs: LatencyInputs, batch_size: int, processes: int
) -> FreshProcess:
    """Load the session's model in fresh processes, one after another, and call it twice in each.

    Raises
    ------
    MeasurementError
        If a process fails, for example for want of memory.
    """
    gpu, note = _gpu_of(session)
    request = {
        "path": str(session.model.path),
        "provider": session.provider,
        "provider_options": session.requested_options,
        "threads": session.threads,
        "spin": session.spin,
        "input": session.model.inputs[0].name,
        "shape": [batch_size, *inputs.shape],
        "dtype": str(inputs.rows[0].dtype),
        "gpu": gpu,
    }
    answers = [run_isolated(_MODULE, request, timeout_s=_TIMEOUT_S) for _ in range(processes)]

    def column(name: str) -> tuple[float, ...]:
        return tuple(answer[name] for answer in answers)

    def whole(name: str) -> tuple[int, ...]:
        return tuple(answer[name] for answer in answers if answer[name] is not None)

    return FreshProcess(
        import_s=column("import_s"),
        create_s=column("create_s"),
        first_s=column("first_s"),
        second_s=column("second_s"),
        before_rss_bytes=whole("before_rss_bytes"),
        peak_rss_bytes=whole("peak_rss_bytes"),
        device_bytes=whole("device_bytes"),
        device_note=next((a["device_note"] for a in answers if a["device_note"]), note),
    )


def _gpu_of(session: Session) -> tuple[str | None, str | None]:
    """Return where the session's GPU sits, or why that cannot be told; on a CPU neither."""
    if session.cuda_device is None:
        return None, None
    try:
        return locate_gpu(session.cuda_device), None
    except GpuUnreadableError as error:
        return None, str(error)
