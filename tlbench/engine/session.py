"""An ONNX Runtime session that is on the provider it says it is on."""

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlbench.core.arrays import FloatArray, ImageArray
from tlbench.core.errors import ConfigError, ModelError, ProviderUnavailableError
from tlbench.engine.binding import BoundBatch, device_number_of, device_of
from tlbench.engine.create import (
    NO_GRAPH,
    captures_graph,
    create_session,
    graph_options,
    session_settings,
)
from tlbench.engine.providers import check_provider, failed_run, ort_name, runtime_reason
from tlbench.machine import available_cpus, cuda_variables
from tlbench.model import OnnxModel, TensorInfo
from tlbench.records import Placement

# Operators that carry the arithmetic of a network. Shape arithmetic and layout changes on the CPU
# are normal in a run on an accelerator; one of these there is not a run on that accelerator.
_HEAVY = frozenset(
    {
        "Conv",
        "ConvTranspose",
        "Gemm",
        "MatMul",
        "FusedConv",
        "ConvInteger",
        "QLinearConv",
        "Attention",
    }
)


class Session:
    """A loaded model. Make one with `open_session`, which also closes it.

    Attributes
    ----------
    model : OnnxModel
        The file.
    provider : str
        Short name of the execution provider that runs the network.
    provider_options : dict
        The provider's options in force, as ONNX Runtime reports them.
    threads : int
        Threads inside an operator.
    requested_options : dict
        The provider's options that were asked for.
    spin : bool
        Whether those threads wait for more work in a busy loop, as ONNX Runtime's default is.
    create_s : float
        Seconds that ONNX Runtime took to load and optimise the graph.
    placement : Placement
        Which provider runs how many nodes.
    """

    def __init__(
        self,
        model: OnnxModel,
        *,
        provider: str = "cpu",
        provider_options: Mapping[str, str] | None = None,
        threads: int | None = None,
        spin: bool = True,
    ) -> None:
        if threads is not None and threads < 1:
            msg = f"--threads must be at least 1, not {threads}."
            raise ConfigError(msg)
        self.model = model
        self.provider = provider.lower()
        self.threads = threads or available_cpus()
        self.spin = spin
        self.requested_options = dict(provider_options or {})
        wanted = ort_name(provider)
        started = time.perf_counter()
        try:
            self._session: Any = create_session(
                model.path,
                provider=provider,
                provider_options=provider_options,
                threads=self.threads,
                spin=spin,
            )
        except Exception as error:  # ONNX Runtime raises a dozen types of its own
            msg = f"{model.path} cannot be loaded on provider {provider!r}: {runtime_reason(error)}"
            raise ModelError(msg) from error
        self.create_s = time.perf_counter() - started
        self.placement = self._check_placement(wanted)
        self.provider_options: dict[str, str] = self._session.get_provider_options()[wanted]
        # A captured graph knows its own buffers only; arrays of the host's go without one.
        self._run_options = (graph_options(NO_GRAPH),) if self.fixed_addresses else ()
        self._graph_ids = count(1)  # 0 is ONNX Runtime's own
        self._input = model.inputs[0].name
        self._outputs = [feature_output(model).name]

    def _check_placement(self, wanted: str) -> Placement:
        actual = self._session.get_providers()
        if actual[0] != wanted:
            msg = f"ONNX Runtime gave a session on {actual[0]} where {wanted} was asked for."
            raise ProviderUnavailableError(msg)
        nodes: dict[str, int] = defaultdict(int)
        elsewhere: dict[str, set[str]] = defaultdict(set)
        for part in self._session.get_provider_graph_assignment_info():
            for node in part.get_nodes():
                nodes[part.ep_name] += 1
                if part.ep_name != wanted:
                    elsewhere[part.ep_name].add(node.op_type)
        for name, operators in elsewhere.items():
            if misplaced := sorted(operators & _HEAVY):
                msg = (
                    f"{', '.join(misplaced)} of {self.model.path.name} would run on {name}, not on "
                    f"{wanted}: that would measure {name}. Use another provider or precision."
                )
                raise ProviderUnavailableError(msg)
        return Placement(
            nodes=dict(nodes),
            operators={name: tuple(sorted(operators)) for name, operators in elsewhere.items()},
        )

    def run(self, images: ImageArray) -> FloatArray:
        """Run one batch.

        Parameters
        ----------
        images : ndarray of shape (N, H, W, 3), uint8
            Raw RGB images; for a model without a card, whatever its first input takes.

        Returns
        -------
        ndarray of shape (N, n_features), float32
            A spatial output is flattened.

        Raises
        ------
        MeasurementError
            If ONNX Runtime cannot run the batch.
        """
        features: FloatArray
        feeds = {self._input: images}
        try:
            (features,) = self._session.run(self._outputs, feeds, *self._run_options)
        except Exception as error:  # ONNX Runtime raises a dozen types of its own
            raise failed_run(self.provider, images.shape, error) from error
        return features if features.ndim == 2 else features.reshape(len(features), -1)  # noqa: PLR2004

    def run_all(self, images: ImageArray) -> dict[str, NDArray[Any]]:
        """Run one batch; return every output of the model by its name, as it is."""
        names = [output.name for output in self.model.outputs]
        try:
            answers = self._session.run(names, {self._input: images}, *self._run_options)
        except Exception as error:  # ONNX Runtime raises a dozen types of its own
            raise failed_run(self.provider, images.shape, error) from error
        return dict(zip(names, answers, strict=True))

    def bind(self, batch: ImageArray) -> BoundBatch:
        """Put one batch on the device, with a place there for its features.

        Running it moves nothing between host and device: the boundary ``device->device``.

        Raises
        ------
        MeasurementError
            If ONNX Runtime cannot run the batch.
        """
        return BoundBatch(
            self._session,
            self.provider,
            self._input,
            self._outputs[0],
            batch,
            device_number=device_number_of(self.provider, self.provider_options),
            graph_id=next(self._graph_ids) if self.fixed_addresses else None,
        )

    @property
    def settings(self) -> dict[str, str]:
        """What is in force besides the defaults: session entries and the provider's options.

        On CUDA also the variables of the environment that overrule them.
        """
        found = {**session_settings(spin=self.spin), **self.provider_options}
        return found if self.cuda_device is None else found | cuda_variables()

    @property
    def cuda_device(self) -> int | None:
        """Number of the GPU that the session is on, as CUDA counts; None on anything else."""
        if device_of(self.provider) != "cuda":
            return None
        return device_number_of(self.provider, self.provider_options)

    @property
    def fixed_addresses(self) -> bool:
        """Whether a bound input must stay where it is: a captured CUDA graph reads it there."""
        return captures_graph(self.provider_options)

    def close(self) -> None:
        """Free the session, so that its spinning threads and memory disturb nothing after it."""
        self._session = None


def feature_output(model: OnnxModel) -> TensorInfo:
    """Return the output that `Session.run` gives: ``features``, or else the first."""
    named = (output for output in model.outputs if output.name == "features")
    return next(named, model.outputs[0])


@contextmanager
def open_session(
    model: OnnxModel,
    *,
    provider: str = "cpu",
    provider_options: Mapping[str, str] | None = None,
    threads: int | None = None,
    spin: bool = True,
) -> Iterator[Session]:
    """Open *model* on *provider*, and nowhere else; close it afterwards.

    Raises
    ------
    ProviderUnavailableError
        If the provider does not work here, or would leave convolutions to another one.
    ModelError
        If ONNX Runtime cannot load the model.
    """
    check_provider(provider)
    session = Session(
        model, provider=provider, provider_options=provider_options, threads=threads, spin=spin
    )
    try:
        yield session
    finally:
        session.close()


def accepts_raw_images(model: OnnxModel) -> bool:
    """Tell whether the first input takes uint8 (N, H, W, 3), as every exported backbone's."""
    first = model.inputs[0]
    return first.dtype == np.dtype(np.uint8).name and len(first.shape) == 4 and first.shape[3] == 3  # noqa: PLR2004
