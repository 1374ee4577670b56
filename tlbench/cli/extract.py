"""`tlbench extract`."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tlbench.cli import options as o
from tlbench.cli.measure import make_config


class SplitName(StrEnum):
    """A split of a dataset."""

    TRAIN = "train"
    TEST = "test"


def extract(
    model: o.Model,
    *,
    dataset: o.DatasetName = "digits",
    split: Annotated[SplitName, typer.Option(help="Which images.")] = SplitName.TRAIN,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The .npz file; default: MODEL-DATASET-SPLIT.npz."),
    ] = None,
    engine: o.EngineOptions,
    sample: o.SampleOptions,
    strict: o.Strict = False,
    folders: o.FolderOptions,
    quiet: o.Quiet = False,
) -> None:
    """Write a backbone's features to a .npz file.

    It holds the arrays features, labels and index: row i of features belongs to image index[i] of
    the split, whose class is labels[i].
    """
    from tlbench.cli.progress import listening
    from tlbench.features import check_npz_path, save_npz
    from tlbench.workflows import extract_dataset_split

    at = "" if engine.precision == "fp32" else f"-{engine.precision}"
    stem = f"{Path(model).stem}{at}-{dataset.replace(':', '-').replace('/', '-')}-{split.value}"
    destination = check_npz_path(output or Path(f"{stem}.npz"))
    config = make_config([engine, sample, folders], model=model, dataset=dataset, strict=strict)
    with listening(quiet=quiet) as listener:
        found = extract_dataset_split(config, split.value, listener)
    save_npz(
        destination,
        {"features": found.features, "labels": found.labels, "index": found.index},
    )
    n_images, n_features = found.features.shape
    typer.echo(f"{destination}: {n_images:,} images, {n_features:,} features", err=True)
    for skipped in found.skipped:
        typer.echo(f"tlbench: warning: left out: {skipped.reason}", err=True)
