"""A model alone in a fresh process: the answer is whole, and little else is loaded."""

import io
import json
import subprocess
import sys

import numpy as np
import psutil
import pytest

from tlbench.engine import fresh, open_session

SECONDS = ["import_s", "create_s", "first_s", "second_s"]
# Prints the answer, and then what was loaded to find it.
WITH_MODULES = """
import sys
from tlbench.engine.fresh import main
main(0.5)
print(*sorted(sys.modules))
"""


def request_for(path, **changes):
    return {
        "path": str(path),
        "provider": "cpu",
        "provider_options": {},
        "threads": 1,
        "spin": True,
        "input": "images",
        "shape": [2, 8, 8, 3],
        "dtype": "uint8",
        "gpu": None,
    } | changes


def run_python(request, *arguments):
    return subprocess.run(
        [sys.executable, *arguments],
        input=json.dumps(request),
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()


@pytest.fixture(scope="module")
def answer(tiny_path):
    return json.loads(run_python(request_for(tiny_path), "-c", WITH_MODULES)[0])


def test_the_answer_has_every_figure(answer):
    """Those that the record of a fresh process holds, and no others."""
    assert set(answer) == {
        *SECONDS,
        "before_rss_bytes",
        "peak_rss_bytes",
        "device_bytes",
        "device_note",
    }


def test_the_imports_are_those_before(answer):
    """On the CPU no further libraries are loaded."""
    assert answer["import_s"] == 0.5


@pytest.mark.parametrize("name", SECONDS)
def test_every_step_takes_time(answer, name):
    assert answer[name] > 0


def test_memory_grows_with_the_model(answer):
    """The interpreter, numpy and ONNX Runtime were there before it; 1 MB would be neither."""
    assert 1e6 < answer["before_rss_bytes"] <= answer["peak_rss_bytes"]


@pytest.fixture(scope="module")
def loaded(tiny_path):
    """Names of the modules that were loaded."""
    return set(run_python(request_for(tiny_path), "-c", WITH_MODULES)[1].split())


@pytest.mark.parametrize("name", ["onnx", "sklearn", "scipy", "tensorflow", "rich", "PIL"])
def test_what_is_not_needed_is_not_loaded(loaded, name):
    """Its memory would be counted as the model's."""
    assert "onnxruntime" in loaded
    assert name not in loaded


def test_the_memory_counted_is_that_of_this_process():
    """At least what the process has now, of which the largest is kept."""
    now = psutil.Process().memory_info().rss
    # the kernel keeps its counts a few pages behind
    assert fresh.peak_rss_bytes() > 0.9 * now


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [([2, 8, 8, 3], "uint8"), ([1, 3, 20, 30], "float32"), ([4, 5], "float16")],
)
def test_inputs_are_of_the_shape_asked_for(tiny_path, monkeypatch, capsys, shape, dtype):
    """Both calls take batches of that shape, and not the same one twice."""
    taken = []

    class Recorder:
        def run(self, outputs, feeds):
            taken.append(feeds["images"])

    monkeypatch.setattr("tlbench.engine.providers.create_session", lambda *_, **__: Recorder())
    request = request_for(tiny_path, shape=shape, dtype=dtype)
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(request)))
    fresh.main(0.5)
    assert [(batch.shape, str(batch.dtype)) for batch in taken] == [(tuple(shape), dtype)] * 2
    assert not np.array_equal(*taken)
    assert json.loads(capsys.readouterr().out)["second_s"] > 0


def test_the_process_gets_the_sessions_settings(tiny_model, monkeypatch, capsys):
    """Threads and spinning are what the measured session has."""
    asked = {}

    class Recorder:
        def run(self, outputs, feeds):
            pass

    def create(path, **options):
        asked.update(options, path=path)
        return Recorder()

    with open_session(tiny_model, threads=1, spin=False) as session:
        request = request_for(tiny_model.path, threads=session.threads, spin=session.spin)
    monkeypatch.setattr("tlbench.engine.providers.create_session", create)
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(request)))
    fresh.main(0.5)
    assert asked == {
        "path": tiny_model.path,
        "provider": "cpu",
        "provider_options": {},
        "threads": 1,
        "spin": False,
    }
    assert capsys.readouterr().out.count("\n") == 1


@pytest.fixture
def on_gpu(tiny_path, monkeypatch, capsys):
    """Return a function that answers a request for a GPU that is not there."""

    class Session:
        def run(self, outputs, feeds, *options):
            assert not options

    def create(path, **settings):
        return Session()

    def answer_for(gpu):
        monkeypatch.setattr("tlbench.engine.providers.create_session", create)
        request = json.dumps(request_for(tiny_path, gpu=gpu))
        monkeypatch.setattr("sys.stdin", io.StringIO(request))
        fresh.main(0.5)
        return json.loads(capsys.readouterr().out)

    return answer_for


def test_memory_on_the_device_is_that_of_the_gpu_named(on_gpu, fake_nvml):
    """What the model added to it; the driver is not asked, for that would warm it up."""
    nvml = fake_nvml(
        bus_ids=("0000:3b:00.0", "0000:af:00.0"),
        visible=None,
        used_bytes=[3_000_000_000, 3_700_000_000],
    )
    answer = on_gpu("0000:af:00.0")
    assert set(nvml.asked) == {"0000:af:00.0"}
    assert (answer["device_bytes"], answer["device_note"]) == (700_000_000, None)


def test_memory_that_others_gave_back_is_not_negative(on_gpu, fake_nvml):
    fake_nvml(used_bytes=[3_000, 2_000])
    assert on_gpu("0000:3b:00.0")["device_bytes"] == 0


@pytest.mark.parametrize("broken", ["nvmlInit", "nvmlDeviceGetMemoryInfo"])
def test_memory_on_the_device_that_is_not_told_has_its_reason(on_gpu, fake_nvml, broken):
    fake_nvml(broken=broken)
    answer = on_gpu("0000:3b:00.0")
    assert (answer["device_bytes"], answer["device_note"]) == (None, "NVML reports: Not Supported")


def test_on_the_processor_there_is_no_device_to_tell_of(answer):
    assert (answer["device_bytes"], answer["device_note"]) == (None, None)
