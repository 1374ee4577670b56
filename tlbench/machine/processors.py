"""The kinds of processors that this process may use, as Linux tells them apart in ``/sys``."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_DEVICES = Path("/sys/devices")
# Intel's performance and efficient cores have a counter device each, which lists its processors.
_INTEL = {"performance": "cpu_core", "efficient": "cpu_atom"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Processors:
    """Usable processors of one kind; None where Linux does not tell.

    Attributes
    ----------
    kind : {"performance", "efficient"} or None
        Of Intel's hybrid processors.
    n_usable : int
        Processors of this kind that the process may run on.
    capacity : int or None
        Computing power, where the machine's fastest have 1024: Arm's kinds differ in it.
    governor : str or None
        What chooses the clock; several, where the processors differ.
    max_hz : float or None
        The highest clock that is allowed at present.
    current_hz : float or None
        The clock of the first of them at the moment of reading.
    """

    kind: str | None
    n_usable: int
    capacity: int | None
    governor: str | None
    max_hz: float | None
    current_hz: float | None


def processor_kinds(usable: Iterable[int], devices: Path = _DEVICES) -> tuple[Processors, ...]:
    """Return the kinds among the *usable* processors; empty where there is no ``/sys``.

    The current clock is read of one processor a kind: the kernel may wait milliseconds for it.
    """
    folder = devices / "system" / "cpu"
    if not folder.is_dir():
        return ()
    kind_of = {
        number: kind
        for kind, device in _INTEL.items()
        for number in _numbers(_text(devices / device / "cpus"))
    }
    groups: dict[tuple[str | None, int | None], list[Path]] = {}
    for number in sorted(usable):
        cpu = folder / f"cpu{number}"
        capacity = _whole(_text(cpu / "cpu_capacity"))
        groups.setdefault((kind_of.get(number), capacity), []).append(cpu / "cpufreq")
    return tuple(
        Processors(
            kind=kind,
            n_usable=len(clocks),
            capacity=capacity,
            governor=_joined(_text(clock / "scaling_governor") for clock in clocks),
            max_hz=max(
                (hz for clock in clocks if (hz := _hertz(clock / "scaling_max_freq")) is not None),
                default=None,
            ),
            current_hz=_hertz(clocks[0] / "scaling_cur_freq"),
        )
        for (kind, capacity), clocks in groups.items()
    )


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip() or None
    except OSError:
        return None


def _whole(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdecimal() else None


def _hertz(path: Path) -> float | None:
    kilohertz = _whole(_text(path))
    return None if kilohertz is None else 1e3 * kilohertz


def _joined(texts: Iterable[str | None]) -> str | None:
    return ", ".join(sorted({text for text in texts if text})) or None


def _numbers(text: str | None) -> list[int]:
    """Return the numbers of a list as Linux writes it: "0-7,16"."""
    found: list[int] = []
    for part in (text or "").split(","):
        first, _, last = part.partition("-")
        if first.isdecimal():
            found += range(int(first), int(last if last.isdecimal() else first) + 1)
    return found
