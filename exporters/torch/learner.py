"""A network of PyTorch with a new classifier, as the training loop takes it."""

import contextlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from exporters.torch.extractor import Extractor
from exporters.torch.factory import described
from exporters.train.learner import MOMENTUM, Arrays, Figures, Phase
from tlbench.core.arrays import FloatArray, LabelArray
from tlbench.core.errors import TrainingError

_HIDDEN = 1024
_DROPPED = 0.5
_EPSILON = 1e-7  # Keras's, as the other numbers of its optimizers are
# What an optimizer remembers of each parameter.
_STATE = {
    "sgd": ("momentum_buffer",),
    "adam": ("step", "exp_avg", "exp_avg_sq"),
    "rmsprop": ("step", "square_avg"),
}


class FineTuned(torch.nn.Module):  # type: ignore[misc]
    """A trunk that gives features, with a new classifier: dense 1024, dropout 0.5, logits.

    The trunk is always in evaluation mode: its normalisations do not change, and its dropout is
    off.
    """

    def __init__(self, trunk: Extractor, n_classes: int, seed: int) -> None:
        super().__init__()
        self.name = trunk.name
        self.trunk = trunk
        self.outputs = replace(trunk.outputs, n_classes=n_classes)
        n_features = math.prod(self.outputs.feature_shape)
        self.new_classifier = torch.nn.ModuleDict(
            {
                "hidden": torch.nn.Linear(n_features, _HIDDEN),
                "logits": torch.nn.Linear(_HIDDEN, n_classes),
            }
        )
        generator = torch.Generator().manual_seed(seed)
        for layer in self.new_classifier.values():
            torch.nn.init.xavier_uniform_(layer.weight, generator=generator)
            torch.nn.init.zeros_(layer.bias)
        self.eval()

    def classify(self, features: torch.Tensor, keep: torch.Tensor | None = None) -> torch.Tensor:
        """Return the logits; *keep* are the factors of the hidden units, for dropout."""
        hidden = functional.relu(self.new_classifier["hidden"](features))
        return self.new_classifier["logits"](hidden if keep is None else hidden * keep)

    def forward(self, network_input: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return features and logits of preprocessed images (N, 3, S, S)."""
        (features,) = self.trunk(network_input)
        return features, self.classify(features)


class TorchLearner:
    """See `exporters.train.learner.Learner`; computes on the GPU, if PyTorch sees one.

    *used* are the parameters that the features depend on, *thawed* those that the second phase
    trains, both by their names in the network. `torch_session` has turned gradients off; a step
    turns them on.
    """

    def __init__(
        self,
        network: FineTuned,
        used: Sequence[str],
        thawed: Sequence[str],
        *,
        software: str,
        mixed_precision: bool = False,
    ) -> None:
        self.network = network
        self._software = software
        self._mixed = mixed_precision
        self._thawed = thawed
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        network.to(self._device)
        own = dict(network.trunk.network.named_parameters(remove_duplicate=False))
        kept = {id(own[name]) for name in used}
        idle = {f"trunk.network.{name}" for name, one in own.items() if id(one) not in kept}
        # Shares the memory of the parameters; what the features do not depend on is left out.
        self._tensors: dict[str, torch.Tensor] = {
            name: tensor
            for name, tensor in network.state_dict().items()
            if name not in idle and isinstance(tensor, torch.Tensor)
        }
        self._dropout = torch.Generator()

    @property
    def n_parameters(self) -> int:
        """Of all that the features depend on, and of the new classifier."""
        floats = [one for one in self._tensors.values() if one.is_floating_point()]
        return sum({one.data_ptr(): one.numel() for one in floats}.values())

    @property
    def trained_layers(self) -> tuple[str, ...]:
        """By their paths in the network."""
        layers = [name.rpartition(".")[0] for name in self._thawed]
        return layers[0], layers[-1]

    @property
    def software(self) -> str:
        """PyTorch and the network's package."""
        return self._software

    @property
    def device(self) -> str:
        """As PyTorch names it."""
        is_gpu = self._device.type == "cuda"
        return str(torch.cuda.get_device_name()) if is_gpu else "cpu"

    def device_peak_bytes(self) -> int | None:
        """As PyTorch counts it."""
        return int(torch.cuda.max_memory_allocated()) if self._device.type == "cuda" else None

    def begin(self, phase: Phase) -> int:
        """Freeze all but what the phase trains."""
        own = dict(self.network.trunk.network.named_parameters(remove_duplicate=False))
        self._trained = [
            *([own[name] for name in self._thawed] if phase.trunk else []),
            *self.network.new_classifier.parameters(),
        ]
        for one in self.network.parameters():
            one.requires_grad_(requires_grad=False)
        for one in self._trained:
            one.requires_grad_(requires_grad=True)
        self._optimizer = _optimizer(phase, self._trained)
        # As if they had been there all along: an optimizer makes them on its first step.
        self._state = []
        for one in self._trained:
            for key in _STATE[phase.optimizer]:
                value = torch.zeros(()) if key == "step" else torch.zeros_like(one)
                self._optimizer.state[one][key] = value
                self._state.append(value)
        self._scaler = torch.amp.GradScaler(self._device.type, enabled=self._mixed)
        return sum(one.numel() for one in self._trained)

    def reseed(self, generator: np.random.Generator) -> None:
        """Only the new classifier has dropout."""
        self._dropout.manual_seed(int(generator.integers(2**31)))

    def step(self, images: FloatArray, labels: LabelArray, rate: float) -> Figures:
        """Drop half of the hidden units, and go down the gradient."""
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        kept = torch.rand((len(images), _HIDDEN), generator=self._dropout) >= _DROPPED
        keep = (kept / (1 - _DROPPED)).to(self._device)
        self._optimizer.zero_grad(set_to_none=True)
        with torch.enable_grad(), self._failures():
            loss, figures = self._loss(images, labels, keep)
            self._scaler.scale(loss).backward()
            self._scaler.step(self._optimizer)
            self._scaler.update()
        return figures

    def evaluate(self, images: FloatArray, labels: LabelArray) -> Figures:
        """Keep all hidden units."""
        with self._failures():
            _, figures = self._loss(images, labels, None)
        return figures

    @contextlib.contextmanager
    def _failures(self) -> Iterator[None]:
        """Raise TrainingError for what the network's own code, or a lack of memory, raises."""
        try:
            yield
        except Exception as error:
            msg = (
                f"{self.network.name} fails on {self.device} while it is trained: "
                f"{described(error)} If memory is short, lower batch_size."
            )
            raise TrainingError(msg) from error

    def _loss(
        self, images: FloatArray, labels: LabelArray, keep: torch.Tensor | None
    ) -> tuple[torch.Tensor, Figures]:
        # A copy: PyTorch's own memory is aligned, and equal sums depend on that.
        pixels = (
            torch.from_numpy(images)
            .permute(0, 3, 1, 2)
            .clone(memory_format=torch.contiguous_format)
        )
        with torch.autocast(self._device.type, dtype=torch.float16, enabled=self._mixed):
            (features,) = self.network.trunk(pixels.to(self._device))
        logits = self.network.classify(features, keep)
        wanted = torch.from_numpy(labels).to(self._device)
        loss = functional.cross_entropy(logits, wanted)
        accuracy = (logits.argmax(1) == wanted).double().mean()
        return loss, np.array([float(loss.detach()), float(accuracy)])

    def weights(self) -> Arrays:
        """In the order of the state dictionary."""
        return list(map(_array, self._tensors.values()))

    def set_weights(self, arrays: Arrays) -> None:
        """In the order of the state dictionary."""
        _fill(list(self._tensors.values()), arrays)

    def optimizer_state(self) -> Arrays:
        """Of each trained parameter in order; with mixed precision, then the scale of the loss."""
        scaler = self._scaler.state_dict()
        scale = [np.array(scaler[key]) for key in _SCALE] if self._mixed else []
        return [*map(_array, self._state), *scale]

    def restore_optimizer(self, arrays: Arrays) -> None:
        """In the same order."""
        _fill(self._state, arrays[: len(self._state)])
        if self._mixed:
            values = map(np.ndarray.item, arrays[len(self._state) :])
            known = self._scaler.state_dict()
            self._scaler.load_state_dict(known | dict(zip(_SCALE, values, strict=True)))


_SCALE = ("scale", "_growth_tracker")  # of a GradScaler's state


def _optimizer(phase: Phase, trained: Sequence[torch.nn.Parameter]) -> Any:  # noqa: ANN401
    rate = phase.learning_rate
    match phase.optimizer:
        case "rmsprop":
            return torch.optim.RMSprop(trained, lr=rate, alpha=0.9, eps=_EPSILON)
        case "adam":
            return torch.optim.Adam(trained, lr=rate, eps=_EPSILON)
    return torch.optim.SGD(trained, lr=rate, momentum=MOMENTUM, nesterov=True)


def _array(tensor: torch.Tensor) -> Any:  # noqa: ANN401 - an array
    return tensor.detach().cpu().numpy().copy()


def _fill(tensors: Sequence[torch.Tensor], arrays: Arrays) -> None:
    for tensor, array in zip(tensors, arrays, strict=True):
        tensor.copy_(torch.from_numpy(np.array(array)))
