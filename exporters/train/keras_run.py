"""Train a network of Keras, and write it as an ONNX file."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from exporters.common.options import PREPROCESSING_KNOWN, TORCH_ONLY, refuse_options
from exporters.common.session import Frameworks
from exporters.keras.network import KerasNetwork
from exporters.keras.weights import build_network
from exporters.train.architectures import Built, with_classifier
from exporters.train.export import check_exportable, export_checkpoint
from exporters.train.keras_learner import KerasLearner
from exporters.train.learner import Phase
from exporters.train.run import Prepared, Settings, check_request, origin_of, run_training
from exporters.train.session import Backend, training_session
from tlbench.core.errors import ConfigError
from tlbench.core.progress import Listener, task
from tlbench.model import ExportOptions, ModelCard, TrainingOptions, TrainingRequest

_REFUSED = {
    **TORCH_ONLY,
    **PREPROCESSING_KNOWN,
    "layer": "its feature layer is known; leave out layer=...",
    **{
        name: (
            "it is trained on the centred square of each image, resized bilinearly; leave out "
            f"{name}=..., which is for networks of PyTorch (finetune:torch:..., finetune:timm:...)"
        )
        for name in ("fit", "crop_fraction", "resize", "antialias")
    },
}


class Network(Protocol):
    """What this module needs of a network; those of `exporters.train.networks` have it."""

    name: str
    least_size: int
    pretrained: KerasNetwork | None

    def settings(self, options: TrainingOptions) -> Settings:
        """Return everything that decides how it is trained."""

    def build(self, keras: Any, settings: Settings, n_classes: int, seed: int) -> Built:  # noqa: ANN401
        """Return the network with its initial weights."""

    def phases(self, settings: Settings) -> Sequence[Phase]:
        """Return how it is trained."""


def train_and_export(
    network: Network, request: TrainingRequest, destination: Path, listener: Listener
) -> ModelCard:
    """Train *network*, or go on with its checkpoint, and write it as an ONNX file."""
    settings = network.settings(request.options)
    _check(network, request.options, settings)
    check_request(request, settings)
    check_exportable(request.checkpoint, listener)
    with training_session(mixed_precision=request.options.mixed_precision) as backend:
        prepared = _prepare(backend, network, request, settings, listener)
        run_training(network, prepared, request, settings, listener)
    return export_checkpoint(request.checkpoint, destination, listener)


def _check(network: Network, options: TrainingOptions, settings: Settings) -> None:
    """Raise ConfigError for options that are of no use to the network."""
    refuse_options(network.name, options, **_REFUSED)
    if settings["input_size"] < network.least_size:
        msg = (
            f"input_size={settings['input_size']} is too small for {network.name}, which needs "
            f"{network.least_size} pixels. Raise it."
        )
        raise ConfigError(msg)
    if network.pretrained is None and options.weights != "imagenet":
        msg = (
            f"weights={options.weights!r} is where fine-tuning begins, but {network.name} "
            "is trained from scratch. Leave it out, or fine-tune a backbone: finetune:NAME."
        )
        raise ConfigError(msg)


def _prepare(
    backend: Backend,
    network: Network,
    request: TrainingRequest,
    settings: Settings,
    listener: Listener,
) -> Prepared:
    """Return the network with the weights that its training begins with."""
    pretrained, pixels, origin = network.pretrained, None, "random weights"
    with task(listener, f"build {network.name} in Keras"):
        if pretrained is None:
            n_classes, seed = len(request.classes), request.options.seed
            built = network.build(backend.keras, settings, n_classes, seed)
        else:
            built, origin = _with_trunk(backend, pretrained, request, settings, listener)
            pixels = pretrained.preprocessing
            settings["weights"] = origin
    return Prepared(
        name=network.name,
        learner=KerasLearner(backend, built),
        architecture=built.model.to_json(),
        origin=origin,
        pixels=pixels,
    )


def _with_trunk(
    backend: Backend,
    network: KerasNetwork,
    request: TrainingRequest,
    settings: Settings,
    listener: Listener,
) -> tuple[Built, str]:
    """Return a network on pretrained weights, and where these came from."""
    options = request.options
    # Only random weights and the classifier of ImageNet need TensorFlow, and neither is here.
    frameworks = Frameworks(backend.keras, None, None)
    trunk, weights = build_network(
        frameworks,
        network,
        ExportOptions(weights=options.weights, input_size=settings["input_size"]),
        top=False,
        listener=listener,
    )
    if trunk.layers[-1].name != network.layer:  # a weights file may bring a classifier
        trunk = backend.keras.Model(trunk.input, trunk.get_layer(network.layer).output)
    built = with_classifier(backend.keras, trunk, len(request.classes), options.seed)
    return built, origin_of(weights)
