"""`tlbench export`."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tlbench.cli import options as o

__all__ = ["Pooling", "export"]


class Pooling(StrEnum):
    """How a spatial layer is pooled."""

    AVG = "avg"
    MAX = "max"
    NONE = "none"


def export(
    backbone: Annotated[str, typer.Argument(help="A backbone's name; see tlbench list backbones.")],
    *,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The file to write; default: BACKBONE.onnx."),
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
    seed: Annotated[int, typer.Option(help="For --weights random.")] = 0,
    quiet: o.Quiet = False,
) -> None:
    """Write a backbone as one self-contained ONNX file.

    The file takes raw uint8 images (N, H, W, 3) of any size: the preprocessing is inside. It is
    verified against the source framework on the same images before it is written.
    """
    from tlbench.backbones import export_backbone
    from tlbench.cli.progress import make_listener
    from tlbench.model import ExportOptions
    from tlbench.reports.model import describe_model

    listener = make_listener(quiet=quiet)
    try:
        model = export_backbone(
            backbone,
            ExportOptions(
                weights=weights,
                input_size=input_size,
                layer=layer,
                pooling=pooling.value,
                top=top,
                opset=opset,
                seed=seed,
            ),
            output or Path(f"{backbone}.onnx"),
            listener,
        )
    finally:
        listener.finish()
    typer.echo(describe_model(model))
