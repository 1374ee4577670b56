"""Providers tell the truth, quietly, and the settings of a session reach ONNX Runtime."""

import ctypes
import os
import subprocess
import sys

import numpy as np
import onnxruntime
import pytest

from tlbench.core.errors import ProviderUnavailableError, UnknownNameError
from tlbench.engine import (
    check_provider,
    device_of,
    provider_name,
    provider_names,
    provider_statuses,
)
from tlbench.engine.providers import (
    PROVIDERS,
    create_session,
    ort_name,
    provider_status,
    runtime_reason,
    session_options,
    session_settings,
)

HAS_CUDA = provider_status("cuda").loadable


def test_the_cpu_always_works():
    assert provider_status("cpu").loadable
    check_provider("cpu")


@pytest.mark.parametrize("name", provider_names())
def test_a_status_has_a_problem_exactly_when_it_does_not_work(name):
    status = provider_status(name)
    assert (status.problem is None) == status.loadable
    assert status.compiled or not status.loadable


def test_statuses_cover_every_provider():
    assert [status.name for status in provider_statuses()] == list(PROVIDERS)


@pytest.mark.parametrize(("short", "long"), PROVIDERS.items())
def test_short_and_long_names_mean_the_same(short, long):
    """In any case: ONNX Runtime's own name is what `onnxruntime.get_available_providers` gives."""
    for name in (short, short.upper(), long, long.lower(), long.upper()):
        assert (provider_name(name), ort_name(name)) == (short, long)


@pytest.mark.parametrize("name", ["cudda", "", "ExecutionProvider", "CUDAExecutionProviders"])
def test_an_unknown_name_is_refused(name):
    for function in (provider_name, ort_name, check_provider, device_of):
        with pytest.raises(UnknownNameError, match="provider"):
            function(name)


def test_a_status_has_the_short_name():
    assert provider_status("CPUExecutionProvider").name == "cpu"


@pytest.mark.parametrize("name", ["cuda", "CUDAExecutionProvider"])
def test_the_remedy_is_that_of_the_provider(monkeypatch, name):
    monkeypatch.setattr(onnxruntime, "get_available_providers", list)
    with pytest.raises(ProviderUnavailableError, match=r"pip install 'tlbench\[cuda\]'"):
        check_provider(name)


@pytest.mark.skipif(
    HAS_CUDA or "CUDAExecutionProvider" not in onnxruntime.get_available_providers(),
    reason="needs ONNX Runtime's GPU build on a machine without CUDA's libraries",
)
def test_missing_cuda_names_the_library_and_the_extra(capfd):
    """One clear error; ONNX Runtime's own log stays silent."""
    with pytest.raises(ProviderUnavailableError) as caught:
        check_provider("cuda")
    message = str(caught.value)
    assert "library lib" in message
    assert ".so" in message
    # with CUDA's libraries installed it is the driver that lacks, which pip does not have
    has_libraries = "no NVIDIA driver" in message
    assert ("pip install 'tlbench[cuda]'" in message) is not has_libraries
    assert ("NVIDIA's driver" in message) is has_libraries
    assert "provider='cpu'" in message
    assert capfd.readouterr() == ("", "")


def test_a_session_on_another_provider_counts_as_not_working(monkeypatch):
    """The libraries load, the session is created, and it is on the CPU."""

    class OnCpu:
        def __init__(self, *args, **kwargs):
            pass

        def disable_fallback(self):
            pass

        def run(self, *args):
            return []

        def get_providers(self):
            return ["CPUExecutionProvider"]

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr(onnxruntime, "InferenceSession", OnCpu)
    monkeypatch.setattr(ctypes, "CDLL", lambda *args, **kwargs: None)
    status = provider_status("cuda")
    assert not status.loadable
    assert "CPUExecutionProvider instead" in status.problem


@pytest.mark.parametrize("needed_by", ["libcuda.so.1", "libonnxruntime_providers_cuda.so"])
def test_a_missing_driver_is_named(monkeypatch, needed_by):
    """CUDA's libraries are there, the driver is not; the provider's own library may be first."""

    def load(name, *args, **kwargs):
        if name.endswith(needed_by):
            raise OSError("libcuda.so.1: cannot open shared object file: No such file")

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr(ctypes, "CDLL", load)
    monkeypatch.setattr("sys.platform", "linux")
    assert "no NVIDIA driver" in provider_status("cuda").problem
    with pytest.raises(ProviderUnavailableError, match="Install NVIDIA's driver"):
        check_provider("cuda")


def failing(monkeypatch, error):
    """Make every session fail with this error, and log it as ONNX Runtime does."""

    def fail(*args, **kwargs):
        os.write(2, b"[E:onnxruntime:Default] something failed\n")
        raise error

    monkeypatch.setattr(onnxruntime, "InferenceSession", fail)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr("tlbench.engine.providers._missing_library", lambda _: None)


def test_onnxruntimes_own_reason_is_in_the_error(monkeypatch, capfd):
    """On one line, and not in the log as well."""
    failing(monkeypatch, RuntimeError("CUDA failure 35:\n  driver version is insufficient"))
    with pytest.raises(ProviderUnavailableError) as caught:
        check_provider("cuda")
    assert str(caught.value).startswith(
        "Provider 'cuda' cannot run here: CUDA failure 35: driver version is insufficient. Install"
    )
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("length", [1, 239, 240])
def test_a_short_reason_is_kept_whole(length):
    assert runtime_reason(RuntimeError("x" * length)) == "x" * length


@pytest.mark.parametrize("length", [241, 5000])
def test_of_a_long_reason_the_end_is_kept(length):
    """ONNX Runtime begins with file names of its sources and ends with the cause."""
    reason = runtime_reason(RuntimeError("a" * (length - 240) + "b" * 240))
    assert reason == "..." + "b" * 240


# Sets the level of the default logger (0 is verbose), looks at every provider, and logs a warning
# of ONNX Runtime's default logger: an entry that is set twice.
LOGGING = """
import sys
from tlbench.engine import provider_statuses
import onnxruntime
if sys.argv[1] != "none":
    onnxruntime.set_default_logger_severity(int(sys.argv[1]))
provider_statuses()
print("looked", file=sys.stderr, flush=True)
options = onnxruntime.SessionOptions()
options.add_session_config_entry("a.b", "1")
options.add_session_config_entry("a.b", "2")
"""


@pytest.mark.parametrize(("level", "is_logged"), [("none", True), ("2", True), ("3", False)])
def test_the_log_level_of_onnxruntime_stays_as_it_was(level, is_logged):
    """Its default, or what the program has chosen: both log as before, and nothing meanwhile."""
    command = [sys.executable, "-c", LOGGING, level]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    before, _, after = done.stderr.partition("looked\n")
    assert before == ""
    assert ("a.b" in after) is is_logged


SPINNING = "session.intra_op.allow_spinning"


@pytest.mark.parametrize(("spin", "entry"), [(True, "1"), (False, "0")])
def test_spinning_is_said_out_loud(spin, entry):
    """Both ways: a default that changes would change what is measured."""
    assert session_options(threads=1, spin=spin).get_session_config_entry(SPINNING) == entry


@pytest.mark.parametrize("spin", [True, False])
def test_every_listed_setting_is_in_the_options(spin):
    """What the record says is in force was handed over."""
    options = session_options(threads=1, spin=spin)
    listed = session_settings(spin=spin)
    assert SPINNING in listed
    assert {name: options.get_session_config_entry(name) for name in listed} == listed


@pytest.mark.parametrize("threads", [1, 3])
def test_threads_are_those_inside_an_operator(threads):
    """Operators run one after another, so there is one thread between them."""
    options = session_options(threads=threads, spin=True)
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (threads, 1)


def test_a_session_has_the_options(tiny_path):
    session = create_session(tiny_path, provider="cpu", threads=2, spin=False)
    options = session.get_session_options()
    assert options.intra_op_num_threads == 2
    assert options.get_session_config_entry(SPINNING) == "0"


def test_a_model_in_memory_is_the_same_as_in_a_file(tiny_path, images):
    answers = [
        create_session(source, provider="cpu", threads=1).run(None, {"images": images[:3]})[0]
        for source in (tiny_path, tiny_path.read_bytes())
    ]
    np.testing.assert_array_equal(*answers)


def test_a_session_is_on_one_provider_without_fallback(monkeypatch):
    """The provider asked for, by its long name, with its options, and no other behind it."""
    asked = []

    class Recorder:
        def __init__(self, source, options, **keywords):
            asked.append(keywords)

        def disable_fallback(self):
            asked.append("no fallback")

    monkeypatch.setattr(onnxruntime, "InferenceSession", Recorder)
    options = {"use_tf32": "0"}
    create_session(b"", provider="cuda", provider_options=options, threads=1)
    providers = [("CUDAExecutionProvider", options)]
    assert asked == [{"providers": providers, "enable_fallback": 0}, "no fallback"]
