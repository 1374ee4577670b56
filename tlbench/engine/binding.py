"""One batch that stays on the device: ONNX Runtime's IO binding, synchronised on both sides."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlbench.core.errors import ConfigError
from tlbench.engine.create import NO_GRAPH, graph_options
from tlbench.engine.providers import failed_run

# Providers whose memory ONNX Runtime's Python interface can allocate; the others take the host's.
_DEVICES = {"cuda": "cuda", "tensorrt": "cuda", "directml": "dml"}


def device_of(provider: str) -> str:
    """Return ONNX Runtime's name of the memory that a provider computes in."""
    return _DEVICES.get(provider.lower(), "cpu")


def device_number_of(provider: str, provider_options: Mapping[str, str]) -> int:
    """Return which of its devices a provider with these options computes on; the host is one."""
    return 0 if device_of(provider) == "cpu" else int(provider_options.get("device_id", 0))


class BoundBatch:
    """A batch in device memory and a buffer there for the answer, both allocated once.

    Parameters
    ----------
    session : onnxruntime.InferenceSession
        The session that runs it.
    provider : str
        Decides the device.
    input_name, output_name : str
        What is bound.
    batch : ndarray
        Copied to the device here.
    device_number : int
        Of the device, as the provider's option ``device_id`` counts.
    graph_id : int or None
        Number of the CUDA graph to capture for these buffers, unique in its session; None without.

    Notes
    -----
    A copy to the device may still be under way when a bound run begins, and the run when it
    returns, so both ends are waited for inside `run` (onnxruntime issues 15438, 11133).
    """

    def __init__(
        self,
        session: Any,  # noqa: ANN401 - ONNX Runtime has no types
        provider: str,
        input_name: str,
        output_name: str,
        batch: NDArray[Any],
        *,
        device_number: int = 0,
        graph_id: int | None = None,
    ) -> None:
        try:
            self._bind(session, provider, (input_name, output_name), batch, device_number, graph_id)
        except Exception as error:  # ONNX Runtime raises a dozen types of its own
            raise failed_run(provider, batch.shape, error) from error

    def _bind(  # noqa: PLR0917 - those of the constructor
        self,
        session: Any,  # noqa: ANN401 - ONNX Runtime has no types
        provider: str,
        names: tuple[str, str],
        batch: NDArray[Any],
        device_number: int,
        graph_id: int | None,
    ) -> None:
        import onnxruntime

        self._provider, (input_name, output_name) = provider, names
        self._session, device = session, device_of(provider)
        # ONNX Runtime takes an array of the host as it is: without a copy `load` would write into
        # the caller's.
        self._input = onnxruntime.OrtValue.ortvalue_from_numpy(
            np.array(batch, order="C"), device, device_number
        )
        self._kind = batch.shape, batch.dtype
        self._is_host = device == "cpu"
        # The answer's shape is known after one run; from then on the buffer stays where it is.
        # Not as a graph: that would hold the addresses of this run's own buffers for ever.
        aside = () if graph_id is None else (graph_options(NO_GRAPH),)
        self._options = () if graph_id is None else (graph_options(graph_id),)
        (answer,) = session.run([output_name], {input_name: batch}, *aside)
        self._output = onnxruntime.OrtValue.ortvalue_from_shape_and_type(
            answer.shape, answer.dtype.type, device, device_number
        )
        self._binding = session.io_binding()
        self._binding.bind_ortvalue_input(input_name, self._input)
        self._binding.bind_ortvalue_output(output_name, self._output)

    def load(self, batch: NDArray[Any]) -> None:
        """Copy another batch of the same shape and dtype into the bound buffer, and wait for it.

        Raises
        ------
        ConfigError
            If it is another: ONNX Runtime would take its bytes as they are.
        """
        if (batch.shape, batch.dtype) != self._kind:
            (shape, dtype), found = self._kind, f"{batch.dtype} {batch.shape}"
            raise ConfigError(f"The bound batch is {dtype} {shape}; {found} does not fit.")
        self._input.update_inplace(np.ascontiguousarray(batch))
        self._binding.synchronize_inputs()

    def run(self) -> int:
        """Run the network; return the number of rows that it wrote.

        Raises
        ------
        MeasurementError
            If ONNX Runtime cannot run the batch.
        """
        try:
            self._binding.synchronize_inputs()
            self._session.run_with_iobinding(self._binding, *self._options)
            self._binding.synchronize_outputs()
        except Exception as error:  # ONNX Runtime raises a dozen types of its own
            raise failed_run(self._provider, self._kind[0], error) from error
        rows: int = self._output.shape()[0]
        return rows

    def fetch(self) -> NDArray[Any]:
        """Return the answer as an array of the host's that the next run leaves alone."""
        answer: NDArray[Any] = self._output.numpy()
        # Of a buffer in the host's memory that is a view.
        return answer.copy() if self._is_host else answer
