"""An ONNX Runtime session that really runs on the provider it was opened on."""

import math
import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlbench.core.arrays import FloatArray, ImageArray
from tlbench.core.errors import ConfigError, ModelError, ProviderUnavailableError
from tlbench.engine.binding import BoundBatch, check_rows, device_number_of, device_of
from tlbench.engine.providers import (
    NO_GRAPH,
    captures_graph,
    check_provider,
    create_session,
    failed_run,
    graph_options,
    ort_name,
    provider_name,
    runtime_reason,
    session_settings,
)
from tlbench.machine import available_cpus, cuda_variables
from tlbench.model import SIDES_PREFIX, OnnxModel, TensorInfo
from tlbench.records import Placement

# Operators that carry a network's arithmetic. Shape arithmetic and layout changes on the CPU are
# normal in a run on an accelerator; with one of these on the CPU it is not a run on an accelerator.
# The names of ONNX Runtime's fused and quantised forms contain them: FusedMatMul, QLinearConv.
_HEAVY = re.compile("Conv|MatMul|Gemm(?!a)|Attention|Einsum|LSTM|GRU|RNN|MoE")


class Session:
    """A loaded model. Create it with `open_session`, which also closes it.

    Attributes
    ----------
    model, provider : OnnxModel, str
        The file, and the short name of the provider that runs the network.
    requested_options, provider_options : dict
        The provider's options as requested, and as ONNX Runtime reports them in force.
    threads, spin : int, bool
        Threads inside one operator, and whether idle ones wait in a busy loop, as by default.
    create_s, placement : float, Placement
        Seconds to load and optimise the graph, and how many nodes run on each provider.
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
            raise ConfigError(f"threads must be at least 1, got {threads}.")
        self.model = model
        self.provider = provider_name(provider)
        self.threads = threads or available_cpus()
        self.spin = spin
        self.requested_options = dict(provider_options or {})
        wanted = ort_name(self.provider)
        started = time.perf_counter()
        try:
            self._session: Any = create_session(
                model.path,
                provider=self.provider,
                provider_options=provider_options,
                threads=self.threads,
                spin=spin,
            )
        except Exception as error:  # ONNX Runtime raises a dozen types of its own
            msg = f"{model.path} cannot be loaded on provider {provider!r}: {runtime_reason(error)}"
            raise ModelError(msg) from error
        self.create_s = time.perf_counter() - started
        model.check_unchanged()  # ONNX Runtime has read the file again
        self.placement = self._check_placement(wanted)
        self.provider_options: dict[str, str] = self._session.get_provider_options()[wanted]
        # A captured graph uses its own buffers only, so calls with host arrays bypass it.
        self._run_options = (graph_options(NO_GRAPH),) if self.fixed_addresses else ()
        self._graph_ids = count(1)  # 0 is ONNX Runtime's own
        self._input = model.inputs[0].name
        self._outputs = [feature_output(model).name]

    def _check_placement(self, wanted: str) -> Placement:
        actual = self._session.get_providers()
        if actual[0] != wanted:
            msg = f"ONNX Runtime created the session on {actual[0]} instead of {wanted}."
            raise ProviderUnavailableError(msg)
        parts = self._session.get_provider_graph_assignment_info()
        placed = [(part.ep_name, node) for part in parts for node in part.get_nodes()]
        elsewhere: dict[str, set[str]] = {}
        for name, node in placed:
            # The crop's arithmetic with the image's two sides is on the host by design.
            if name != wanted and not node.name.startswith(SIDES_PREFIX):
                elsewhere.setdefault(name, set()).add(node.op_type)
        for name, operators in elsewhere.items():
            if misplaced := sorted(filter(_HEAVY.search, operators)):
                raise ProviderUnavailableError(
                    f"{', '.join(misplaced)} of {self.model.path.name} would run on {name} instead "
                    f"of {wanted}, so {name} would be measured. Use another provider or precision."
                )
        return Placement(
            nodes=dict(Counter(name for name, _ in placed)),
            operators={name: tuple(sorted(operators)) for name, operators in elsewhere.items()},
        )

    def run(self, images: ImageArray) -> FloatArray:
        """Return the features of one batch."""
        features: Any
        (features,) = self._run(self._outputs, images)
        if getattr(features, "ndim", 0) != 2:  # noqa: PLR2004
            check_rows(features, self._outputs[0])
            features = features.reshape(len(features), math.prod(features.shape[1:]))
        rows: FloatArray = features
        return rows

    def run_all(self, images: ImageArray) -> dict[str, NDArray[Any]]:
        """Return every output of the model for one batch, by name and unchanged."""
        names = [output.name for output in self.model.outputs]
        return dict(zip(names, self._run(names, images), strict=True))

    def _run(self, names: list[str], images: ImageArray) -> list[NDArray[Any]]:
        try:
            return list(self._session.run(names, {self._input: images}, *self._run_options))
        except Exception as error:  # ONNX Runtime raises a dozen types of its own
            raise failed_run(self.provider, images.shape, error) from error

    def bind(self, batch: ImageArray) -> BoundBatch:
        """Put one batch on the device, with a buffer there for its features."""
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
        """Session entries, provider options and, on CUDA, environment variables in force."""
        variables = {} if self.cuda_device is None else cuda_variables()
        return {**session_settings(spin=self.spin), **self.provider_options, **variables}

    @property
    def cuda_device(self) -> int | None:
        """CUDA's number of the GPU that the session is on; None on other devices."""
        if device_of(self.provider) != "cuda":
            return None
        return device_number_of(self.provider, self.provider_options)

    @property
    def fixed_addresses(self) -> bool:
        """Whether a bound input must keep its address, because a captured CUDA graph reads it."""
        return captures_graph(self.provider_options)

    def close(self) -> None:
        """Free the session, so that its threads and memory disturb no later measurement."""
        self._session = None


def feature_output(model: OnnxModel) -> TensorInfo:
    """Return the output that `Session.run` computes: ``features``, or else the first."""
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
    """Open *model* on *provider*, with no fallback to another, and close it afterwards.

    Parameters
    ----------
    model, provider : OnnxModel, str
        The file, and a provider's name, short ("cuda") or ONNX Runtime's.
    provider_options : mapping of str to str or None
        Passed to ONNX Runtime unchanged.
    threads, spin : int or None, bool
        See `Session`; None means one thread for each processor that this process may use.

    Raises
    ------
    ConfigError
        If *threads* is below 1.
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
    """Return whether the first input takes uint8 (N, H, W, 3), as in every exported backbone."""
    first = model.inputs[0]
    shape = first.shape or ()
    return first.dtype == np.dtype(np.uint8).name and len(shape) == 4 and shape[3] == 3  # noqa: PLR2004
