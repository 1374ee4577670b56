"""`tlbench extract`."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tlbench.cli import options as o
from tlbench.cli.measure import make_config

__all__ = ["SplitName", "extract"]


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
    provider: o.Provider = "cpu",
    provider_option: o.ProviderOptions = None,
    batch_size: o.BatchSize = 32,
    threads: o.Threads = None,
    precision: o.PrecisionName = "fp32",
    limit_train: o.LimitTrain = None,
    limit_test: o.LimitTest = None,
    seed: o.Seed = 0,
    strict: o.Strict = False,
    data_dir: o.DataDir = None,
    cache_dir: o.CacheDir = None,
    no_cache: o.NoCache = False,
    quiet: o.Quiet = False,
) -> None:
    """Write a backbone's features to a .npz file.

    It holds the arrays features, labels and index: row i of features belongs to image index[i] of
    the split, whose class is labels[i].
    """
    from tlbench.cli.progress import make_listener
    from tlbench.features.files import check_npz_path, save_npz
    from tlbench.pipeline import extract_dataset_split

    at = "" if precision == "fp32" else f"-{precision}"
    stem = f"{Path(model).stem}{at}-{dataset.replace(':', '-').replace('/', '-')}-{split.value}"
    destination = check_npz_path(output or Path(f"{stem}.npz"))
    config = make_config(
        model=model,
        dataset=dataset,
        provider=provider,
        provider_options=provider_option,
        batch_size=batch_size,
        threads=threads,
        precision=precision,
        limit_train=limit_train,
        limit_test=limit_test,
        seed=seed,
        strict=strict,
        data_dir=data_dir,
        cache_dir=cache_dir,
        no_cache=no_cache,
    )
    listener = make_listener(quiet=quiet)
    try:
        found = extract_dataset_split(config, split.value, listener)
    finally:
        listener.finish()
    save_npz(
        destination,
        {"features": found.features, "labels": found.labels, "index": found.index},
    )
    n_images, n_features = found.features.shape
    typer.echo(f"{destination}: {n_images:,} images, {n_features:,} features", err=True)
    for skipped in found.skipped:
        typer.echo(f"tlbench: warning: left out: {skipped.reason}", err=True)
