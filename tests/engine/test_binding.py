"""A batch that stays on the device: what it computes, and in which order it waits."""

import numpy as np
import onnxruntime
import pytest

from tlbench.core.errors import ConfigError, MeasurementError
from tlbench.engine import BoundBatch, device_of, open_session
from tlbench.engine.binding import device_number_of


@pytest.fixture
def session(tiny_model):
    with open_session(tiny_model) as opened:
        yield opened


@pytest.mark.parametrize("batch_size", [1, 7])
def test_a_bound_run_computes_what_an_ordinary_one_does(session, images, batch_size):
    """The same kernels on the same input: not a bit differs."""
    batch = images[:batch_size]
    bound = session.bind(batch)
    assert bound.run() == batch_size
    np.testing.assert_array_equal(bound.fetch(), session.run(batch))


def test_another_batch_changes_the_answer(session, images):
    bound = session.bind(images[:4])
    bound.load(images[4:8])
    bound.run()
    np.testing.assert_array_equal(bound.fetch(), session.run(images[4:8]))


def test_a_batch_that_is_not_contiguous_is_loaded_as_it_is(session, images):
    """Every other image, mirrored: strides in the caller's array, but not in the buffer."""
    batch = images[:8:2, :, ::-1]
    bound = session.bind(batch)
    bound.load(batch)
    bound.run()
    np.testing.assert_array_equal(bound.fetch(), session.run(np.ascontiguousarray(batch)))


def test_loading_leaves_the_callers_batch_alone(session, images):
    """ONNX Runtime writes into an array of the host's that it was given; this is a copy."""
    batch = images[:4].copy()
    session.bind(batch).load(images[4:8])
    np.testing.assert_array_equal(batch, images[:4])


def test_a_change_of_the_callers_batch_is_not_seen(session, images):
    batch = images[:4].copy()
    bound = session.bind(batch)
    batch[:] = 0
    bound.run()
    np.testing.assert_array_equal(bound.fetch(), session.run(images[:4]))


def test_an_answer_that_was_fetched_stays(session, images):
    """The next run does not write over it."""
    bound = session.bind(images[:4])
    bound.run()
    first = bound.fetch()
    bound.load(images[4:8])
    bound.run()
    np.testing.assert_array_equal(first, session.run(images[:4]))


def test_buffers_keep_their_addresses(session, images):
    """A captured CUDA graph reads and writes where they were."""
    bound = session.bind(images[:4])
    addresses = bound._input.data_ptr(), bound._output.data_ptr()
    for start in (0, 4, 8):
        bound.load(images[start : start + 4])
        bound.run()
    assert (bound._input.data_ptr(), bound._output.data_ptr()) == addresses


@pytest.mark.parametrize(
    "other",
    [
        np.zeros((3, 20, 24, 3), np.uint8),
        np.zeros((4, 24, 20, 3), np.uint8),
        np.zeros((4, 20, 24, 3), np.float32),
    ],
    ids=["fewer", "turned", "another dtype"],
)
def test_a_batch_that_does_not_fit_is_refused(session, images, other):
    """ONNX Runtime would take as many bytes as it needs, whatever they mean."""
    bound = session.bind(images[:4])
    with pytest.raises(ConfigError, match=r"bound batch is uint8 \(4, 20, 24, 3\)"):
        bound.load(other)


@pytest.mark.parametrize(
    ("provider", "device"),
    [
        ("cpu", "cpu"),
        ("cuda", "cuda"),
        ("CUDAExecutionProvider", "cuda"),
        ("CPUExecutionProvider", "cpu"),
        ("tensorrt", "cuda"),
        ("directml", "dml"),
        ("coreml", "cpu"),
    ],
)
def test_a_provider_has_its_memory(provider, device):
    assert device_of(provider) == device


class FakeValue:
    """An OrtValue, as far as a bound batch uses one."""

    def __init__(self, log, shape):
        self._log, self._shape = log, shape

    @classmethod
    def maker(cls, log):
        class Values:
            @staticmethod
            def ortvalue_from_numpy(batch, device, number):
                log.append(("input", device, number))
                return cls(log, batch.shape)

            @staticmethod
            def ortvalue_from_shape_and_type(shape, kind, device, number):
                log.append(("output", tuple(shape), kind, device, number))
                return cls(log, shape)

        return Values

    def update_inplace(self, batch):
        self._log.append("update")

    def shape(self):
        return list(self._shape)

    def numpy(self):
        self._log.append("numpy")
        return np.zeros(self._shape, np.float32)


def graph_of(options):
    return f"graph {options.get_run_config_entry('gpu_graph_id')}"


class FakeSession:
    """A session and its binding in one: writes down what is called."""

    def __init__(self, log):
        self.log = log

    def run(self, outputs, feeds, *options):
        self.log.append(("run", outputs, list(feeds), *map(graph_of, options)))
        (batch,) = feeds.values()
        return [np.zeros((len(batch), 16), np.float32)]

    def io_binding(self):
        return self

    def bind_ortvalue_input(self, name, value):
        self.log.append(("bind input", name))

    def bind_ortvalue_output(self, name, value):
        self.log.append(("bind output", name))

    def run_with_iobinding(self, binding, *options):
        assert binding is self
        self.log.append(" ".join(["run bound", *map(graph_of, options)]))

    def synchronize_inputs(self):
        self.log.append("wait for inputs")

    def synchronize_outputs(self):
        self.log.append("wait for outputs")


@pytest.fixture
def log(monkeypatch):
    entries = []
    monkeypatch.setattr(onnxruntime, "OrtValue", FakeValue.maker(entries))
    return entries


@pytest.fixture
def on_cuda(log):
    """A bound batch on a CUDA device that is not there; its log begins after its creation."""
    batch = np.zeros((4, 8, 8, 3), np.uint8)
    bound = BoundBatch(FakeSession(log), "cuda", "images", "features", batch)
    log.clear()
    return bound


@pytest.mark.parametrize(("provider", "device"), [("cuda", "cuda"), ("directml", "dml")])
def test_both_buffers_are_on_the_device(log, provider, device):
    """The shape and dtype of the answer are those of one ordinary run."""
    batch = np.zeros((4, 8, 8, 3), np.uint8)
    BoundBatch(FakeSession(log), provider, "images", "features", batch)
    assert log == [
        ("input", device, 0),
        ("run", ["features"], ["images"]),
        ("output", (4, 16), np.float32, device, 0),
        ("bind input", "images"),
        ("bind output", "features"),
    ]


def test_the_buffers_are_on_the_sessions_device(log):
    """Of the second GPU that this process sees: buffers on the first would cross the bus."""
    batch = np.zeros((4, 8, 8, 3), np.uint8)
    BoundBatch(FakeSession(log), "cuda", "images", "features", batch, device_number=1)
    assert ("input", "cuda", 1) in log
    assert ("output", (4, 16), np.float32, "cuda", 1) in log


@pytest.mark.parametrize(
    ("provider", "options", "number"),
    [
        ("cuda", {"device_id": "2"}, 2),
        ("CUDAExecutionProvider", {"device_id": "2"}, 2),
        ("cuda", {}, 0),
        ("tensorrt", {"device_id": "1"}, 1),
        ("cpu", {"device_id": "1"}, 0),
    ],
)
def test_a_device_number_is_the_providers_option(provider, options, number):
    assert device_number_of(provider, options) == number


def test_a_run_waits_at_both_ends(on_cuda, log):
    """The copy to the device before it, the answer after it: both belong to the time."""
    assert on_cuda.run() == 4
    assert log == ["wait for inputs", "run bound", "wait for outputs"]


def test_a_load_waits_for_its_copy(on_cuda, log):
    on_cuda.load(np.ones((4, 8, 8, 3), np.uint8))
    assert log == ["update", "wait for inputs"]


def test_an_answer_on_a_device_is_copied_once(on_cuda, log):
    assert on_cuda.fetch().shape == (4, 16)
    assert log == ["numpy"]


def test_each_bound_batch_has_a_cuda_graph_of_its_own(log):
    """The run that finds the answer's shape is not captured: its buffers do not stay."""
    batch = np.zeros((4, 8, 8, 3), np.uint8)
    bound = BoundBatch(FakeSession(log), "cuda", "images", "features", batch, graph_id=7)
    assert ("run", ["features"], ["images"], "graph -1") in log
    log.clear()
    bound.run()
    assert log == ["wait for inputs", "run bound graph 7", "wait for outputs"]


class FullSession(FakeSession):
    """A session whose device has no memory left after so many calls."""

    def __init__(self, log, n_calls):
        super().__init__(log)
        self.n_calls = n_calls

    def run(self, outputs, feeds, *options):
        self._spend()
        return super().run(outputs, feeds, *options)

    def run_with_iobinding(self, binding, *options):
        self._spend()

    def _spend(self):
        self.n_calls -= 1
        if self.n_calls < 0:
            raise RuntimeError("Failed to allocate memory for requested buffer of size 822083584")


@pytest.mark.parametrize("n_calls", [0, 1], ids=["when bound", "when run"])
def test_a_full_device_is_an_error_with_advice(log, n_calls):
    """No traceback: the batch, ONNX Runtime's complaint, and what to try."""
    batch = np.zeros((4, 8, 8, 3), np.uint8)
    with pytest.raises(MeasurementError, match=r"\(4, 8, 8, 3\).*'cuda'.*allocate.*batch_size"):
        BoundBatch(FullSession(log, n_calls), "cuda", "images", "features", batch).run()
