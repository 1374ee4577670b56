"""Kinds of processors, out of a ``/sys`` that a test writes."""

import pytest

from tlbench.machine.processors import Processors, processor_kinds


@pytest.fixture
def devices(tmp_path):
    """Return a function that writes a processor's files, by name and content."""
    (tmp_path / "system" / "cpu").mkdir(parents=True)

    def write(number, **contents):
        for name, content in contents.items():
            inside = "cpufreq/" if name.startswith("scaling") else ""
            path = tmp_path / "system" / "cpu" / f"cpu{number}" / f"{inside}{name}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{content}\n")

    write.root = tmp_path
    return write


def clock(mhz, max_mhz, governor="performance"):
    return {
        "scaling_cur_freq": 1000 * mhz,
        "scaling_max_freq": 1000 * max_mhz,
        "scaling_governor": governor,
    }


def test_performance_and_efficient_cores_are_told_apart(devices):
    """Of Intel's hybrids, by the devices that count their events; only usable ones count."""
    for name, cpus in (("cpu_core", "0-3"), ("cpu_atom", "4-6,8")):
        (devices.root / name).mkdir()
        (devices.root / name / "cpus").write_text(f"{cpus}\n")
    for number in range(9):
        devices(number, **(clock(3000, 5000) if number < 4 else clock(2000, 3800)))
    found = processor_kinds([1, 2, 3, 4, 5, 8], devices.root)
    assert [(kind.kind, kind.n_usable, kind.max_hz, kind.current_hz) for kind in found] == [
        ("performance", 3, 5e9, 3e9),
        ("efficient", 3, 3.8e9, 2e9),
    ]


def test_arms_capacities_are_kinds(devices):
    for number, capacity in enumerate((406, 406, 1024)):
        devices(number, cpu_capacity=capacity)
    found = processor_kinds(range(3), devices.root)
    assert [(kind.capacity, kind.n_usable) for kind in found] == [(406, 2), (1024, 1)]
    assert {kind.kind for kind in found} == {None}


def test_processors_that_differ_in_their_governor_say_so(devices):
    """The highest allowed clock is that of any; the current one that of the first."""
    devices(0, **clock(1200, 3000, "powersave"))
    devices(1, **clock(2900, 3200, "performance"))
    (found,) = processor_kinds([0, 1], devices.root)
    assert found.governor == "performance, powersave"
    assert (found.max_hz, found.current_hz) == (3.2e9, 1.2e9)


def test_what_linux_does_not_tell_is_not_invented(devices):
    """A virtual machine hides clocks and kinds."""
    assert processor_kinds([0, 1], devices.root) == (
        Processors(
            kind=None, n_usable=2, capacity=None, governor=None, max_hz=None, current_hz=None
        ),
    )


@pytest.mark.parametrize("content", ["<unknown>", "", "-1"])
def test_a_clock_that_is_no_number_is_none(devices, content):
    devices(0, scaling_cur_freq=content)
    (found,) = processor_kinds([0], devices.root)
    assert found.current_hz is None


def test_other_systems_have_no_kinds(tmp_path):
    assert processor_kinds([0], tmp_path) == ()
