"""Train a network from Python."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from tlbench.api.backbone import channel_values
from tlbench.api.progress import Progress, listener_of
from tlbench.api.results import Run
from tlbench.api.settings import DatasetLike, Folder, columns_of, folder_settings, named_dataset
from tlbench.model import Fit, TrainableNetwork, TrainingOptions
from tlbench.workflows import GivenObjects, ProtocolConfig, RunConfig, TrainingPlan, train_network


def train(
    network: str | TrainableNetwork = "basic-cnn",
    file: str | Path | None = None,
    *,
    dataset: DatasetLike = "digits",
    path_column: str | None = None,
    label_column: str | None = None,
    split_column: str | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    optimizer: Literal["rmsprop", "sgd", "adam"] | None = None,
    schedule: Literal["constant", "cosine"] | None = None,
    augment: Sequence[str] | None = None,
    input_size: int | None = None,
    weights: str | Path = "imagenet",
    mixed_precision: bool = False,
    early_stopping: int | None = None,
    factory_args: Mapping[str, Any] | None = None,
    layer: str | None = None,
    preprocess: str | Path | None = None,
    scale: float | None = None,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    channels: Literal["rgb", "bgr"] | None = None,
    fit: Fit | None = None,
    crop_fraction: float = 1.0,
    resize: Literal["bilinear", "bicubic", "nearest"] | None = None,
    antialias: bool = False,
    resume: bool = False,
    limit_train: int | None = None,
    limit_test: int | None = None,
    seed: int = 0,
    folds: int | None = None,
    latency: bool = True,
    strict: bool = False,
    data_dir: Folder = None,
    cache_dir: Folder = None,
    progress: Progress = False,
) -> Run:
    """Train a network on images, write it as an ONNX file, and measure the file.

    Keras does the training, on the backend that the variable ``KERAS_BACKEND`` names; PyTorch does
    it for its own networks. What is None has the published value of the network.

    Parameters
    ----------
    network : str or TrainableNetwork
        ``"basic-cnn"``, ``"wrn-28-8"`` (of any depth and width), ``"finetune:resnet50"`` (of any
        Keras backbone), ``"finetune:torch:MODULE:FACTORY"``, ``"finetune:timm:NAME"``, or an object
        with the methods of `tlbench.model.TrainableNetwork`.
    file : str, Path or None
        The file to write; None for ``<network>-<dataset>.onnx`` in the working directory. Its
        checkpoint, with the suffix ``.checkpoint``, is replaced after each epoch.
    dataset, path_column, label_column, split_column
        As for `run`.
    epochs : int or None
        Passes over the training images; of fine-tuning, those of its second phase.
    batch_size, learning_rate : int or None, float or None
        Images per step, and the rate that the schedule starts from.
    optimizer, schedule : str or None
        ``"rmsprop"``, ``"sgd"`` with Nesterov momentum of 0.9, or ``"adam"``; ``"constant"`` or
        ``"cosine"``.
    augment : sequence of str or None
        Of ``"shift"``, ``"flip"`` and ``"rotate"``; ``()`` for none.
    input_size : int or None
        Height and width that images are resized to, in pixels.
    weights : str or Path
        Where fine-tuning begins: ``"imagenet"``, or a weights file of the backbone.
    mixed_precision : bool
        Whether products are computed in float16.
    early_stopping : int or None
        Epochs without a lower loss on a held-out tenth of the training images after which to stop;
        None never stops, and holds nothing out.
    factory_args, layer : mapping or None, str or None
        For networks of PyTorch only: the arguments of the function that makes the network, and the
        layer whose output the new classifier gets; None for the input of the last linear layer.
    preprocess, scale, mean, std, channels
        For networks of PyTorch only: what the network expects of its pixels, where its library does
        not state it; as for `export`.
    fit, crop_fraction, resize, antialias
        For networks of PyTorch only: how images become squares, in training and in the file; as for
        `export`.
    resume : bool
        Whether to go on from the checkpoint. Settings, data and seed must be the same.
    limit_train, limit_test, seed : int or None, int or None, int
        As for `run`; the seed is also that of initial weights, order and augmentation.
    folds : int or None
        Folds of a cross-validation, for each of which the network is trained anew. They are those
        of a head on frozen features with the same seed.
    latency : bool
        Whether to measure the latency of the file.
    strict, data_dir, cache_dir, progress
        As for `run`.

    Returns
    -------
    Run
        Its accuracy is that of the network's own classifier, ``accuracy["classifier"]``, and
        ``record.training`` has a record of each epoch. Not saved yet: `Run.save` does that.

    Raises
    ------
    TlbenchError
        If anything is unknown, unavailable, missing or damaged. A loss that is no longer a number
        ends the training; the checkpoint of the epoch before is kept.

    Examples
    --------
    >>> run = tlbench.train("basic-cnn", "digits.onnx", epochs=1, batch_size=64, latency=False)
    >>> run.accuracy["classifier"].n_train
    898
    >>> len(run.record.training.epochs)
    1
    """
    name, datasets = named_dataset(dataset)
    config = RunConfig(
        dataset=name,
        columns=columns_of(path_column, label_column, split_column),
        limit_train=limit_train,
        limit_test=limit_test,
        seed=seed,
        protocol=ProtocolConfig(folds=folds),
        latency=latency,
        strict=strict,
        given=GivenObjects(datasets=datasets),
        **folder_settings(data_dir, cache_dir),
    )
    options = TrainingOptions(
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        optimizer=optimizer,
        schedule=schedule,
        augment=None if augment is None else tuple(augment),
        input_size=input_size,
        weights=str(weights),
        mixed_precision=mixed_precision,
        early_stopping=early_stopping,
        seed=seed,
        factory_args=factory_args or None,
        layer=layer,
        preprocess=None if preprocess is None else Path(preprocess).expanduser(),
        scale=scale,
        mean=channel_values(mean),
        std=channel_values(std),
        channels=channels,
        fit=fit,
        crop_fraction=crop_fraction,
        resize=resize,
        antialias=antialias,
    )
    plan = TrainingPlan.of(network, options, name, file, resume=resume)
    outcome = train_network(plan, config, listener_of(progress))
    return Run(outcome.result, outcome.predictions, images=outcome.images)
