"""`tlbench export`."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tlbench.cli import options as o


class Pooling(StrEnum):
    """How a spatial layer is pooled."""

    AVG = "avg"
    MAX = "max"
    NONE = "none"


class Resize(StrEnum):
    """How the graph resizes the images."""

    BILINEAR = "bilinear"
    BICUBIC = "bicubic"
    NEAREST = "nearest"


def export(
    backbone: Annotated[
        str,
        typer.Argument(
            help="A backbone's name (see tlbench list backbones), or frozen:FILE.pb for a frozen "
            "TensorFlow graph."
        ),
    ],
    *,
    file: Annotated[
        Path | None,
        typer.Option("--file", "-o", help="The file to write; default: BACKBONE.onnx."),
    ] = None,
    input_tensor: Annotated[
        str | None,
        typer.Option(
            "--input", help="Of frozen:FILE.pb: the tensor that takes the image.", metavar="NAME"
        ),
    ] = None,
    output_tensor: Annotated[
        str | None,
        typer.Option(
            "--output", help="Of frozen:FILE.pb: the tensor of the features.", metavar="NAME"
        ),
    ] = None,
    weights: Annotated[
        str,
        typer.Option(
            help="imagenet, random (for latency only), or the path of a weights file of the "
            "backbone's framework."
        ),
    ] = "imagenet",
    input_size: Annotated[
        int | None,
        typer.Option(help="Pixels that the graph resizes images to; default: the backbone's own."),
    ] = None,
    resize: Annotated[
        Resize | None,
        typer.Option(help="How it resizes them (nearest as Pillow does); default: bilinear."),
    ] = None,
    layer: Annotated[
        str | None, typer.Option(help="Layer whose output becomes the features.")
    ] = None,
    pooling: Annotated[
        Pooling, typer.Option(help="How a spatial layer is pooled; none keeps it, flattened.")
    ] = Pooling.AVG,
    top: Annotated[
        bool, typer.Option("--top", help="Add the original classifier's logits as an output.")
    ] = False,
    opset: Annotated[int | None, typer.Option(help="ONNX opset; default: 18.")] = None,
    seed: Annotated[
        int, typer.Option(help="For --weights random, and for the choice of calibration images.")
    ] = 0,
    precision: Annotated[
        str, typer.Option(help="fp32, or a conversion of it: fp16 or int8.")
    ] = "fp32",
    calibrate: Annotated[
        str | None,
        typer.Option(
            help="Dataset whose train images a conversion is calibrated and checked on; default: "
            "digits. Choose images like yours.",
            metavar="DATASET",
        ),
    ] = None,
    calibrate_images: Annotated[
        int | None, typer.Option(help="Images to calibrate on; default: 128.", metavar="N")
    ] = None,
    min_cosine: Annotated[
        float | None,
        typer.Option(
            help="Fail where an image's converted features have a smaller cosine with the fp32 "
            "ones; default: 0.85 for int8, 0.999 for fp16.",
            metavar="X",
        ),
    ] = None,
    data_dir: o.DataDir = None,
    cache_dir: o.CacheDir = None,
    quiet: o.Quiet = False,
) -> None:
    """Write a backbone as one self-contained ONNX file.

    The file takes raw uint8 images (N, H, W, 3) of any size: the preprocessing is inside. It is
    verified against the source framework on the same images before it is written. A conversion
    starts from that verified file, and is compared with it on train images.
    """
    from tlbench.cli.progress import listening
    from tlbench.model import ExportOptions, file_stem
    from tlbench.reports import describe_model
    from tlbench.workflows import export_at_precision

    suffix = "" if precision == "fp32" else f"-{precision}"
    with listening(quiet=quiet) as listener:
        model = export_at_precision(
            backbone,
            ExportOptions(
                weights=weights,
                input_size=input_size,
                layer=layer,
                pooling=pooling.value,
                top=top,
                opset=opset,
                seed=seed,
                resize=None if resize is None else resize.value,
                input_tensor=input_tensor,
                output_tensor=output_tensor,
            ),
            file or Path(f"{file_stem(backbone)}{suffix}.onnx"),
            listener,
            precision=precision,
            calibrate=calibrate,
            n_calibration=calibrate_images,
            min_cosine=min_cosine,
            data_dir=data_dir,
            cache_dir=cache_dir,
        )
    typer.echo(describe_model(model))
