"""Export one network of PyTorch: build, cut at the feature layer, convert, verify, write."""

from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import torch

from exporters.common.declared import Declared, declare
from exporters.common.options import check_opset
from exporters.common.publish import publish
from exporters.torch.convert import convert
from exporters.torch.extractor import Extractor, are_same
from exporters.torch.factory import Factory, distributions_of
from exporters.torch.layers import find_layer
from exporters.torch.libraries import (
    check_name,
    licence_of,
    origin_of,
    stated_preprocessing,
    weights_argument,
    with_pretrained,
)
from exporters.torch.reference import preprocessed
from exporters.torch.weights import digest_of, load_weights
from tlbench.core.arrays import FloatArray, ImageArray
from tlbench.core.errors import ConfigError, ExportError
from tlbench.core.progress import Listener
from tlbench.model import ExportOptions, ModelCard, Weights

_TRIED = 2  # images that a network is run on before it is converted
OTHERWISE = "pass weights=FILE, or weights='random' for latency only"


@dataclass(frozen=True, slots=True)
class Cut:
    """A network, cut at its feature layer, and what is known of it."""

    extractor: Extractor
    weights: Weights
    declared: Declared
    size: tuple[int, int]

    def reference(self, images: ImageArray) -> list[FloatArray]:
        """Return features, and logits if there are any, computed by PyTorch alone."""
        outputs = self.extractor(preprocessed(images, self.declared, self.size))
        return [output.numpy() for output in outputs]


def export_network(
    name: str, factory: Factory, options: ExportOptions, destination: Path, listener: Listener
) -> ModelCard:
    """Build the network, convert it with ``torch.onnx`` and verify it against PyTorch."""
    listener.start(f"build {name}")
    opset = check_opset(options.opset)
    cut = build(name, factory, options, listener)
    listener.finish()

    listener.start(f"convert {name} with torch.onnx")
    graph = convert(cut.extractor, trial_images(cut.size), opset)
    listener.finish()
    return publish(
        graph,
        backbone=name,
        source=f"{factory}, {versions(factory)}",
        weights=cut.weights,
        size=cut.size,
        fit=cut.declared.fit,
        resize=cut.declared.resize,
        preprocessing=cut.declared.pixels,
        layer=cut.extractor.layer.text,
        outputs=cut.extractor.outputs,
        opset=opset,
        reference=cut.reference,
        reference_name=f"torch {torch.__version__}",
        destination=destination,
        listener=listener,
    )


def build(
    name: str,
    factory: Factory,
    options: ExportOptions,
    listener: Listener,
    *,
    otherwise: str = OTHERWISE,
) -> Cut:
    """Return the network with its weights, cut at the layer that the options mean.

    *otherwise* is what an error advises where the network has no weights.
    """
    check_name(factory)
    made, is_pretrained = _choose_weights(name, factory, options)
    torch.manual_seed(options.seed)
    network = _made(made, is_pretrained=is_pretrained, otherwise=otherwise)
    stated = None
    if options.preprocess is None:  # the file is to be used instead
        stated = stated_preprocessing(made, network, options)
    declared = declare(name, options, stated)
    if declared.size is None:
        msg = f"{name}: nothing says which size of images the network expects. Give input_size=..."
        raise ConfigError(msg)
    images = trial_images(declared.size)
    layer = find_layer(network, images, name, options, listener)
    if options.weights == "random":
        origin = f"as the network initialises itself, seed {options.seed}"
        weights = Weights(kind="random", sha256=None, origin=origin, licence="none")
    elif options.weights == "imagenet":
        weights = Weights(
            kind="imagenet" if is_pretrained else "file",
            sha256=digest_of(network),
            origin=origin_of(made, network) if is_pretrained else f"loaded by {factory}",
            licence=licence_of(made, network),
        )
    else:
        path = Path(options.weights).expanduser()
        digest = load_weights(network, name, path)
        weights = Weights(kind="file", sha256=digest, origin=path.name, licence="unknown")
    extractor = Extractor(network, layer, images, name, options)
    extractor.check(images)
    if options.weights == "imagenet":
        torch.manual_seed(options.seed + 1)
        again = _made(made, is_pretrained=is_pretrained, otherwise=otherwise)
        other = Extractor(again, layer, images, name, options)
        _check_trained(name, extractor, other, images, otherwise)
    return Cut(extractor, weights, declared, declared.size)


def _choose_weights(name: str, factory: Factory, options: ExportOptions) -> tuple[Factory, bool]:
    """Return the factory to call, and whether it is to load its library's own weights."""
    argument = weights_argument(factory)
    if argument is None:
        return factory, False
    if argument in factory.arguments:
        if options.weights != "imagenet":
            msg = (
                f"{name}: factory_args set {argument!r}, and weights={options.weights!r} asks for "
                "other weights. Leave one of the two out."
            )
            raise ConfigError(msg)
        return factory, False
    return (with_pretrained(factory), True) if options.weights == "imagenet" else (factory, False)


def _made(factory: Factory, *, is_pretrained: bool, otherwise: str) -> torch.nn.Module:
    try:
        return factory.make()
    except ExportError as error:
        if not is_pretrained:
            raise
        msg = (
            f"{error} If the library's own weights do not exist, or cannot be downloaded here, "
            f"{otherwise}."
        )
        raise ExportError(msg) from error


def _check_trained(
    name: str, extractor: Extractor, other: Extractor, images: torch.Tensor, otherwise: str
) -> None:
    """Raise ConfigError if a second call of the factory gives a network with other weights."""
    outputs = ("features", "logits")
    for output, ours, theirs in zip(outputs, extractor(images), other(images), strict=False):
        if not are_same([ours], [theirs]):
            msg = (
                f"{name} has other {output} each time it is made, so its weights are random: the "
                f"factory loads none; {otherwise}."
            )
            raise ConfigError(msg)


def trial_images(size: tuple[int, int]) -> torch.Tensor:
    """Return preprocessed images to try a network with, float32 (2, 3, height, width)."""
    return torch.randn(_TRIED, 3, *size, generator=torch.Generator().manual_seed(0))


def versions(factory: Factory) -> str:
    """Return names and versions of what makes and converts the network."""
    found = [*distributions_of(factory.module), "torch", "onnxscript"]
    return ", ".join(f"{name} {metadata.version(name)}" for name in dict.fromkeys(found))
