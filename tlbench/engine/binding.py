"""A batch that stays on the device: ONNX Runtime's IO binding, synchronised on both sides."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlbench.core.errors import ConfigError, ModelError
from tlbench.engine.providers import NO_GRAPH, failed_run, graph_options, provider_name

# Providers whose memory ONNX Runtime's Python API can allocate; the others use host memory.
_DEVICES = {"cuda": "cuda", "tensorrt": "cuda", "directml": "dml"}


def device_of(provider: str) -> str:
    """Return ONNX Runtime's name of the device whose memory a provider uses."""
    return _DEVICES.get(provider_name(provider), "cpu")


def device_number_of(provider: str, provider_options: Mapping[str, str]) -> int:
    """Return the number of the device that a provider with these options uses; 0 for the host."""
    return 0 if device_of(provider) == "cpu" else int(provider_options.get("device_id", 0))


def check_rows(output: object, name: str) -> None:
    """Raise ModelError unless *output* is an array with an axis for the images."""
    if not isinstance(output, np.ndarray) or not output.ndim:
        kind = "a scalar" if isinstance(output, np.ndarray) else f"a {type(output).__name__}"
        msg = (
            f"The model's output {name!r} is {kind}, but tlbench measures models whose first "
            "output, or the one named 'features', is an array with a row for each image. Name "
            "another output of the graph 'features'."
        )
        raise ModelError(msg)


class BoundBatch:
    """A batch in device memory and a buffer there for the output, both allocated once.

    *graph_id* is the number of the CUDA graph to capture for these buffers, unique in its session.
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
        from onnxruntime import OrtValue

        self._session, self._provider, self._device = session, provider, device_of(provider)
        self._shape, self._dtype = batch.shape, batch.dtype
        place = self._device, device_number
        self._options = () if graph_id is None else (graph_options(graph_id),)
        # One run shows the output's shape. It must not be captured as a graph, which would keep
        # the addresses of this run's temporary buffers.
        no_graph = () if graph_id is None else (graph_options(NO_GRAPH),)
        try:
            # ONNX Runtime uses a host array in place: without a copy, `load` would write to the
            # caller's array.
            self._input = OrtValue.ortvalue_from_numpy(np.array(batch, order="C"), *place)
            (output,) = session.run([output_name], {input_name: batch}, *no_graph)
            check_rows(output, output_name)
            self._output = OrtValue.ortvalue_from_shape_and_type(
                output.shape, output.dtype.type, *place
            )
            self._binding = session.io_binding()
            self._binding.bind_ortvalue_input(input_name, self._input)
            self._binding.bind_ortvalue_output(output_name, self._output)
        except ModelError:
            raise
        except Exception as error:  # ONNX Runtime raises a dozen types of its own
            raise failed_run(provider, batch.shape, error) from error

    def load(self, batch: NDArray[Any]) -> None:
        """Copy another batch of the same shape and dtype into the buffer and wait for the copy."""
        if (batch.shape, batch.dtype) != (self._shape, self._dtype):  # bytes would be reinterpreted
            found = f"{batch.dtype} {batch.shape}"
            msg = f"The bound batch is {self._dtype} {self._shape}; {found} does not fit."
            raise ConfigError(msg)
        self._input.update_inplace(np.ascontiguousarray(batch))
        self._binding.synchronize_inputs()

    def run(self) -> int:
        """Run the network and return the number of rows that it wrote."""
        try:
            # The copy to the device may still be in progress when a bound run starts, and the run
            # when it returns, so both are waited for here (onnxruntime issues 15438, 11133).
            self._binding.synchronize_inputs()
            self._session.run_with_iobinding(self._binding, *self._options)
            self._binding.synchronize_outputs()
        except Exception as error:  # ONNX Runtime raises a dozen types of its own
            raise failed_run(self._provider, self._shape, error) from error
        return int(self._output.shape()[0])

    def fetch(self) -> NDArray[Any]:
        """Return the output as a host array that the next run does not overwrite."""
        output: NDArray[Any] = self._output.numpy()
        return output.copy() if self._device == "cpu" else output  # numpy() views a host buffer
