"""The machine and software that a measurement ran on."""

import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from tlbench.machine.cgroup import cpu_quota
from tlbench.machine.nvidia import normal_bus_id
from tlbench.machine.processors import Processors, processor_kinds
from tlbench.machine.processors import text_of as _read

_LIBRARIES = (
    "onnxruntime-gpu",
    "onnxruntime",
    "onnx",
    "numpy",
    "scipy",
    "scikit-learn",
    "pillow",
    "tensorflow",
    "keras",
    "tf2onnx",
)
_INT8_DOT_PRODUCTS = frozenset({"avx512_vnni", "avx_vnni"})  # flags of /proc/cpuinfo
# Variables that decide which GPU CUDA uses and what it computes, whatever the options say:
# NVIDIA_TF32_OVERRIDE=0 overrules use_tf32=1.
_CUDA_VARIABLES = (
    "CUDA_VISIBLE_DEVICES",
    "CUDA_DEVICE_ORDER",
    "CUDA_LAUNCH_BLOCKING",
    "NVIDIA_TF32_OVERRIDE",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """One GPU as its driver describes it; None for what the driver does not report."""

    name: str
    driver: str
    memory_bytes: int | None
    sm_clock_hz: float | None  # clock of its multiprocessors at that moment
    pci_bus_id: str | None = None  # by this a timing names the GPU that it ran on
    max_sm_clock_hz: float | None = None  # the highest clock that the GPU supports
    power_limit_w: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """Properties of the machine at the start of a run; None for what it does not report."""

    machine: str
    cpu: str
    cpus_total: int
    cpus_usable: int  # in this process's affinity and cpuset
    ram_bytes: int | None
    gpus: tuple[Gpu, ...]
    os: str
    python: str
    libraries: dict[str, str]
    onnxruntime_build: str | None
    providers: tuple[str, ...]  # compiled into this ONNX Runtime; that does not mean they load
    governor: str | None
    on_ac_power: bool | None
    git_commit: str | None
    processors: tuple[Processors, ...] = ()  # usable ones by kind; only on Linux
    cpu_quota: float | None = None  # processors' time that the cgroups allow; None without a limit


def available_cpus() -> int:
    """Return how many threads this process can keep running, by its affinity and CPU quota."""
    n_usable, quota = len(usable_cpus()), cpu_quota()
    # Rounded down: one thread more would be stopped in every period of the quota.
    return n_usable if quota is None else max(1, min(n_usable, int(quota)))


def usable_cpus() -> set[int]:
    """Return the numbers of the processors in this process's affinity."""
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))


def cuda_variables() -> dict[str, str]:
    """Return the environment variables of this process that change what CUDA computes or where."""
    return {name: os.environ[name] for name in _CUDA_VARIABLES if name in os.environ}


def int8_saturates() -> bool:
    """Return whether int8 products may saturate on this processor; True if unknown.

    x86 without VNNI adds them in 16 bits, ARM in 32 (ONNX Runtime's docs of ``reduce_range``).
    """
    if platform.machine().lower() in {"arm64", "aarch64"}:
        return False
    return not _INT8_DOT_PRODUCTS & set(_cpuinfo().get("flags", "").split())


def capture_environment(
    *,
    onnxruntime_build: str | None = None,
    providers: tuple[str, ...] = (),
    loaded: Mapping[str, str] | None = None,
) -> Environment:
    """Describe this machine."""
    return Environment(
        machine=platform.machine(),
        cpu=_cpu_name(),
        cpus_total=os.cpu_count() or 1,
        cpus_usable=len(usable_cpus()),
        ram_bytes=_ram_bytes(),
        gpus=_gpus(),
        os=platform.platform(terse=True),
        python=f"{platform.python_implementation()} {platform.python_version()}",
        libraries={**_library_versions(), **(loaded or {})},
        onnxruntime_build=onnxruntime_build,
        providers=providers,
        governor=_read(Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")),
        on_ac_power=_on_ac_power(),
        git_commit=_git_commit(),
        processors=processor_kinds(usable_cpus()),
        cpu_quota=cpu_quota(),
    )


def _run(*command: str) -> str | None:
    try:
        done = subprocess.run(  # noqa: S603 - fixed commands, no shell
            command, capture_output=True, encoding="utf-8", errors="replace", timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None


def _cpuinfo() -> dict[str, str]:
    """Return the fields that Linux gives for the first processor; empty on other systems."""
    fields: dict[str, str] = {}
    for line in (_read(Path("/proc/cpuinfo")) or "").splitlines():
        key, colon, value = line.partition(":")
        if colon:
            fields.setdefault(key.strip(), value.strip())
    return fields


def _cpu_name() -> str:
    fields = _cpuinfo()
    name = fields.get("model name")
    if name and name.lower() != "unknown":
        return name
    if sys.platform == "darwin" and (brand := _run("sysctl", "-n", "machdep.cpu.brand_string")):
        return brand
    if vendor := fields.get("vendor_id"):  # a virtual machine may hide the name
        return f"{vendor} family {fields.get('cpu family')} model {fields.get('model')}"
    return platform.processor() or platform.machine()


def _ram_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None


def _gpus() -> tuple[Gpu, ...]:
    table = _run(
        "nvidia-smi",
        "--query-gpu=name,driver_version,memory.total,clocks.sm,clocks.max.sm,power.limit,pci.bus_id",
        "--format=csv,noheader,nounits",
    )
    gpus = []
    for line in (table or "").splitlines():
        cells = [cell.strip() for cell in line.split(",")]
        if len(cells) == 7:  # noqa: PLR2004 - the seven columns asked for above
            name, driver, memory_mib, clock_mhz, max_clock_mhz, power_w, bus_id = cells
            gpus.append(
                Gpu(
                    name=name,
                    driver=driver,
                    memory_bytes=int(memory_mib) << 20 if memory_mib.isdigit() else None,
                    sm_clock_hz=_scaled(clock_mhz, 1e6),
                    pci_bus_id=normal_bus_id(bus_id) if ":" in bus_id else None,
                    max_sm_clock_hz=_scaled(max_clock_mhz, 1e6),
                    power_limit_w=_scaled(power_w, 1.0),
                )
            )
    return tuple(gpus)


def _scaled(text: str, unit: float) -> float | None:
    """Return a number that nvidia-smi printed, or None: it prints "[N/A]" for an unknown one."""
    try:
        return float(text) * unit
    except ValueError:
        return None


def _library_versions() -> dict[str, str]:
    versions = {}
    for name in _LIBRARIES:
        with suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return versions


def _on_ac_power() -> bool | None:
    states = [
        _read(supply / "online")
        for supply in Path("/sys/class/power_supply").glob("*")
        if _read(supply / "type") == "Mains"
    ]
    return any(state == "1" for state in states) if states else None


def _git_commit() -> str | None:
    """Return the commit of the working folder, marked if files changed; None if there is none."""
    commit = _run("git", "rev-parse", "HEAD")
    if commit and _run("git", "status", "--porcelain", "--untracked-files=no"):
        return f"{commit}-dirty"
    return commit
