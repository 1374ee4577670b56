"""The kinds of processors that this process may use, as Linux lists them in ``/sys``."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

_DEVICES = Path("/sys/devices")
# Intel's performance and efficient cores have a counter device each, which lists its processors.
_INTEL = {"performance": "cpu_core", "efficient": "cpu_atom"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Processors:
    """The usable processors of one kind; None where Linux does not report a value."""

    kind: str | None  # "performance" or "efficient", on Intel's hybrid processors
    n_usable: int  # processors of this kind that the process may run on
    capacity: int | None  # computing power; the machine's fastest kind has 1024 (Arm)
    governor: str | None  # what chooses the clock; several names if the processors differ
    max_hz: float | None  # the highest clock allowed at present
    current_hz: float | None  # the clock of the first of them when it was read


def processor_kinds(usable: Iterable[int], devices: Path = _DEVICES) -> tuple[Processors, ...]:
    """Return the kinds among the *usable* processors; empty where there is no ``/sys``."""
    folder = devices / "system" / "cpu"
    if not folder.is_dir():
        return ()
    kind_of = {
        number: kind
        for kind, device in _INTEL.items()
        for number in _numbers(text_of(devices / device / "cpus"))
    }
    groups: dict[tuple[str | None, int | None], list[Path]] = {}
    for number in sorted(usable):
        cpu = folder / f"cpu{number}"
        capacity = _whole(text_of(cpu / "cpu_capacity"))
        groups.setdefault((kind_of.get(number), capacity), []).append(cpu / "cpufreq")
    return tuple(
        Processors(
            kind=kind,
            n_usable=len(clocks),
            capacity=capacity,
            governor=", ".join(sorted(_known(text_of, clocks, "scaling_governor"))) or None,
            max_hz=max(_known(_hertz, clocks, "scaling_max_freq"), default=None),
            # of one processor per kind: the kernel may take milliseconds to answer
            current_hz=_hertz(clocks[0] / "scaling_cur_freq"),
        )
        for (kind, capacity), clocks in groups.items()
    )


def text_of(path: Path) -> str | None:
    """Return the stripped content of a small system file; None if it is empty or unreadable."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip() or None
    except OSError:
        return None


def _whole(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdecimal() else None


def _hertz(path: Path) -> float | None:
    kilohertz = _whole(text_of(path))
    return None if kilohertz is None else 1e3 * kilohertz


def _known(read: Callable[[Path], T | None], folders: Iterable[Path], name: str) -> set[T]:
    """Return the different values of a file in several folders, without the unknown ones."""
    return {value for folder in folders if (value := read(folder / name)) is not None}


def _numbers(text: str | None) -> list[int]:
    """Return the numbers of a list in Linux's notation: "0-7,16"."""
    found: list[int] = []
    for part in (text or "").split(","):
        first, _, last = part.partition("-")
        if first.isdecimal():
            found += range(int(first), int(last if last.isdecimal() else first) + 1)
    return found
