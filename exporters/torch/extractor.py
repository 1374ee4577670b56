"""A network as a module that gives features, and logits where they are asked for."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from exporters.common.finish import GraphOutputs
from exporters.torch.factory import kind_of
from exporters.torch.layers import FeatureLayer, run
from tlbench.core.errors import ConfigError, ExportError
from tlbench.model import ExportOptions

_MAP_RANK, _VECTOR_RANK = 4, 2
# Between two runs on the same images; a random operator or a statistic of the batch changes more.
_SAME = 1e-4


class Extractor(torch.nn.Module):  # type: ignore[misc]
    """The network, cut at a layer; its outputs are those that `outputs` describes.

    ConfigError or ExportError if it cannot be cut there. *images* are tried for it.
    """

    def __init__(
        self,
        network: torch.nn.Module,
        layer: FeatureLayer,
        images: torch.Tensor,
        name: str,
        options: ExportOptions,
    ) -> None:
        super().__init__()
        self.network = network
        self.name = name
        self.layer = layer
        self.top = options.top
        seen: list[Any] = []

        def keep_input(_module: torch.nn.Module, inputs: Any, named: Any) -> None:  # noqa: ANN401
            seen.append(inputs[0] if inputs else named["input"])

        def keep_output(_module: torch.nn.Module, _inputs: Any, output: Any) -> None:  # noqa: ANN401
            seen.append(output)

        def taken(output: Any) -> Any:  # noqa: ANN401 - whatever the network gives
            return output if layer.module is None else seen[-1]

        # A function, and not an attribute: torch.export takes the tensors of a module for its own.
        self.clear, self.taken = seen.clear, taken
        if layer.module is not None:
            module = network.get_submodule(layer.module)
            if layer.is_input:
                module.register_forward_pre_hook(keep_input, with_kwargs=True)
            else:
                module.register_forward_hook(keep_output)
        self.clear()
        output = run(network, images, name)
        if layer.module is not None and not seen:
            msg = f"layer={layer.module} of {name} takes no part in its forward. Choose another."
            raise ConfigError(msg)
        shape = self._shape(taken(output), len(images))
        self.is_map = len(shape) == _MAP_RANK
        # A linear layer reads the last axis. Otherwise the two equal axes are height and width: the
        # input is square.
        self.channels_last = self.is_map and (layer.is_input or shape[1] == shape[2] != shape[3])
        self.pooling = options.pooling if self.is_map else "none"
        of_map = shape[1:] if self.channels_last else (*shape[2:], shape[1])
        self.outputs = GraphOutputs(
            pools=False,
            pooling=self.pooling,
            feature_shape=of_map[-1:] if self.pooling != "none" else of_map,
            n_classes=self._logits(output).shape[1] if self.top else None,
        )
        self.eval()

    def forward(self, network_input: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return features, and logits if they are asked for, of preprocessed images."""
        self.clear()
        output = self.network(network_input)
        source = self.taken(output)
        self.clear()
        positions = (1, 2) if self.channels_last else (2, 3)
        if self.pooling == "avg":
            source = source.mean(dim=positions)
        elif self.pooling == "max":
            source = source.amax(dim=positions)
        elif self.is_map and not self.channels_last:
            source = source.permute(0, 2, 3, 1)
        features = source.flatten(1).float()
        return (features, self._logits(output).float()) if self.top else (features,)

    def _shape(self, features: Any, n_images: int) -> tuple[int, ...]:  # noqa: ANN401
        where = f"layer={self.layer.module}" if self.layer.module else "The output"
        if not isinstance(features, torch.Tensor):
            found = kind_of(features)
        elif not features.is_floating_point():
            found = f"numbers of type {features.dtype}"
        elif features.ndim not in {_MAP_RANK, _VECTOR_RANK} or len(features) != n_images:
            found = f"a tensor of shape {tuple(features.shape)} for {n_images} images"
        else:
            return tuple(features.shape)
        msg = (
            f"{where} of {self.name} gives {found}; features must be maps (N, C, H, W) or vectors "
            "(N, C) of floats. Choose another layer."
        )
        raise ConfigError(msg)

    def _logits(self, output: Any) -> torch.Tensor:  # noqa: ANN401
        if isinstance(output, Mapping) and "logits" in output:
            output = output["logits"]
        if not isinstance(output, torch.Tensor) or output.ndim != _VECTOR_RANK:
            is_tensor = isinstance(output, torch.Tensor)
            found = f"a tensor of shape {tuple(output.shape)}" if is_tensor else kind_of(output)
            msg = (
                f"top=True needs a network that returns logits (N, classes), but {self.name} "
                f"returns {found}. Leave top out."
            )
            raise ConfigError(msg)
        return output

    def check(self, images: torch.Tensor) -> None:
        """Raise ExportError if an image's outputs change by chance, or with the other images."""
        first, again = run(self, images, self.name), run(self, images, self.name)
        if not are_same(first, again):
            msg = (
                f"{self.name} gives other features each time for the same images, although it is "
                "in evaluation mode: it draws random numbers. Look for dropout that ignores "
                "`training`."
            )
            raise ExportError(msg)
        alone = run(self, images[:1], self.name)
        if len(alone[0]) != 1:
            msg = (
                f"{self.name} gives features of shape {tuple(alone[0].shape)} for a single image: "
                "its forward is written for batches of another size."
            )
            raise ExportError(msg)
        if not are_same([output[:1] for output in first], alone):
            msg = (
                f"In {self.name}, the features of an image depend on the other images of its "
                "batch. Look for batch normalisation without running statistics, or in training "
                "mode."
            )
            raise ExportError(msg)


def are_same(ours: Sequence[torch.Tensor], theirs: Sequence[torch.Tensor]) -> bool:
    """Tell whether tensors differ by no more than sums in another order."""
    # Not a number is no difference here: the parity check refuses it, with a better reason.
    return not any(
        float((a - b).abs().max()) > _SAME * float(b.abs().max())
        for a, b in zip(ours, theirs, strict=True)
    )
