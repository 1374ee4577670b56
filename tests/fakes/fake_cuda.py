"""ONNX Runtime on a machine with CUDA, whose kernels are the processor's.

Sessions, bindings and features are real. What is not: the provider's name, its options in force,
the nodes' placement, and the memory that a device's buffers lie in.
"""

from dataclasses import dataclass, field
from types import SimpleNamespace

CUDA = "CUDAExecutionProvider"
IN_FORCE = {
    "device_id": "0",
    "use_tf32": "1",
    "prefer_nhwc": "0",
    "enable_cuda_graph": "0",
    "cudnn_conv_algo_search": "EXHAUSTIVE",
}


@dataclass
class Asked:
    """What was asked for: options of sessions, buffers on the device, numbers of graphs."""

    sessions: list = field(default_factory=list)
    buffers: list = field(default_factory=list)
    graphs: list = field(default_factory=list)


def claim_cuda(monkeypatch):
    """Put the machine in the place of ONNX Runtime's; return what is asked of it."""
    import onnxruntime  # by the tests' conftest tlbench is imported first, and turns telemetry off

    asked = Asked()
    real_session, real_value = onnxruntime.InferenceSession, onnxruntime.OrtValue

    class Session:
        """A session on the processor that says it is on CUDA."""

        def __init__(self, source, options, providers, enable_fallback):
            assert enable_fallback == 0
            self._real = real_session(source, options, providers=["CPUExecutionProvider"])
            (provider,) = providers
            self._chosen = {} if isinstance(provider, str) else provider[1]
            asked.sessions.append(self._chosen)

        def __getattr__(self, name):
            return getattr(self._real, name)

        def get_providers(self):
            return [CUDA, "CPUExecutionProvider"]

        def get_provider_options(self):
            return {CUDA: IN_FORCE | self._chosen}

        def get_provider_graph_assignment_info(self):
            parts = self._real.get_provider_graph_assignment_info()
            return [SimpleNamespace(ep_name=CUDA, get_nodes=part.get_nodes) for part in parts]

        def run(self, outputs, feeds, options=None):
            self._note(options)
            return self._real.run(outputs, feeds, options)

        def run_with_iobinding(self, binding, options=None):
            self._note(options)
            self._real.run_with_iobinding(binding, options)

        def _note(self, options):
            captures = self._chosen.get("enable_cuda_graph") == "1"
            # Without a number the calls of a session would share one graph.
            assert captures == (options is not None)
            if options is not None:
                asked.graphs.append(options.get_run_config_entry("gpu_graph_id"))

    def create(source, options, providers, enable_fallback):
        (provider,) = providers
        name = provider if isinstance(provider, str) else provider[0]
        kind = Session if name == CUDA else real_session
        return kind(source, options, providers=providers, enable_fallback=enable_fallback)

    class Values:
        """Buffers on the device, in the host's memory."""

        @staticmethod
        def ortvalue_from_numpy(batch, device, number):
            asked.buffers.append((device, number))
            return real_value.ortvalue_from_numpy(batch)

        @staticmethod
        def ortvalue_from_shape_and_type(shape, kind, device, number):
            asked.buffers.append((device, number))
            return real_value.ortvalue_from_shape_and_type(shape, kind)

    providers = [CUDA, "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "InferenceSession", create)
    monkeypatch.setattr(onnxruntime, "OrtValue", Values)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: providers)
    monkeypatch.setattr("tlbench.engine.providers._missing_library", lambda _: None)
    monkeypatch.setattr("tlbench.engine.ceiling._DEVICE_SIZE", 256)
    return asked
