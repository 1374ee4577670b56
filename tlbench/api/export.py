"""Export a backbone from Python."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from tlbench.api.backbone import LoadedBackbone, channel_values, export_options
from tlbench.api.progress import Progress, listener_of
from tlbench.api.settings import columns_of
from tlbench.datasets import Dataset
from tlbench.model import Backbone, Fit


def export(
    backbone: str | Backbone,
    file: str | Path | None = None,
    *,
    weights: str | Path = "imagenet",
    factory_args: Mapping[str, Any] | None = None,
    input_size: int | None = None,
    fit: Fit | None = None,
    crop_fraction: float = 1.0,
    resize: Literal["bilinear", "bicubic", "nearest"] | None = None,
    antialias: bool = False,
    layer: str | None = None,
    pooling: Literal["avg", "max", "none"] = "avg",
    top: bool = False,
    opset: int | None = None,
    seed: int = 0,
    scale: float | None = None,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    channels: Literal["rgb", "bgr"] | None = None,
    layout: Literal["nchw", "nhwc"] | None = None,
    preprocess: str | Path | None = None,
    top_output: str | None = None,
    input_tensor: str | None = None,
    output_tensor: str | None = None,
    precision: str = "fp32",
    calibrate: str | Dataset | None = None,
    path_column: str | None = None,
    label_column: str | None = None,
    split_column: str | None = None,
    n_calibration: int | None = None,
    min_cosine: float | None = None,
    data_dir: str | Path | None = None,
    cache_dir: str | Path | None = None,
    progress: Progress = False,
) -> LoadedBackbone:
    """Write a backbone as one self-contained ONNX file that takes raw images.

    Before the file is written, its features are verified against those of the source framework; a
    conversion to another precision is compared with the fp32 file.

    Parameters
    ----------
    backbone : str or Backbone
        Name of a backbone, ``torch:MODULE:FACTORY``, ``timm:NAME``, ``onnx:FILE.onnx``,
        ``frozen:FILE.pb``, or an object with the methods of `tlbench.model.Backbone`. With a
        *precision*, also the path of an fp32 file that tlbench has written.
    file : str, Path or None
        The file to write; None for ``<backbone>.onnx`` in the working directory.
    weights : str or Path
        ``"imagenet"``, ``"random"`` (for latency only), or a file in the source's format.
    factory_args : mapping or None
        For ``torch:`` and ``timm:``: the arguments of the function that makes the network.
    input_size : int or None
        Height and width of the network's input in pixels; None for the backbone's own.
    fit : {"crop", "squash", "pad"} or None
        How images that are not square become square: the centred square is cut out, the image is
        resized regardless of its proportions, or it is padded with black. None for the backbone's
        own choice: ``"squash"`` for a frozen graph, ``"crop"`` for all others.
    crop_fraction : float
        Side of the cropped square as a fraction of the image's shorter side.
    antialias : bool
        Whether the resize averages over the pixels that it merges, as Pillow does.
    resize, layer, opset
        How images are resized, the layer whose output becomes the features, and the ONNX opset;
        None for the backbone's own choice.
    pooling : {"avg", "max", "none"}
        How a spatial layer is pooled; ``"none"`` flattens it.
    top : bool
        Whether to add the logits of the original classifier as an output.
    seed : int
        Seed of random weights, and of the choice of calibration images.
    scale, mean, std : float, float or sequence of float, or None
        For a network whose framework does not state its preprocessing: pixels x from 0 to 255
        become ``(x * scale - mean) / std``, with one value for all channels, or three.
        The usual values of torchvision are ``1 / 255``, ``(0.485, 0.456, 0.406)`` and
        ``(0.229, 0.224, 0.225)``.
    channels, layout : {"rgb", "bgr"} or None, {"nchw", "nhwc"} or None
        For such a network: the order of its channels, which is RGB for None, and of its input's
        axes, which None reads from the input's shape.
    preprocess : str, Path or None
        For such a network: a ``preprocessor_config.json`` of Hugging Face or a ``config.json`` of
        timm. What is given here explicitly wins over the file.
    top_output : str or None
        Of an ONNX file: the tensor that holds the logits.
    input_tensor, output_tensor : str or None
        The ends of a frozen graph.
    precision : str
        ``"fp32"``, or ``"fp16"`` or ``"int8"`` to convert the file.
    calibrate : str, Dataset or None
        Dataset whose train images calibrate and check the conversion; None for ``digits``.
    path_column, label_column, split_column : str or None
        Columns of that dataset, if it is a table; as for `run`.
    n_calibration, min_cosine : int or None, float or None
        Number of calibration images, and the smallest cosine allowed between an image's converted
        and fp32 features.
    data_dir, cache_dir : str, Path or None
        Where datasets are, and where downloads are kept; None for ``TLBENCH_DATA`` and
        ``TLBENCH_CACHE`` or the user's cache.
    progress : bool or Listener
        True shows progress bars.

    Returns
    -------
    LoadedBackbone
        The written file, ready to compute features.

    Raises
    ------
    TlbenchError
        If the export or its verification fails. Nothing is written then.

    Examples
    --------
    >>> tlbench.export("efficientnet-lite0", "lite0.onnx").card.input_size
    (224, 224)
    """
    from tlbench.model import file_stem
    from tlbench.workflows import export_at_precision

    suffix = "" if precision == "fp32" else f"-{precision}"
    name = backbone if isinstance(backbone, str) else backbone.name
    destination = Path(file or f"{file_stem(name)}{suffix}.onnx").expanduser()
    options = export_options(
        weights=weights,
        factory_args=factory_args,
        input_size=input_size,
        layer=layer,
        pooling=pooling,
        top=top,
        opset=opset,
        seed=seed,
        resize=resize,
        antialias=antialias,
        fit=fit,
        crop_fraction=crop_fraction,
        scale=scale,
        mean=channel_values(mean),
        std=channel_values(std),
        channels=channels,
        layout=layout,
        preprocess=preprocess,
        top_output=top_output,
        input_tensor=input_tensor,
        output_tensor=output_tensor,
    )
    written = export_at_precision(
        backbone,
        options,
        destination,
        listener_of(progress),
        precision=precision,
        calibrate=calibrate,
        columns=columns_of(path_column, label_column, split_column),
        n_calibration=n_calibration,
        min_cosine=min_cosine,
        data_dir=None if data_dir is None else Path(data_dir).expanduser(),
        cache_dir=None if cache_dir is None else Path(cache_dir).expanduser(),
    )
    return LoadedBackbone(written.path)
