"""Fine-tune a network of PyTorch, and write it as an ONNX file: without Keras or TensorFlow."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

import torch

from exporters.common.options import DEFAULT_OPSET
from exporters.common.publish import publish
from exporters.torch.backbone import TorchBackbone
from exporters.torch.blocks import last_block, used_parameters
from exporters.torch.convert import convert
from exporters.torch.export import Cut, build, trial_images, versions
from exporters.torch.factory import Factory
from exporters.torch.learner import FineTuned, TorchLearner
from exporters.torch.reference import preprocessed
from exporters.train.checkpoint import Checkpoint
from exporters.train.run import Network as AnyNetwork
from exporters.train.run import Prepared, Settings, check_request, origin_of, run_training
from tlbench.core.arrays import FloatArray, ImageArray
from tlbench.core.errors import ConfigError, ExportError
from tlbench.core.progress import Listener, Silent, task
from tlbench.model import (
    ModelCard,
    TrainingOptions,
    TrainingRecord,
    TrainingRequest,
    Weights,
)

_OTHERWISE = "pass weights=FILE, or train a network from scratch: basic-cnn or wrn-28-8"


class Network(AnyNetwork, Protocol):
    """`exporters.train.networks.TorchFineTuned`."""

    @property
    def backbone(self) -> TorchBackbone:
        """The network whose weights the training begins with."""


def train_and_export(
    network: Network, request: TrainingRequest, destination: Path, listener: Listener
) -> ModelCard:
    """Fine-tune *network*, or go on with its checkpoint, and write it as an ONNX file."""
    settings = network.settings(request.options)
    check_request(request, settings)
    factory = network.backbone.factory(request.options.export_options)
    with _same_sums():
        with task(listener, f"build {network.name} in PyTorch"):
            cut = _cut(network, factory, request.options, listener)
            tuned = FineTuned(cut.extractor, len(request.classes), request.options.seed)
            images = trial_images(cut.size)
            used = used_parameters(cut.extractor, images)
            thawed = last_block(cut.extractor, images, used)
        _settle(settings, cut)
        if not request.resume:  # a checkpoint says that it was looked at
            with task(listener, f"check that {network.name} can be exported"):
                _check_exportable(tuned, cut)
        learner = TorchLearner(
            tuned,
            list(used),
            thawed,
            software=versions(factory),
            mixed_precision=request.options.mixed_precision,
        )
        prepared = Prepared(
            name=cut.extractor.name,
            learner=learner,
            architecture=json.dumps({"factory": str(factory), "layer": cut.extractor.layer.text}),
            origin=origin_of(cut.weights),
            pixels=cut.declared.pixels.preprocessing,
            fit=cut.declared.fit,
            resize=cut.declared.resize,
        )
        checkpoint = run_training(network, prepared, request, settings, listener)
        learner.set_weights(checkpoint.final)
        return _export(tuned.to("cpu"), cut, checkpoint, destination, listener)


@contextlib.contextmanager
def _same_sums() -> Iterator[None]:
    """Add in a fixed order on the CPU, so that a resumed training is the unbroken one.

    At the end, PyTorch is as it was, and the GPU's memory is free for the measurement.
    """
    was = torch.are_deterministic_algorithms_enabled()
    warned = torch.is_deterministic_algorithms_warn_only_enabled()
    filled = torch.utils.deterministic.fill_uninitialized_memory
    is_gpu = torch.cuda.is_available()
    try:
        if not is_gpu:
            torch.use_deterministic_algorithms(mode=True, warn_only=True)
            # It finds mistakes in PyTorch, and costs a quarter of the time.
            torch.utils.deterministic.fill_uninitialized_memory = False
        yield
    finally:
        torch.use_deterministic_algorithms(was, warn_only=warned)
        torch.utils.deterministic.fill_uninitialized_memory = filled
        if is_gpu:
            torch.cuda.empty_cache()


def _cut(network: Network, factory: Factory, options: TrainingOptions, listener: Listener) -> Cut:
    """Return the network with the weights that its training begins with, cut at its features."""
    wanted = options.export_options
    if wanted.weights != "imagenet" and not Path(wanted.weights).expanduser().is_file():
        msg = (
            f"No weights file at {wanted.weights}. Correct the path, or leave weights out for "
            "those that the network's library or function loads."
        )
        raise ExportError(msg)
    name = f"finetune:{network.backbone.described(wanted)}"
    return build(name, factory, wanted, listener, otherwise=_OTHERWISE)


def _settle(settings: Settings, cut: Cut) -> None:
    """Add to the settings what the network itself decides."""
    height, width = cut.size
    if height != width:
        msg = (
            f"{cut.extractor.name} takes images of {height} x {width} pixels, and a training makes "
            "squares of them. Give input_size=..."
        )
        raise ConfigError(msg)
    fit, resize, pixels = cut.declared.fit, cut.declared.resize, cut.declared.pixels
    fraction = f" of {fit.crop_fraction:g}" if fit.crop_fraction != 1 else ""
    settings |= {
        "input_size": width,
        "weights": origin_of(cut.weights),
        "layer": cut.extractor.layer.text,
        "preprocessing": f"{fit.name}{fraction}; {resize.text}; {pixels.text}",
    }


def _check_exportable(network: FineTuned, cut: Cut) -> None:
    """Write and verify a file before hours of training, of which nothing could come otherwise."""
    weights = Weights(kind="random", sha256=None, origin="not trained yet", licence="none")
    with TemporaryDirectory(prefix="tlbench-") as folder:
        _publish(network, cut, weights, Path(folder) / "trial.onnx", Silent())


def _export(
    network: FineTuned,
    cut: Cut,
    checkpoint: Checkpoint,
    destination: Path,
    listener: Listener,
) -> ModelCard:
    """Write a network with its final weights, verified against PyTorch."""
    record, weights = checkpoint.record, checkpoint.weights_info
    return _publish(network, cut, weights, destination, listener, training=record)


def _publish(
    network: FineTuned,
    cut: Cut,
    weights: Weights,
    destination: Path,
    listener: Listener,
    *,
    training: TrainingRecord | None = None,
) -> ModelCard:
    declared, size = cut.declared, cut.size

    def reference(images: ImageArray) -> list[FloatArray]:
        return [one.numpy() for one in network(preprocessed(images, declared, size))]

    with task(listener, f"convert {network.name} with torch.onnx"):
        graph = convert(network, trial_images(size), DEFAULT_OPSET)
    return publish(
        graph,
        backbone=network.name,
        source="trained by tlbench" + (f", {training.software}" if training else ""),
        weights=weights,
        size=size,
        fit=declared.fit,
        resize=declared.resize,
        preprocessing=declared.pixels,
        layer=cut.extractor.layer.text,
        outputs=network.outputs,
        opset=DEFAULT_OPSET,
        reference=reference,
        reference_name=f"torch {torch.__version__}",
        destination=destination,
        listener=listener,
        training=training,
    )
