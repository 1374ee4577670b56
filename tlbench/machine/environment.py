"""The machine and software that a measurement ran on."""

import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from tlbench.machine.nvidia import normal_bus_id
from tlbench.machine.processors import Processors, processor_kinds

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


# Flags of /proc/cpuinfo.
_INT8_DOT_PRODUCTS = frozenset({"avx512_vnni", "avx_vnni"})


# Variables that decide which GPU CUDA takes and what it computes, whatever the options say:
# NVIDIA_TF32_OVERRIDE=0 overrules use_tf32=1.
_CUDA_VARIABLES = (
    "CUDA_VISIBLE_DEVICES",
    "CUDA_DEVICE_ORDER",
    "CUDA_LAUNCH_BLOCKING",
    "NVIDIA_TF32_OVERRIDE",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """One GPU of the machine, as its driver describes it; None where it does not tell.

    A timing names the one that it ran on by its ``pci_bus_id``. ``sm_clock_hz`` is the clock of its
    processors at that moment, ``max_sm_clock_hz`` the highest there is.
    """

    name: str
    driver: str
    memory_bytes: int | None
    sm_clock_hz: float | None
    pci_bus_id: str | None = None
    max_sm_clock_hz: float | None = None
    power_limit_w: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """Facts of the machine at the start of a run; None where the machine does not tell.

    ``cpus_usable`` counts the processors that this process may run on, after affinity and container
    limits of the cpuset, which is what thread defaults derive from; ``cpus_total`` counts the
    machine's.
    """

    machine: str
    cpu: str
    cpus_total: int
    cpus_usable: int
    ram_bytes: int | None
    gpus: tuple[Gpu, ...]
    os: str
    python: str
    libraries: dict[str, str]
    onnxruntime_build: str | None
    providers: tuple[
        str, ...
    ]  # compiled into this ONNX Runtime; whether they load is probed when asked for
    governor: str | None
    on_ac_power: bool | None
    git_commit: str | None
    processors: tuple[Processors, ...] = ()  # the usable ones by kind; empty but on Linux


def available_cpus() -> int:
    """Return how many processors this process may use: its affinity, not the machine's cores."""
    return len(_usable_cpus())


def _usable_cpus() -> set[int]:
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))


def cuda_variables() -> dict[str, str]:
    """Return the variables of this process's environment that change what a GPU run means."""
    return {name: os.environ[name] for name in _CUDA_VARIABLES if name in os.environ}


def int8_saturates() -> bool:
    """Tell whether this processor's int8 products may saturate, so that weights need 7 bits.

    x86 before VNNI adds two products of uint8 by int8 in 16 bits, which overflow; see ONNX
    Runtime's documentation of ``reduce_range``. ARM adds in 32 bits. Where the processor does not
    tell, the answer is yes: 7 bits are right everywhere, only coarser.
    """
    if platform.machine().lower() in {"arm64", "aarch64"}:
        return False
    for line in (_read(Path("/proc/cpuinfo")) or "").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "flags":
            return not _INT8_DOT_PRODUCTS & set(value.split())
    return True


def capture_environment(
    *,
    onnxruntime_build: str | None = None,
    providers: tuple[str, ...] = (),
    loaded: Mapping[str, str] | None = None,
) -> Environment:
    """Describe this machine; what only ONNX Runtime knows is handed in.

    *loaded* are versions of libraries that are not Python's, CUDA's for example.
    """
    return Environment(
        machine=platform.machine(),
        cpu=_cpu_name(),
        cpus_total=os.cpu_count() or 1,
        cpus_usable=available_cpus(),
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
        processors=processor_kinds(_usable_cpus()),
    )


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip() or None
    except OSError:
        return None


def _run(*command: str) -> str | None:
    try:
        done = subprocess.run(  # noqa: S603 - fixed commands, no shell
            command, capture_output=True, encoding="utf-8", errors="replace", timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None


def _cpu_name() -> str:
    fields: dict[str, str] = {}
    for line in (_read(Path("/proc/cpuinfo")) or "").splitlines():
        key, colon, value = line.partition(":")
        if colon:
            fields.setdefault(key.strip(), value.strip())
    name = fields.get("model name")
    if name and name.lower() != "unknown":
        return name
    if sys.platform == "darwin" and (brand := _run("sysctl", "-n", "machdep.cpu.brand_string")):
        return brand
    if (
        "vendor_id" in fields
    ):  # virtual machines may hide the name: vendor, family and model still identify it
        return (
            f"{fields['vendor_id']} family {fields.get('cpu family')} model {fields.get('model')}"
        )
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
    """Return a figure of nvidia-smi's; it writes "[N/A]" or the like where there is none."""
    try:
        return float(text) * unit
    except ValueError:
        return None


def _library_versions() -> dict[str, str]:
    versions = {}
    for name in _LIBRARIES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def _on_ac_power() -> bool | None:
    states = [
        _read(supply / "online")
        for supply in Path("/sys/class/power_supply").glob("*")
        if _read(supply / "type") == "Mains"
    ]
    return any(state == "1" for state in states) if states else None


def _git_commit() -> str | None:
    """Commit of the working folder, marked if changed; None outside a repository."""
    commit = _run("git", "rev-parse", "HEAD")
    if commit and _run("git", "status", "--porcelain", "--untracked-files=no"):
        return f"{commit}-dirty"
    return commit
