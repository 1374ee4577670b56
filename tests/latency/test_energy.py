"""Energy counters: what they count, where they wrap round, and why there is no counter."""

import sys

import pytest

from tlbench.latency import nvml_counter, rapl_counter
from tlbench.latency.energy import energy_meter

RANGE_UJ = 1_000_000_000


def make_zone(powercap, zone, name, energy_uj=0, range_uj=RANGE_UJ):
    folder = powercap / zone
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "name").write_text(f"{name}\n")
    (folder / "energy_uj").write_text(f"{energy_uj}\n")
    (folder / "max_energy_range_uj").write_text(f"{range_uj}\n")
    return folder / "energy_uj"


def test_all_packages_are_counted(tmp_path):
    """In joules; the files hold microjoules."""
    one = make_zone(tmp_path, "intel-rapl:0", "package-0", 5_000_000)
    two = make_zone(tmp_path, "intel-rapl:1", "package-1", 7_000_000)
    counter = rapl_counter(tmp_path)
    spent_j = energy_meter(counter)
    one.write_text("6500000\n")
    two.write_text("9000000\n")
    assert spent_j() == pytest.approx(3.5)
    assert "2 processor package(s)" in counter.note


@pytest.mark.parametrize(
    ("zone", "name"),
    [("intel-rapl:0:0", "core"), ("intel-rapl:0:1", "dram"), ("intel-rapl:1", "psys")],
)
def test_what_is_no_package_is_left_out(tmp_path, zone, name):
    """Cores are part of their package; the whole platform is more than the processor."""
    make_zone(tmp_path, "intel-rapl:0", "package-0")
    other = make_zone(tmp_path, zone, name)
    spent_j = energy_meter(rapl_counter(tmp_path))
    other.write_text("900000000\n")
    assert spent_j() == 0


@pytest.mark.parametrize("n_packages", [1, 2])
def test_a_package_that_wraps_round_goes_on(tmp_path, n_packages):
    """Each wraps by itself: the others' registers are as they were."""
    files = [
        make_zone(tmp_path, f"intel-rapl:{i}", f"package-{i}", RANGE_UJ - 2_000_000)
        for i in range(n_packages)
    ]
    spent_j = energy_meter(rapl_counter(tmp_path))
    files[0].write_text("3000000\n")
    assert spent_j() == pytest.approx(5.0)


def test_a_meter_that_is_read_again_goes_on(tmp_path):
    """A wrap is counted once, however often the counter is read afterwards."""
    file = make_zone(tmp_path, "intel-rapl:0", "package-0", RANGE_UJ - 2_000_000)
    spent_j = energy_meter(rapl_counter(tmp_path))
    readings = []
    for energy_uj in (3_000_000, 4_000_000, 1_000_000):
        file.write_text(f"{energy_uj}\n")
        readings.append(spent_j())
    assert readings == pytest.approx([5.0, 6.0, 1003.0])


@pytest.mark.parametrize("exists", [True, False])
def test_a_machine_without_packages_says_so(tmp_path, exists):
    folder = tmp_path if exists else tmp_path / "absent"
    counter = rapl_counter(folder)
    assert counter.read_j is None
    assert "has no processor package" in counter.note
    assert str(folder) in counter.note


def test_a_counter_that_is_roots_says_so(tmp_path, monkeypatch):
    """The tests may run as root, so the refusal is made."""
    make_zone(tmp_path, "intel-rapl:0", "package-0")
    read_text = type(tmp_path).read_text

    def refuse(path, *args, **kwargs):
        if path.name == "energy_uj":
            raise PermissionError(13, "Permission denied", str(path))
        return read_text(path, *args, **kwargs)

    monkeypatch.setattr(type(tmp_path), "read_text", refuse)
    counter = rapl_counter(tmp_path)
    assert counter.read_j is None
    assert "only root" in counter.note


@pytest.mark.parametrize("damage", ["missing", "text"])
def test_a_counter_that_cannot_be_read_says_why(tmp_path, damage):
    file = make_zone(tmp_path, "intel-rapl:0", "package-0")
    if damage == "missing":
        file.unlink()
    else:
        file.write_text("unsupported\n")
    counter = rapl_counter(tmp_path)
    assert counter.read_j is None
    assert str(file) in counter.note


def test_without_a_counter_a_meter_shows_nothing():
    assert energy_meter(None)() is None


def test_a_gpu_counts_its_board(fake_nvml):
    """NVML gives millijoules; the GPU asked for is the one read."""
    nvml = fake_nvml(
        energy_mj=[1_000, 1_000, 4_500],
        bus_ids=("0000:3b:00.0", "0000:af:00.0"),
        visible=("0000:af:00.0", "0000:3b:00.0"),
    )
    counter = nvml_counter(0)
    spent_j = energy_meter(counter)
    assert spent_j() == pytest.approx(3.5)
    assert set(nvml.asked) == {"0000:af:00.0"}
    assert counter.note == "the board of GPU 0000:af:00.0"


@pytest.mark.parametrize(("mig", "reported"), [(1, True), (0, False), (None, False)])
def test_a_board_that_others_may_share_says_so(fake_nvml, mig, reported):
    """An instance (MIG) is a part of a GPU, and the counter is the whole one's."""
    fake_nvml(mig=mig)
    assert ("other MIG instances" in nvml_counter().note) is reported


@pytest.mark.parametrize(
    "broken",
    ["nvmlInit", "nvmlDeviceGetHandleByPciBusId", "nvmlDeviceGetTotalEnergyConsumption"],
    ids=["no driver", "no such GPU", "too old a GPU"],
)
def test_what_nvml_refuses_is_the_note(fake_nvml, broken):
    fake_nvml(broken=broken)
    counter = nvml_counter()
    assert counter.read_j is None
    assert "Not Supported" in counter.note


def test_a_missing_package_is_named_with_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", None)
    counter = nvml_counter()
    assert counter.read_j is None
    assert "nvidia-ml-py" in counter.note
    assert "'cuda'" in counter.note
