"""`tlbench fuse` and `tlbench predict`: a classifier file, made of a run and put to use."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tlbench.cli import options as o

PredictionFormat = StrEnum("PredictionFormat", ["TABLE", "JSON", "CSV"])


def fuse(
    run: o.Run = "last",
    *,
    head: Annotated[str, typer.Option(help="The head of the run to include.")] = "softmax",
    destination: Annotated[
        Path, typer.Option("-o", help="The ONNX file to write.", metavar="FILE")
    ] = Path("classifier.onnx"),
    data_dir: Annotated[
        Path | None,
        typer.Option(
            envvar="TLBENCH_DATA", help="Folder of the data, if it has moved since the run."
        ),
    ] = None,
    cache_dir: Annotated[
        Path | None,
        typer.Option(envvar="TLBENCH_CACHE", help="Cache folder, if it is not the run's."),
    ] = None,
    output: o.Output = Path("runs"),
    quiet: o.Quiet = False,
) -> None:
    """Write backbone and fitted head as one ONNX classifier.

    The file takes raw uint8 images (N, H, W, 3) and returns probabilities and a label for each: an
    index into the class names in its metadata. It is written only if its predictions match
    scikit-learn's on every test image of the run.
    """
    from tlbench.cli.terminal import listening
    from tlbench.reports import describe_model
    from tlbench.workflows import fuse_run

    with listening(quiet=quiet) as listener:
        model = fuse_run(
            run,
            head=head,
            destination=destination,
            output=output,
            data_dir=data_dir,
            cache_dir=cache_dir,
            listener=listener,
        )
    typer.echo(describe_model(model))


def predict(
    classifier: Annotated[Path, typer.Argument(help="A classifier file written by tlbench fuse.")],
    images: Annotated[
        list[str],
        typer.Argument(
            metavar="IMAGE...",
            help="Image files or folders of images; - reads a path per line from standard input.",
        ),
    ],
    *,
    output_format: Annotated[
        PredictionFormat, typer.Option("--format", help=o.FORMAT_HELP)
    ] = PredictionFormat.TABLE,
    top_k: Annotated[
        int, typer.Option(help="Show the K most probable classes of each image.", metavar="K")
    ] = 1,
    session: o.SessionOptions,
    strict: o.StrictImages = False,
    quiet: o.Quiet = False,
) -> None:
    """Classify image files with a classifier file.

    Images are JPEG, PNG, WebP, BMP, GIF, TIFF or AVIF files of any size. Files that cannot be
    decoded, or that are left out of a folder, are counted on stderr; with --strict, they are an
    error.
    """
    import sys

    from tlbench.cli.measure import make_config
    from tlbench.cli.terminal import listening, stdout_layout
    from tlbench.reports import predictions as reports
    from tlbench.workflows import find_images, predict_images

    with listening(quiet=quiet) as listener:
        found = predict_images(
            classifier,
            find_images(images, sys.stdin),
            config=make_config([session], strict=strict),
            top_k=top_k,
            listener=listener,
        )
        if output_format is PredictionFormat.JSON:
            text = reports.predictions_document(found)
        elif output_format is PredictionFormat.CSV:
            text = reports.predictions_csv(found)
        else:
            text = reports.predictions_table(found, width=stdout_layout()[0])
        typer.echo(text, nl=False)
        for _, reason in found.unreadable:
            listener.warn(f"skipped: {reason}")
        for one in found.unused:
            listener.warn(f"not used: {one}")
