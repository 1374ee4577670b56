"""The CPU quota of this process's cgroups, versions 1 and 2, and how long it was enforced.

A container's limit (``docker run --cpus``, Kubernetes' ``limits.cpu``) is such a quota. It leaves
the affinity as it is: the process may use all processors until the quota of a period is spent, and
is then stopped (throttled) until the next period.
"""

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from tlbench.machine.processors import text_of

_ROOT = Path("/")
# Of ``cpu.stat``, with seconds per unit: version 2 counts microseconds, version 1 nanoseconds.
_COUNTERS = {"throttled_usec": 1e-6, "throttled_time": 1e-9}


def cpu_quota(root: Path = _ROOT) -> float | None:
    """Return how many processors' time this process may use; None without a limit."""
    return min((quota for folder in _cgroups(root) if (quota := _quota(folder))), default=None)


def throttled_s(root: Path = _ROOT) -> float | None:
    """Return the seconds, summed over processors, that quotas have stopped them; None if unknown.

    The counters are those of all processes in the cgroups, since their creation.
    """
    found = [
        int(value) * _COUNTERS[name]
        for folder in _cgroups(root)
        for name, _, value in (
            line.partition(" ") for line in (text_of(folder / "cpu.stat") or "").splitlines()
        )
        if name in _COUNTERS and value.strip().isdecimal()
    ]
    return sum(found) if found else None


def _quota(folder: Path) -> float | None:
    limit, _, period = (text_of(folder / "cpu.max") or "").partition(" ")
    if not limit:  # version 1, in which -1 means none; in version 2 it is "max"
        limit = text_of(folder / "cpu.cfs_quota_us") or ""
        period = text_of(folder / "cpu.cfs_period_us") or ""
    try:
        return int(limit) / int(period) if int(limit) > 0 else None
    except (ValueError, ZeroDivisionError):
        return None


def _cgroups(root: Path) -> Iterator[Path]:
    """Yield the folder of this process's cgroup that controls the CPU, and those above it."""
    groups = _own_groups(root)
    for line in (text_of(root / "proc/self/mountinfo") or "").splitlines():
        place, _, kind = line.partition(" - ")
        columns, (filesystem, _, options) = place.split(" "), (*kind.split(" "), "", "", "")[:3]
        is_first = filesystem == "cgroup" and "cpu" in options.split(",")
        if len(columns) < 5 or not (is_first or filesystem == "cgroup2"):  # noqa: PLR2004
            continue
        top, mounted = PurePosixPath(_plain(columns[3])), root / _plain(columns[4]).lstrip("/")
        own = groups.get("cpu" if is_first else "")
        # A container may see its cgroup's name on the host, but only the cgroup itself.
        is_below = own is not None and own.is_relative_to(top) and ".." not in own.parts
        folder = mounted / own.relative_to(top) if own is not None and is_below else mounted
        yield from (each for each in (folder, *folder.parents) if each.is_relative_to(mounted))


def _own_groups(root: Path) -> dict[str, PurePosixPath]:
    """Return the path of this process's cgroup by controller; version 2 has one, without a name."""
    groups: dict[str, PurePosixPath] = {}
    for line in (text_of(root / "proc/self/cgroup") or "").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        groups |= dict.fromkeys(controllers.split(","), PurePosixPath(path))
    return groups


def _plain(text: str) -> str:
    r"""Return a path of mountinfo without its escapes: ``\040`` is a space."""
    return re.sub(r"\\(\d{3})", lambda match: chr(int(match[1], 8)), text)
