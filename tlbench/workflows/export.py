"""Export a backbone; at a lower precision, convert it and measure the drift of its features."""

import tempfile
from dataclasses import replace
from pathlib import Path

from tlbench.core.errors import ConfigError
from tlbench.core.files import check_file
from tlbench.core.progress import Listener
from tlbench.datasets import Columns, Dataset, DatasetRequest, load_dataset
from tlbench.model import (
    FULL_PRECISION,
    Backbone,
    ExportOptions,
    OnnxModel,
    check_convertible,
    check_precision,
    convert_model,
    export_backbone,
    find_backbone,
    is_file_name,
    resolve_model,
)
from tlbench.workflows.config import DEFAULT_DATASET, default_cache_dir, default_data_dir
from tlbench.workflows.steps.context import CALIBRATION_IMAGES, conversion_request


def export_at_precision(
    backbone: str | Backbone,
    options: ExportOptions,
    destination: Path,
    listener: Listener,
    *,
    precision: str = FULL_PRECISION,
    calibrate: str | Dataset | None = None,
    columns: Columns | None = None,
    n_calibration: int | None = None,
    min_cosine: float | None = None,
    data_dir: Path | None = None,
    cache_dir: Path | None = None,
) -> OnnxModel:
    """Export a backbone as fp32 and verify it; at another precision convert it and compare both.

    Parameters
    ----------
    backbone : str or Backbone
        Its name, or the object; to convert a file that tlbench has written, its path.
    calibrate : str, Dataset or None
        The dataset whose training images the conversion sees; None for ``digits``.
    columns : Columns or None
        The columns to read of that dataset, if it is a table.
    n_calibration : int or None
        Number of images to calibrate on, if the precision needs any.
    min_cosine : float or None
        Smallest cosine between the features before and after that is accepted.
    data_dir, cache_dir : Path or None
        Where that dataset is looked for, and the cache for downloads; None for the user's.

    Raises
    ------
    ConfigError
        If the precision is fp32 and an option of a conversion or a file is given, or if a file
        cannot be converted.
    TlbenchError
        If the export fails. Nothing is left at *destination* then.
    """
    check_precision(precision)
    check_file(destination)
    source = _file_to_convert(backbone, options, precision, listener)
    downloads = (cache_dir or default_cache_dir()) / "downloads"
    options = replace(options, download_dir=options.download_dir or downloads)
    if precision == FULL_PRECISION:
        chosen = (calibrate, n_calibration, min_cosine, *(columns.given if columns else ()))
        if any(value is not None for value in chosen):
            msg = (
                "calibrate=..., n_calibration and min_cosine belong to a precision conversion, and "
                "fp32 needs none. Pass precision='int8' or precision='fp16', or leave them out."
            )
            raise ConfigError(msg)
        return export_backbone(backbone, options, destination, listener)
    if source is None:
        backbone = find_backbone(backbone)  # a typing error must not cost a download
    if isinstance(calibrate, Dataset):
        dataset = calibrate
    else:
        request = DatasetRequest(
            name=calibrate or DEFAULT_DATASET,
            data_dir=data_dir or default_data_dir(),
            download_dir=(cache_dir or default_cache_dir()) / "datasets",
            seed=options.seed,
            columns=columns or Columns(),
            listener=listener,
        )
        dataset = load_dataset(request)
    conversion = conversion_request(
        precision,
        dataset,
        seed=options.seed,
        n_calibration=CALIBRATION_IMAGES if n_calibration is None else n_calibration,
        min_cosine=min_cosine,
    )
    if source is not None:
        return convert_model(source, conversion, destination, listener)
    with tempfile.TemporaryDirectory(prefix="tlbench-") as folder:
        source = export_backbone(backbone, options, Path(folder) / "source.onnx", listener)
        return convert_model(source, conversion, destination, listener)


def _file_to_convert(
    backbone: str | Backbone, options: ExportOptions, precision: str, listener: Listener
) -> OnnxModel | None:
    """Return the model if *backbone* is the path of one, and raise if it cannot be converted."""
    if not isinstance(backbone, str) or not is_file_name(backbone):
        return None
    if precision == FULL_PRECISION:
        msg = (
            f"{backbone} is a file, and an export starts from a backbone. Pass precision='int8' or "
            "precision='fp16' to convert a file that tlbench has written, or export the backbone "
            f"onnx:{backbone} to make one of somebody else's file."
        )
        raise ConfigError(msg)
    # The seed chooses the calibration images as well.
    source = resolve_model(
        backbone,
        cache_dir=default_cache_dir(),
        listener=listener,
        options=replace(options, seed=ExportOptions().seed),
    )
    check_convertible(source, precision)
    return source
