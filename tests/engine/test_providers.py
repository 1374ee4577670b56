"""Providers tell the truth, quietly."""

import ctypes

import onnxruntime
import pytest

from tlbench.core.errors import ProviderUnavailableError
from tlbench.engine import check_provider, provider_names, provider_statuses
from tlbench.engine.providers import PROVIDERS, ort_name, provider_status

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


@pytest.mark.parametrize("name", ["cuda", "CUDA", "CUDAExecutionProvider"])
def test_short_and_long_names_mean_the_same(name):
    assert ort_name(name) == "CUDAExecutionProvider"


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
