"""`tlbench train`: a network trained on the user's images, as a file and as a saved run."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tlbench.cli import options as o
from tlbench.cli.export import PixelOptions
from tlbench.cli.measure import make_config, save_and_show
from tlbench.cli.process import INTERRUPTED

if TYPE_CHECKING:
    from tlbench.model import TrainingOptions

Schedule = StrEnum("Schedule", ["CONSTANT", "COSINE"])
Optimizer = StrEnum("Optimizer", ["RMSPROP", "SGD", "ADAM"])


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """How the network is trained; what is left out has the network's published value."""

    epochs: Annotated[
        int | None, typer.Option(help="Passes over the train images; default: as published.")
    ] = None
    batch_size: Annotated[int | None, typer.Option(help="Images per training step.")] = None
    learning_rate: Annotated[
        float | None, typer.Option(help="Rate that the schedule starts from.", metavar="X")
    ] = None
    optimizer: Annotated[
        Optimizer | None, typer.Option(help="sgd has Nesterov momentum of 0.9.")
    ] = None
    schedule: Annotated[Schedule | None, typer.Option(help="How the learning rate goes on.")] = None
    augment: Annotated[
        str | None,
        typer.Option(
            help="Random changes of the train images: shift (a tenth of the side), flip (left to "
            "right), rotate (up to 15 degrees), or none.",
            metavar="A,B",
        ),
    ] = None
    input_size: o.InputSize = None
    weights: Annotated[
        str, typer.Option(help="Where fine-tuning begins: imagenet, or the path of a weights file.")
    ] = "imagenet"
    factory_args: o.FactoryArgs = None
    layer: o.LayerName = None
    mixed_precision: Annotated[
        bool, typer.Option("--mixed-precision", help="Compute in float16, for GPUs that do it.")
    ] = False
    early_stopping: Annotated[
        int | None,
        typer.Option(
            help="Hold out a tenth of the train images, stop after N epochs without a lower loss "
            "on them, and keep the best epoch.",
            metavar="N",
        ),
    ] = None

    def training_options(self, pixels: PixelOptions, seed: int) -> "TrainingOptions":
        """Return the options as the library takes them."""
        from tlbench.model import TrainingOptions

        words = {"optimizer": self.optimizer, "schedule": self.schedule}
        chosen: dict[str, Any] = {name: one and one.value for name, one in words.items()}
        chosen["augment"] = None if self.augment is None else o.split_names(self.augment)
        chosen["factory_args"] = o.factory_arguments(self.factory_args)
        prepared = pixels.settings()
        if pixels.preprocess is not None:
            prepared["preprocess"] = pixels.preprocess.expanduser()
        return TrainingOptions(**vars(self) | chosen | prepared, seed=seed)


def train(
    network: Annotated[
        str,
        typer.Argument(
            help="basic-cnn, wrn-28-8 of any depth and width, or finetune (of resnet50; "
            "finetune:NAME takes another Keras backbone, finetune:torch:MODULE:FACTORY or "
            "finetune:timm:NAME a PyTorch network). See tlbench list networks."
        ),
    ],
    *,
    dataset: o.DatasetName = "digits",
    columns: o.ColumnOptions,
    training: TrainOptions,
    pixels: PixelOptions,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the checkpoint beside the ONNX file.")
    ] = False,
    file: Annotated[
        Path | None,
        typer.Option("--file", "-o", help="The ONNX file; default: NETWORK-DATASET.onnx."),
    ] = None,
    sample: o.SampleOptions,
    folds: Annotated[
        int | None,
        typer.Option(
            help="Also train once for each of N stratified folds of all images.", metavar="N"
        ),
    ] = None,
    provider: o.ProviderOptions,
    threads: o.Threads = None,
    no_latency: o.NoLatency = False,
    strict: o.StrictImages = False,
    folders: o.FolderOptions,
    saving: o.SavingOptions,
) -> None:
    """Train or fine-tune a network on your images, and measure it.

    The network becomes an ONNX file that takes raw uint8 images and returns features and logits.
    A checkpoint beside the file is replaced after each epoch; --resume goes on from it. Keras runs
    on the backend that the variable KERAS_BACKEND names; PyTorch networks are fine-tuned by PyTorch
    itself, and only they take the options of preprocessing. Both use a GPU if they see one.
    """
    from tlbench.api import Run
    from tlbench.cli.repeat import train_command
    from tlbench.cli.terminal import listening
    from tlbench.workflows import ProtocolConfig, TrainingPlan, train_network

    config = make_config(
        [columns, sample, provider, folders],
        dataset=dataset,
        threads=threads,
        latency=not no_latency,
        strict=strict,
        protocol=ProtocolConfig(folds=folds),
    )
    plan = TrainingPlan.of(
        network, training.training_options(pixels, sample.seed), dataset, file, resume=resume
    )
    saving.check()
    try:
        with listening(quiet=saving.quiet) as listener:
            outcome = train_network(plan, config, listener, command=train_command(plan, config))
    except KeyboardInterrupt as interrupt:
        kept = plan.checkpoint.is_file()
        what = (
            f"{plan.checkpoint} keeps the last epoch: add --resume" if kept else "nothing is kept"
        )
        typer.echo(f"tlbench: interrupted; {what}.", err=True)
        raise typer.Exit(INTERRUPTED) from interrupt
    save_and_show(Run(outcome.result, outcome.predictions, images=outcome.images), saving)
    if not outcome.result.complete:
        raise typer.Exit(INTERRUPTED)
