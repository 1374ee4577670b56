"""The cost of a model in a process of its own, which was started to call `main`.

It reads a request (JSON) from standard input and writes the answer (JSON) to standard output. It
loads little besides ONNX Runtime and numpy, because all memory of the process is counted.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

from tlbench.core.errors import GpuUnreadableError
from tlbench.engine import providers
from tlbench.machine import open_gpu_at


def peak_rss_bytes() -> int:
    """Return the peak resident memory of this process so far."""
    try:  # on Linux not getrusage, which starts from the memory of the parent process
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    import psutil

    memory = psutil.Process().memory_info()
    if peak := getattr(memory, "peak_wset", None):  # Windows
        return int(peak)
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # macOS: bytes


def _device_bytes(pci_bus_id: str) -> tuple[int | None, str | None]:
    """Return the used memory of the GPU with this PCI bus id, or why it is not known."""
    # A device number would not do: resolving it starts the CUDA driver, which is timed below.
    try:
        gpu = open_gpu_at(pci_bus_id)
    except GpuUnreadableError as error:
        return None, str(error)
    try:
        return int(gpu.nvml.nvmlDeviceGetMemoryInfo(gpu.handle).used), None
    except gpu.nvml.NVMLError as error:
        return None, f"NVML reports: {error}"


def main(import_s: float) -> None:
    """Create a session, call it twice, and write seconds and bytes.

    *import_s* are the seconds that it took to import numpy and ONNX Runtime.
    """
    import numpy as np
    import onnxruntime

    request: dict[str, Any] = json.load(sys.stdin)
    if providers.ort_name(request["provider"]) != "CPUExecutionProvider":
        started = time.perf_counter()
        onnxruntime.preload_dlls()
        import_s += time.perf_counter() - started
    generator = np.random.default_rng(0)
    shape, dtype = request["shape"], np.dtype(request["dtype"])
    batches = [
        generator.integers(0, 256, shape).astype(dtype)
        if dtype == np.uint8
        else generator.standard_normal(shape).astype(dtype)
        for _ in range(2)
    ]
    before, gpu = peak_rss_bytes(), request["gpu"]
    device_before, note = _device_bytes(gpu) if gpu else (None, None)
    settings = {name: request[name] for name in ("provider", "provider_options", "threads", "spin")}
    started = time.perf_counter()
    session = providers.create_session(Path(request["path"]), **settings)
    create_s = time.perf_counter() - started
    # These are host arrays: a captured graph would ignore the second one.
    captures = providers.captures_graph(request["provider_options"])
    no_graph = (providers.graph_options(providers.NO_GRAPH),) if captures else ()
    calls_s = []
    for batch in batches:
        started = time.perf_counter()
        session.run(None, {request["input"]: batch}, *no_graph)
        calls_s.append(time.perf_counter() - started)
    device_after, note = _device_bytes(gpu) if gpu and note is None else (None, note)
    device_bytes = None
    if device_before is not None and device_after is not None:
        device_bytes = max(0, device_after - device_before)
    answer = {
        "import_s": import_s,
        "create_s": create_s,
        "first_s": calls_s[0],
        "second_s": calls_s[1],
        "before_rss_bytes": before,
        "peak_rss_bytes": peak_rss_bytes(),
        "device_bytes": device_bytes,
        "device_note": note,
    }
    print(json.dumps(answer))  # noqa: T201 - the answer
