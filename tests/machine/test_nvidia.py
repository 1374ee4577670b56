"""Which GPU a number of CUDA's means, asked of the driver, and NVML opened on that very one."""

import inspect
import sys

import pytest

from tlbench.core.errors import GpuUnreadableError
from tlbench.machine import locate_gpu, open_gpu, open_gpu_at
from tlbench.machine.nvidia import bus_id_of, normal_bus_id

# The machine's GPUs in the order of the bus, which is NVML's.
FIRST, SECOND, THIRD = "0000:3b:00.0", "0000:86:00.0", "0000:af:00.0"
MACHINE = (FIRST, SECOND, THIRD)


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("00000000:3B:00.0", "0000:3b:00.0"),
        ("0000:3b:00.0", "0000:3b:00.0"),
        ("00010002:AF:00.0\n", "10002:af:00.0"),
    ],
    ids=["nvidia-smi", "the driver", "a large domain"],
)
def test_a_bus_id_has_one_form(text, normal):
    assert normal_bus_id(text) == normal


@pytest.mark.parametrize(
    ("visible", "device_id", "bus_id"),
    [
        (MACHINE, 1, SECOND),
        ((THIRD, FIRST), 0, THIRD),
        ((THIRD, FIRST), 1, FIRST),
        ((SECOND,), 0, SECOND),
    ],
    ids=["all", "two, turned round", "the other of them", "one"],
)
def test_a_number_means_what_cuda_shows_this_process(fake_nvml, visible, device_id, bus_id):
    """Whatever CUDA_VISIBLE_DEVICES and CUDA_DEVICE_ORDER are: the driver has read them."""
    nvml = fake_nvml(bus_ids=MACHINE, visible=visible)
    gpu = open_gpu(device_id)
    assert gpu.pci_bus_id == bus_id
    assert nvml.asked == [bus_id]
    assert gpu.handle == ("handle", bus_id)


@pytest.mark.parametrize(
    ("visible", "device_id", "refused", "text"),
    [
        (MACHINE, 7, (), "device 7 is: cuDeviceGet returned error 101"),
        (MACHINE, 0, ("cuInit",), "cuInit returned error 999"),
        (MACHINE, 0, ("cuDeviceGetPCIBusId",), "cuDeviceGetPCIBusId returned error 999"),
        (None, 0, (), "libcuda.so.1"),
    ],
    ids=["no such device", "no GPU to be seen", "no place", "no driver"],
)
def test_a_driver_that_does_not_say_is_quoted(fake_nvml, visible, device_id, refused, text):
    fake_nvml(bus_ids=MACHINE, visible=visible, refused=refused)
    with pytest.raises(GpuUnreadableError, match=text):
        bus_id_of(device_id)


def test_where_there_is_one_gpu_it_is_that(fake_nvml):
    """Even if the driver does not say so."""
    fake_nvml(bus_ids=(SECOND,), visible=None)
    assert locate_gpu(0) == SECOND


def test_among_several_none_is_guessed(fake_nvml):
    fake_nvml(bus_ids=MACHINE, visible=None)
    with pytest.raises(GpuUnreadableError, match="does not say which GPU .*NVML sees 3 GPUs"):
        locate_gpu(0)


def test_a_silent_nvml_beside_a_silent_driver_is_quoted(fake_nvml):
    fake_nvml(visible=None, broken="nvmlDeviceGetCount")
    with pytest.raises(GpuUnreadableError, match="and NVML reports: Not Supported"):
        locate_gpu(0)


@pytest.mark.parametrize("broken", ["nvmlInit", "nvmlDeviceGetHandleByPciBusId"])
def test_what_nvml_refuses_is_the_reason(fake_nvml, broken):
    fake_nvml(broken=broken)
    with pytest.raises(GpuUnreadableError, match="NVML reports: Not Supported"):
        open_gpu_at(FIRST)


def test_without_the_package_its_extra_is_named(monkeypatch):
    """Rather than the driver, which may be there."""
    monkeypatch.setitem(sys.modules, "pynvml", None)
    with pytest.raises(GpuUnreadableError, match="nvidia-ml-py is not installed .extra 'cuda'"):
        open_gpu(0)


def test_the_place_is_known_without_the_package(fake_nvml, monkeypatch):
    """The driver needs no NVML."""
    fake_nvml(bus_ids=MACHINE, visible=(THIRD,))
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert locate_gpu(0) == THIRD


def test_the_fake_has_the_names_of_the_real_package(fake_nvml):
    """Functions, how many arguments they take, and constants; the real one needs no GPU for it."""
    fake = fake_nvml()
    del sys.modules["pynvml"]
    real = pytest.importorskip("pynvml", reason="needs nvidia-ml-py: pip install 'tlbench[test]'")
    names = [name for name in dir(fake) if name.startswith(("nvml", "NVML_"))]
    assert len(names) > 15
    for name in names:
        ours, theirs = getattr(fake, name), getattr(real, name)
        if name.startswith("NVML_"):
            assert ours == theirs
        else:
            inspect.signature(theirs).bind(*inspect.signature(ours).parameters)


def test_the_real_package_on_a_machine_without_a_gpu_gives_a_reason():
    """Or, on a machine with one, a GPU at its place."""
    pytest.importorskip("pynvml", reason="needs nvidia-ml-py: pip install 'tlbench[test]'")
    try:
        assert ":" in open_gpu(0).pci_bus_id
    except GpuUnreadableError as error:
        assert "NVML reports" in str(error) or "CUDA driver" in str(error)  # noqa: PT017
