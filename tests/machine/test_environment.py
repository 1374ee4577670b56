"""What a run records of its machine, even if the machine reports little."""

import os
import subprocess
import sys

import pytest

from tlbench.machine import available_cpus, capture_environment, cuda_variables, environment
from tlbench.machine.environment import Gpu

HIDDEN_CPUINFO = "vendor_id : GenuineIntel\ncpu family : 6\nmodel : 143\nmodel name : unknown\n"
NAMED_CPUINFO = "processor : 0\nmodel name : Example CPU @ 2.00GHz\nprocessor : 1\nmodel name : B\n"


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Return a function that makes PATH hold one program, which prints a text."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))

    def _program(name, output, status=0):
        (folder / "output").write_bytes(output)
        script = folder / name
        script.write_text(f"#!/bin/sh\n/bin/cat {folder}/output\nexit {status}\n")
        script.chmod(0o755)

    return _program


@pytest.fixture
def files(monkeypatch):
    """Return a dict of the files that the module sees instead of the machine's."""
    contents = {}
    monkeypatch.setattr(environment, "_read", lambda path: contents.get(path.as_posix()))
    return contents


def test_this_machine_is_described():
    """Everything that any machine can report is there."""
    found = capture_environment(onnxruntime_build="1.0 build", providers=("A", "B"))
    assert found.machine
    assert found.cpu
    assert found.os
    assert found.python.endswith(".".join(map(str, sys.version_info[:3])))
    assert found.ram_bytes is None or found.ram_bytes > 1 << 28  # 256 MiB: Python would not fit
    assert (found.onnxruntime_build, found.providers) == ("1.0 build", ("A", "B"))


def test_the_processors_are_the_usable_ones():
    """All kinds together; systems other than Linux report no kinds."""
    found = capture_environment()
    assert sum(kind.n_usable for kind in found.processors) in {0, found.cpus_usable}


def test_loaded_libraries_stand_with_those_of_python():
    found = capture_environment(loaded={"cudnn": "9.24.0"})
    assert found.libraries["cudnn"] == "9.24.0"
    assert "numpy" in found.libraries


def test_variables_that_overrule_cudas_options_are_told(monkeypatch):
    """Those that are set, an empty one included: it hides every GPU."""
    for name in ("CUDA_DEVICE_ORDER", "CUDA_LAUNCH_BLOCKING", "NVIDIA_TF32_OVERRIDE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv("CUDA_PATH", "/usr/local/cuda")
    assert cuda_variables() == {"CUDA_VISIBLE_DEVICES": ""}


def test_usable_processors_are_some_of_all():
    """A process runs on at least one processor and on no more than there are."""
    found = capture_environment()
    assert 1 <= found.cpus_usable <= found.cpus_total


def test_versions_of_the_libraries_are_recorded():
    """The versions that numbers depend on are those that are installed."""
    import numpy as np
    import onnx

    libraries = capture_environment().libraries
    assert libraries["numpy"] == np.__version__
    assert libraries["onnx"] == onnx.__version__
    assert {"onnxruntime", "onnxruntime-gpu"} & set(libraries)


@pytest.mark.usefixtures("program")
def test_a_silent_machine_is_described_with_gaps(files, monkeypatch, tmp_path):
    """Without nvidia-smi, git, /proc and /sys the rest is still recorded."""
    monkeypatch.chdir(tmp_path)
    found = capture_environment()
    assert found.gpus == ()
    assert found.git_commit is None
    assert found.governor is None
    assert found.cpu
    assert found.cpus_usable >= 1


@pytest.mark.parametrize(
    ("cpuinfo", "name"),
    [
        pytest.param(NAMED_CPUINFO, "Example CPU @ 2.00GHz", id="named"),
        pytest.param(HIDDEN_CPUINFO, "GenuineIntel family 6 model 143", id="name hidden"),
    ],
)
def test_processor_is_identified(files, cpuinfo, name):
    """A virtual machine that hides the name still reports vendor, family and model."""
    files["/proc/cpuinfo"] = cpuinfo
    assert capture_environment().cpu == name


def test_governor_is_read(files):
    """The frequency governor decides what a latency means."""
    files["/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"] = "powersave"
    assert capture_environment().governor == "powersave"


def test_gpus_are_read_from_the_driver(program):
    """Each line is a GPU; what the driver does not report is None."""
    program(
        "nvidia-smi",
        b"Example GPU A, 550.10, 16384, 1410, 1980, 700.00, 00000000:3B:00.0\n"
        b"Example GPU B, 550.10, 143771, [N/A], [N/A], [N/A], [N/A]\n",
    )
    assert capture_environment().gpus == (
        Gpu(
            name="Example GPU A",
            driver="550.10",
            memory_bytes=16 << 30,
            sm_clock_hz=1.41e9,
            pci_bus_id="0000:3b:00.0",
            max_sm_clock_hz=1.98e9,
            power_limit_w=700.0,
        ),
        Gpu(name="Example GPU B", driver="550.10", memory_bytes=143771 << 20, sm_clock_hz=None),
    )


@pytest.mark.parametrize(
    ("output", "status"),
    [
        pytest.param(b"No devices were found\n", 0, id="no device"),
        pytest.param(b"NVIDIA-SMI has failed\n", 9, id="no driver"),
        pytest.param(b"", 0, id="nothing"),
        pytest.param(b"\xff\xfe\x00", 0, id="no text"),
    ],
)
def test_a_driver_without_gpus(program, output, status):
    """A machine with the tool and without a GPU has no GPU, and no error."""
    program("nvidia-smi", output, status)
    assert capture_environment().gpus == ()


def test_git_commit_is_marked_when_files_are_changed(tmp_path, monkeypatch):
    """A number can be traced to a commit only if nothing was edited after it."""
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    repository = tmp_path / "repository"
    repository.mkdir()
    monkeypatch.chdir(repository)

    def git(*words):
        command = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    git("init", "--quiet")
    (repository / "file").write_text("one")
    git("add", "file")
    git("commit", "--quiet", "-m", "one")
    commit = git("rev-parse", "HEAD")
    assert capture_environment().git_commit == commit
    (repository / "untracked").write_text("new")
    assert capture_environment().git_commit == commit
    (repository / "file").write_text("two")
    assert capture_environment().git_commit == f"{commit}-dirty"


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity on this system")
def test_available_cpus_respects_the_affinity():
    """A process bound to one processor has one, however many the machine has."""
    cpu = min(os.sched_getaffinity(0))
    source = (
        f"import os; os.sched_setaffinity(0, {{{cpu}}});"
        "from tlbench.machine.environment import available_cpus; print(available_cpus())"
    )
    done = subprocess.run(
        [sys.executable, "-c", source], check=True, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.strip() == "1"


def test_available_cpus_without_affinity(monkeypatch):
    """Where there is no affinity, all processors of the machine count."""
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert available_cpus() == os.cpu_count()


@pytest.mark.parametrize(
    ("machine", "cpuinfo", "saturates"),
    [
        ("x86_64", "flags\t\t: fpu avx2 avx512f avx512_vnni", False),
        ("AMD64", "flags\t\t: fpu avx2 avx_vnni", False),
        ("x86_64", "flags\t\t: fpu avx2 avx512f", True),
        ("x86_64", None, True),
        ("aarch64", "Features\t: fp asimd", False),
        ("arm64", None, False),
    ],
    ids=["avx512_vnni", "avx_vnni", "avx512 alone", "unknown", "linux arm", "mac arm"],
)
def test_int8_saturates_unless_the_processor_says_otherwise(
    monkeypatch, machine, cpuinfo, saturates
):
    """Without VNNI, or without an answer, weights have seven bits."""
    monkeypatch.setattr(environment.platform, "machine", lambda: machine)
    monkeypatch.setattr(environment, "_read", lambda _path: cpuinfo)
    assert environment.int8_saturates() is saturates
