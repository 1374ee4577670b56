"""The CPU quota and its counters, from file trees as containers and hosts have them."""

import math

import pytest

from tlbench.machine import available_cpus, capture_environment, cpu_quota, environment, throttled_s

# What a process sees: its cgroups, the mounts (root, place, type, options), and the cgroup files.
V2_HOST = ("0::/user.slice/app.scope", [("/", "/sys/fs/cgroup", "cgroup2", "rw")])
V2_CONTAINER = ("0::/", [("/", "/sys/fs/cgroup", "cgroup2", "rw")])
V1_HOST = (
    "12:pids:/other\n4:cpu,cpuacct:/docker/abc\n1:name=systemd:/x\n0::/",
    [
        ("/", "/sys/fs/cgroup/pids", "cgroup", "rw,pids"),
        ("/", "/sys/fs/cgroup/cpu,cpuacct", "cgroup", "rw,cpu,cpuacct"),
        ("/", "/sys/fs/cgroup/unified", "cgroup2", "rw,nsdelegate"),
    ],
)
V1_CONTAINER = (
    "4:cpu,cpuacct:/docker/abc",
    [("/docker/abc", "/sys/fs/cgroup/cpu,cpuacct", "cgroup", "ro,cpu,cpuacct")],
)


@pytest.fixture
def machine(tmp_path):
    """Return a function that writes such a tree and gives its root."""

    def write(groups, mounts, files):
        proc = tmp_path / "proc" / "self"
        proc.mkdir(parents=True)
        (proc / "cgroup").write_text(groups + "\n")
        lines = [
            f"{30 + i} 25 0:{26 + i} {top} {place} rw,nosuid shared:9 - {kind} cgroup {options}"
            for i, (top, place, kind, options) in enumerate(mounts)
        ]
        lines.insert(0, "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro")
        (proc / "mountinfo").write_text("\n".join(lines) + "\n")
        for name, text in files.items():
            file = tmp_path / "sys/fs/cgroup" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return tmp_path

    return write


def v1(quota, period=100_000):
    return {"cpu.cfs_quota_us": f"{quota}\n", "cpu.cfs_period_us": f"{period}\n"}


def under(folder, files):
    return {f"{folder}/{name}": text for name, text in files.items()}


QUOTAS = {
    "v2, own": (V2_HOST, {"user.slice/app.scope/cpu.max": "150000 100000\n"}, 1.5),
    "v2, above": (
        V2_HOST,
        {"user.slice/app.scope/cpu.max": "max 100000\n", "user.slice/cpu.max": "25000 50000\n"},
        0.5,
    ),
    "v2, the smaller": (
        V2_HOST,
        {
            "user.slice/app.scope/cpu.max": "400000 100000\n",
            "user.slice/cpu.max": "300000 100000\n",
        },
        3.0,
    ),
    "v2, container": (V2_CONTAINER, {"cpu.max": "200000 100000\n"}, 2.0),
    "v2, none": (V2_CONTAINER, {"cpu.max": "max 100000\n"}, None),
    "v2, root": (V2_CONTAINER, {"cpu.stat": "usage_usec 1\n"}, None),
    "v2, a neighbour's": (V2_HOST, {"user.slice/other/cpu.max": "100000 100000\n"}, None),
    "v2, outside the namespace": (
        ("0::/../../app", V2_CONTAINER[1]),
        {"cpu.max": "100000 100000\n"},
        1.0,
    ),
    "v1, own": (V1_HOST, under("cpu,cpuacct/docker/abc", v1(50_000)), 0.5),
    "v1, another period": (V1_HOST, under("cpu,cpuacct/docker/abc", v1(50_000, 20_000)), 2.5),
    "v1, above": (
        V1_HOST,
        under("cpu,cpuacct/docker/abc", v1(-1)) | under("cpu,cpuacct/docker", v1(100_000)),
        1.0,
    ),
    "v1, none": (V1_HOST, under("cpu,cpuacct/docker/abc", v1(-1)), None),
    "v1, container": (V1_CONTAINER, under("cpu,cpuacct", v1(300_000)), 3.0),
    "v1, of pids": (V1_HOST, under("pids/other", v1(100_000)), None),
    "a name with a space": (
        ("0::/my app", [("/", "/sys/fs/cgroup/my\\040place", "cgroup2", "rw")]),
        {"my place/my app/cpu.max": "100000 100000\n"},
        1.0,
    ),
    "damaged": (V2_CONTAINER, {"cpu.max": "many 100000\n"}, None),
    "no period": (V2_CONTAINER, {"cpu.max": "100000 0\n"}, None),
}


@pytest.mark.parametrize(("tree", "files", "quota"), QUOTAS.values(), ids=QUOTAS)
def test_the_quota_is_the_smallest_on_the_way_up(machine, tree, files, quota):
    assert cpu_quota(machine(*tree, files)) == quota


def test_without_proc_there_is_no_quota(tmp_path):
    """As on other systems than Linux."""
    assert (cpu_quota(tmp_path), throttled_s(tmp_path)) == (None, None)


def test_a_line_that_is_cut_off_is_left_out(machine):
    root = machine(*V2_CONTAINER, {"cpu.max": "100000 100000\n"})
    with (root / "proc/self/mountinfo").open("a") as file:
        file.write("31 25 0:26 /\n32 - cgroup2\n\n")
    assert cpu_quota(root) == 1.0


COUNTERS = {
    "v2": (V2_CONTAINER, {"cpu.stat": "nr_throttled 3\nthrottled_usec 2500000\n"}, 2.5),
    "v1": (
        V1_CONTAINER,
        under("cpu,cpuacct", {"cpu.stat": "nr_periods 9\nthrottled_time 750000000\n"}),
        0.75,
    ),
    "two levels": (
        V2_HOST,
        {
            "user.slice/app.scope/cpu.stat": "throttled_usec 1000000\n",
            "user.slice/cpu.stat": "throttled_usec 500000\n",
        },
        1.5,
    ),
    "not counted": (V2_CONTAINER, {"cpu.stat": "usage_usec 7\n"}, None),
    "damaged": (V2_CONTAINER, {"cpu.stat": "throttled_usec\nthrottled_usec many\n"}, None),
}


@pytest.mark.parametrize(("tree", "files", "seconds"), COUNTERS.values(), ids=COUNTERS)
def test_throttled_time_is_in_seconds(machine, tree, files, seconds):
    found = throttled_s(machine(*tree, files))
    assert found == seconds if seconds is None else math.isclose(found, seconds)


@pytest.mark.parametrize(
    ("quota", "threads"),
    [(None, 4), (0.25, 1), (1.0, 1), (1.99, 1), (2.0, 2), (3.7, 3), (4.0, 4), (16.0, 4)],
)
def test_threads_follow_the_quota_below_the_affinity(monkeypatch, quota, threads):
    """Rounded down, because one thread more would be stopped in every period; at least one."""
    monkeypatch.setattr(environment, "cpu_quota", lambda: quota)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1, 2, 5}, raising=False)
    assert available_cpus() == threads
    found = capture_environment()
    assert (found.cpus_usable, found.cpu_quota) == (4, quota)
