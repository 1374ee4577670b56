"""`tlbench export` and `tlbench extract`: a backbone as an ONNX file, its features as arrays."""

from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any

import typer

from tlbench.cli import options as o
from tlbench.cli.measure import make_config
from tlbench.core.errors import ConfigError

Pooling = StrEnum("Pooling", ["AVG", "MAX", "NONE"])
Resize = StrEnum("Resize", ["BILINEAR", "BICUBIC", "NEAREST"])
Channels = StrEnum("Channels", ["RGB", "BGR"])
Layout = StrEnum("Layout", ["NCHW", "NHWC"])
SplitName = StrEnum("SplitName", ["TRAIN", "TEST"])


@dataclass(frozen=True, kw_only=True)
class PixelOptions(o.OptionGroup):
    """What becomes of an image before it reaches the network."""

    fit: o.FitOption = None
    crop_fraction: o.CropFraction = 1.0
    resize: Annotated[
        Resize | None,
        typer.Option(help="How images are resized; nearest is as in Pillow. Default: bilinear."),
    ] = None
    antialias: Annotated[
        bool,
        typer.Option(
            "--antialias", help="Average over the pixels that the resize merges, as Pillow does."
        ),
    ] = False
    scale: Annotated[
        str | None,
        typer.Option(
            help="For a network whose framework does not state its preprocessing: pixels x from 0 "
            "to 255 become (x * scale - mean) / std. 1/255 is understood.",
            metavar="S",
        ),
    ] = None
    mean: Annotated[
        str | None,
        typer.Option(help="One value, or three: one for each channel.", metavar="M"),
    ] = None
    std: Annotated[
        str | None,
        typer.Option(help="One value, or three: one for each channel.", metavar="D"),
    ] = None
    channels: Annotated[
        Channels | None,
        typer.Option(help="Order of the channels in such a network; default: rgb."),
    ] = None
    preprocess: o.PreprocessFile = None

    def settings(self) -> dict[str, Any]:
        """Return the fields of `tlbench.model.ExportOptions` that the options mean."""
        values = vars(self)
        chosen = {n: v.value for n, v in values.items() if isinstance(v, StrEnum)}
        numbers: dict[str, Any] = {n: _numbers(n, values[n]) for n in ("scale", "mean", "std")}
        if self.scale is not None:
            if len(numbers["scale"]) > 1:
                msg = f"scale must be one number, got {self.scale}. std takes one for each channel."
                raise ConfigError(msg)
            (numbers["scale"],) = numbers["scale"]
        return values | chosen | numbers


@dataclass(frozen=True, kw_only=True)
class GraphOptions(PixelOptions):
    """What is exported, and with which preprocessing."""

    input_tensor: Annotated[
        str | None,
        typer.Option(
            "--input", help="For frozen:FILE.pb: the tensor that takes the image.", metavar="NAME"
        ),
    ] = None
    output_tensor: Annotated[
        str | None,
        typer.Option(
            "--output", help="For frozen:FILE.pb: the tensor of the features.", metavar="NAME"
        ),
    ] = None
    weights: o.WeightsOption = "imagenet"
    factory_args: o.FactoryArgs = None
    input_size: o.InputSize = None
    layout: Annotated[
        Layout | None,
        typer.Option(help="Order of the axes of its input; default: as its shape tells."),
    ] = None
    layer: o.LayerName = None
    pooling: Annotated[
        Pooling, typer.Option(help="How a spatial layer is pooled; none flattens it instead.")
    ] = Pooling.AVG
    top: Annotated[
        bool, typer.Option("--top", help="Add the logits of the original classifier as an output.")
    ] = False
    top_output: Annotated[
        str | None,
        typer.Option(help="For onnx:FILE.onnx: the tensor that holds the logits.", metavar="NAME"),
    ] = None
    opset: Annotated[int | None, typer.Option(help="ONNX opset; default: 18.")] = None
    seed: Annotated[
        int, typer.Option(help="Seed of random weights, and of the choice of calibration images.")
    ] = 0

    def settings(self) -> dict[str, Any]:
        """Return the fields of `tlbench.model.ExportOptions` that the options mean."""
        return super().settings() | {"factory_args": o.factory_arguments(self.factory_args)}


def _numbers(name: str, text: str | None) -> tuple[float, ...] | None:
    """Return the numbers of a text such as ``1/255`` or ``0.5,0.5,0.5``."""
    if text is None:
        return None
    try:
        return tuple(float(Fraction(part.strip())) for part in text.split(","))
    except (ValueError, ZeroDivisionError, OverflowError) as error:
        example = "0.485,0.456,0.406" if name != "scale" else "1/255"
        msg = f"{name} must be made of numbers, such as {example}; got {text!r}."
        raise ConfigError(msg) from error


def export(
    backbone: Annotated[
        str,
        typer.Argument(
            help="Name of a backbone (see tlbench list backbones), torch:MODULE:FACTORY or "
            "timm:NAME for a PyTorch network, onnx:FILE.onnx for any ONNX file, or frozen:FILE.pb "
            "for a TensorFlow graph. With --precision, also an fp32 file that tlbench has written."
        ),
    ],
    *,
    file: Annotated[
        Path | None, typer.Option("--file", "-o", help="The file to write; default: BACKBONE.onnx.")
    ] = None,
    graph: GraphOptions,
    precision: Annotated[
        str, typer.Option(help="fp32, or fp16 or int8 to convert the file.")
    ] = "fp32",
    calibrate: Annotated[
        str | None,
        typer.Option(
            help="Dataset whose train images calibrate and check the conversion; default: digits. "
            "Choose images like yours.",
            metavar="DATASET",
        ),
    ] = None,
    columns: o.ColumnOptions,
    calibrate_images: Annotated[
        int | None, typer.Option(help="Number of calibration images; default: 128.", metavar="N")
    ] = None,
    min_cosine: Annotated[
        float | None,
        typer.Option(
            help="Smallest cosine allowed between an image's converted and fp32 features; default: "
            "0.85 for int8, 0.999 for fp16.",
            metavar="X",
        ),
    ] = None,
    data_dir: o.DataDir = None,
    cache_dir: o.CacheDir = None,
    quiet: o.Quiet = False,
) -> None:
    """Write a backbone as one self-contained ONNX file.

    The file takes raw uint8 images (N, H, W, 3) of any size; it includes the preprocessing. Before
    it is written, its features are verified against those of the source framework. A conversion
    starts from the verified file, and is compared with it on train images.
    """
    from tlbench import api
    from tlbench.cli.terminal import listening
    from tlbench.reports import describe_model

    with listening(quiet=quiet) as listener:
        written = api.export(
            backbone,
            file,
            **graph.settings(),
            precision=precision,
            calibrate=calibrate,
            **vars(columns),
            n_calibration=calibrate_images,
            min_cosine=min_cosine,
            data_dir=data_dir,
            cache_dir=cache_dir,
            progress=listener,
        )
    typer.echo(describe_model(written.model))


def extract(
    model: o.Model,
    *,
    dataset: o.DatasetName = "digits",
    columns: o.ColumnOptions,
    split: Annotated[SplitName, typer.Option(help="Which split of the dataset.")] = SplitName.TRAIN,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The .npz file; default: MODEL-DATASET-SPLIT.npz."),
    ] = None,
    backbone: o.BackboneOptions,
    engine: o.EngineOptions,
    sample: o.SampleOptions,
    strict: o.StrictImages = False,
    folders: o.FolderOptions,
    quiet: o.Quiet = False,
) -> None:
    """Write a backbone's features to a .npz file.

    The file contains the arrays features, labels and index: row i of features belongs to image
    index[i] of the split, whose class is labels[i].
    """
    from tlbench.cli.terminal import listening
    from tlbench.core.errors import printable
    from tlbench.features import check_npz_path
    from tlbench.workflows import extract_dataset_split

    at = "" if engine.precision == "fp32" else f"-{engine.precision}"
    stem = f"{Path(model).stem}{at}-{dataset.replace(':', '-').replace('/', '-')}-{split.value}"
    destination = check_npz_path(output or Path(f"{stem}.npz"))
    groups = [columns, backbone, engine, sample, folders]
    config = make_config(groups, model=model, dataset=dataset, strict=strict)
    with listening(quiet=quiet) as listener:
        found = extract_dataset_split(config, split.value, listener)
        found.save(destination)
        n_images, n_features = found.features.shape
        written = printable(f"{destination}: {n_images:,} images, {n_features:,} features")
        typer.echo(written, err=True)
        for skipped in found.skipped:
            listener.warn(f"skipped: {skipped.reason}")
