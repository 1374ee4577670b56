"""Choose the training images that a conversion to a lower precision sees, and export with them."""

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from tlbench.core.arrays import ImageArray
from tlbench.core.errors import ConfigError, DataError, UnreadableImageError
from tlbench.core.progress import Listener
from tlbench.datasets import Dataset, DatasetRequest, load_dataset
from tlbench.machine import int8_saturates
from tlbench.model import (
    FULL_PRECISION,
    PRECISIONS,
    ConversionOptions,
    ConversionRequest,
    ExportOptions,
    ImageSample,
    OnnxModel,
    check_precision,
    convert_model,
    export_backbone,
    load_backbone,
)
from tlbench.workflows.config import DEFAULT_DATASET, default_cache_dir, default_data_dir

# From 32 to 256 images, Lite0's int8 accuracy on CIFAR-10 did not change beyond its noise: see
# docs/results/int8-lite0.md. 128 take seconds.
CALIBRATION_IMAGES = 128
HELD_OUT_IMAGES = 64


def conversion_request(
    precision: str,
    dataset: Dataset,
    *,
    seed: int,
    n_calibration: int = CALIBRATION_IMAGES,
    min_cosine: float | None = None,
) -> ConversionRequest:
    """Choose images of the train split by seed: to calibrate on, then others for the drift.

    Parameters
    ----------
    n_calibration : int
        Images to calibrate on, if the precision needs any. A dataset with too few train images for
        these and ``HELD_OUT_IMAGES`` gives two thirds of what it has.

    Raises
    ------
    DataError
        If fewer than three train images can be read.
    """
    if n_calibration < 1:
        msg = f"--calibrate-images must be at least 1, not {n_calibration}."
        raise ConfigError(msg)
    if not PRECISIONS.load(precision).needs_calibration:
        n_calibration = 0
    images = _readable(dataset, seed, n_calibration + HELD_OUT_IMAGES)
    if len(images) < 3:  # noqa: PLR2004 - two to calibrate on, one for the drift
        msg = (
            f"{dataset.name} has {len(images)} readable train images; {precision} needs three to "
            "calibrate on and to measure the drift on. Name a larger dataset."
        )
        raise DataError(msg)
    n_calibration = min(n_calibration, 2 * len(images) // 3)
    held_out = images[n_calibration:]
    return ConversionRequest(
        precision=precision,
        options=ConversionOptions(
            sample=ImageSample(
                dataset=dataset.name,
                fingerprint=dataset.train.fingerprint,
                seed=seed,
                n_calibration=n_calibration,
                n_held_out=len(held_out),
            ),
            calibration=images[:n_calibration],
            held_out=held_out,
            reduce_range=int8_saturates(),
            min_cosine=min_cosine,
        ),
    )


def _readable(dataset: Dataset, seed: int, wanted: int) -> list[ImageArray]:
    """Return the first readable train images of a permutation by seed."""
    found: list[ImageArray] = []
    for row in np.random.default_rng(seed).permutation(len(dataset.train)):
        if len(found) == wanted:
            break
        try:
            found.append(dataset.train.images[int(row)])
        except UnreadableImageError:  # counted and named where features are extracted
            continue
    return found


def export_at_precision(
    name: str,
    options: ExportOptions,
    destination: Path,
    listener: Listener,
    *,
    precision: str = FULL_PRECISION,
    calibrate: str | None = None,
    n_calibration: int | None = None,
    min_cosine: float | None = None,
    data_dir: Path | None = None,
    cache_dir: Path | None = None,
) -> OnnxModel:
    """Export a backbone as fp32, verify it, and at another precision convert and compare it.

    Parameters
    ----------
    calibrate : str or None
        Name of the dataset whose train images the conversion sees; None for ``digits``.
    data_dir, cache_dir : Path or None
        Where that dataset is looked for, and the cache that downloads go to; None for the user's.

    Raises
    ------
    ConfigError
        If anything is said about a conversion, and the precision is fp32.
    TlbenchError
        Nothing is left at *destination* then.
    """
    check_precision(precision)
    downloads = (cache_dir or default_cache_dir()) / "downloads"
    options = replace(options, download_dir=options.download_dir or downloads)
    if precision == FULL_PRECISION:
        if any(value is not None for value in (calibrate, n_calibration, min_cosine)):
            msg = (
                "--calibrate, --calibrate-images and --min-cosine are about a conversion, and fp32 "
                "is none. Add --precision int8 or fp16, or leave them out."
            )
            raise ConfigError(msg)
        return export_backbone(name, options, destination, listener)
    load_backbone(name)  # a typing error must not cost a download
    request = DatasetRequest(
        name=calibrate or DEFAULT_DATASET,
        data_dir=data_dir or default_data_dir(),
        download_dir=(cache_dir or default_cache_dir()) / "datasets",
        seed=options.seed,
        listener=listener,
    )
    conversion = conversion_request(
        precision,
        load_dataset(request),
        seed=options.seed,
        n_calibration=CALIBRATION_IMAGES if n_calibration is None else n_calibration,
        min_cosine=min_cosine,
    )
    with tempfile.TemporaryDirectory(prefix="tlbench-") as folder:
        source = export_backbone(name, options, Path(folder) / "source.onnx", listener)
        return convert_model(source, conversion, destination, listener)
