"""Measure accuracy and latency from Python: one call, one run."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

from tlbench.api.backbone import Model, Options, export_options, named_model, plain_options
from tlbench.api.progress import Progress, listener_of
from tlbench.api.results import Run
from tlbench.api.settings import (
    BaselineLike,
    DatasetLike,
    Folder,
    HeadLike,
    accuracy_settings,
    columns_of,
    folder_settings,
    named_dataset,
    names_of,
)
from tlbench.core.errors import ConfigError
from tlbench.heads import ParamValue
from tlbench.model import Fit
from tlbench.workflows import (
    DEFAULT_HEADS,
    GivenObjects,
    ProtocolConfig,
    RunConfig,
    SplitFeatures,
    TimingConfig,
)

Boundary: TypeAlias = Literal["numpy->numpy", "device->device"]


def run(
    model: Model = "efficientnet-lite0",
    *,
    fit: Fit | None = None,
    crop_fraction: float = 1.0,
    input_size: int | None = None,
    weights: str | Path = "imagenet",
    factory_args: Mapping[str, Any] | None = None,
    preprocess: Folder = None,
    dataset: DatasetLike = "digits",
    path_column: str | None = None,
    label_column: str | None = None,
    split_column: str | None = None,
    heads: HeadLike | Sequence[HeadLike] = DEFAULT_HEADS,
    head_params: Mapping[str, ParamValue] | None = None,
    baselines: BaselineLike | Sequence[BaselineLike] = ("pixels",),
    provider: str = "cpu",
    provider_options: Options | None = None,
    batch_size: int = 32,
    threads: int | None = None,
    precision: str = "fp32",
    limit_train: int | None = None,
    limit_test: int | None = None,
    seed: int = 0,
    search: bool = False,
    folds: int | None = None,
    curve: Sequence[int] = (),
    curve_seeds: int = 5,
    breakdown: bool = False,
    strict: bool = False,
    data_dir: Folder = None,
    cache_dir: Folder = None,
    cache: bool = True,
    progress: Progress = False,
) -> Run:
    """Measure how accurate heads on a frozen backbone are, and how fast the backbone is.

    Parameters
    ----------
    model : str, Path, LoadedBackbone or Backbone
        Name of a backbone, which is exported on first use, path of an ``.onnx`` file, or an object.
    fit, crop_fraction, input_size : str or None, float, int or None
        How a backbone given by its name is exported: how images become square (``"crop"``,
        ``"squash"`` or ``"pad"``), the side of the crop as a fraction of the shorter side, and the
        network's input in pixels. A file, which is exported already, refuses them.
    weights, factory_args, preprocess : str or Path, mapping or None, str, Path or None
        As for `export`, and for a backbone given by its name only: its weights, the arguments of
        the function that makes a PyTorch network, and a file that states its preprocessing.
    dataset : str, Path or Dataset
        ``"digits"``, ``"cifar10"``, ``"folder:PATH"``, ..., a folder with one subfolder per class,
        a ``.csv`` or ``.parquet`` file, or a `Dataset`.
    path_column, label_column, split_column : str or None
        Columns of ``"csv:FILE"`` and ``"parquet:PATH"``: the image or its path, the class, and
        ``train`` or ``test``; None for one with a usual name.
    heads : str, Head, scikit-learn classifier, or a sequence of these
        Classifiers that are fitted on the features; the first is the answer of the report. A
        classifier becomes a head with the name of its class; ``("name", classifier)`` gives another
        name.
    head_params : mapping or None
        Parameters of all heads (``{"C": 0.01}``) or of one (``{"softmax.C": 0.01}``).
    baselines : str, FeatureBaseline, or a sequence of these
        Features without a network on which each head is fitted as well; ``()`` for none.
    provider, provider_options : str, mapping or None
        ONNX Runtime's execution provider, such as ``"cpu"`` or ``"cuda"``, and its options. If it
        cannot run, the call fails; no other provider takes its place.
    batch_size, threads : int, int or None
        Images per call of the network, and threads inside an operator; None for all processors.
    precision : str
        ``"fp32"``, ``"fp16"`` or ``"int8"``. A backbone given by its name is converted.
    limit_train, limit_test : int or None
        Largest number of images of each split, with the classes in proportion.
    seed : int
        Seed of every random choice: limits, splits and heads.
    search : bool
        Whether a parameter of each head is chosen on held-out training images.
    folds : int or None
        Folds of a cross-validation over train and test images together; None for none.
    curve, curve_seeds : sequence of int, int
        Points of a learning curve, in training images per class, and random subsets for each.
    breakdown : bool
        Whether to time each step from image to label.
    strict : bool
        Whether an image that cannot be decoded is an error; otherwise it is left out and counted.
    data_dir, cache_dir : str, Path or None
        Where datasets are, and where exported backbones, features and downloads are kept. None for
        ``TLBENCH_DATA`` and ``TLBENCH_CACHE`` or the user's cache.
    cache : bool
        False computes everything again, and stores none of it.
    progress : bool or Listener
        True shows progress bars. Warnings are Python's own.

    Returns
    -------
    Run
        Not saved yet: `Run.save` does that.

    Raises
    ------
    TlbenchError
        If anything is unknown, unavailable, missing or damaged. Names are resolved before any work
        begins.

    Examples
    --------
    >>> run = tlbench.run("efficientnet-lite0", dataset="digits", heads=["softmax"])
    >>> low, high = run.accuracy["softmax"].interval
    >>> low < run.accuracy["softmax"].accuracy_fraction < high
    True
    >>> run.latency["single"].median_s < run.latency["offline"].median_s
    True
    """
    return _measured(
        model,
        progress,
        export=export_options(
            fit=fit,
            crop_fraction=crop_fraction,
            input_size=input_size,
            weights=weights,
            factory_args=factory_args,
            preprocess=preprocess,
        ),
        **accuracy_settings(dataset, heads, head_params, baselines),
        columns=columns_of(path_column, label_column, split_column),
        protocol=ProtocolConfig(
            search=search, folds=folds, curve=tuple(curve), curve_seeds=curve_seeds
        ),
        provider=provider,
        provider_options=plain_options(provider_options),
        batch_size=batch_size,
        threads=threads,
        precision=precision,
        limit_train=limit_train,
        limit_test=limit_test,
        seed=seed,
        breakdown=breakdown,
        strict=strict,
        cache=cache,
        **folder_settings(data_dir, cache_dir),
    )


def evaluate(
    model: Model = "efficientnet-lite0",
    *,
    fit: Fit | None = None,
    crop_fraction: float = 1.0,
    input_size: int | None = None,
    weights: str | Path = "imagenet",
    factory_args: Mapping[str, Any] | None = None,
    preprocess: Folder = None,
    dataset: DatasetLike = "digits",
    path_column: str | None = None,
    label_column: str | None = None,
    split_column: str | None = None,
    heads: HeadLike | Sequence[HeadLike] = DEFAULT_HEADS,
    head_params: Mapping[str, ParamValue] | None = None,
    baselines: BaselineLike | Sequence[BaselineLike] = ("pixels",),
    provider: str = "cpu",
    provider_options: Options | None = None,
    batch_size: int = 32,
    threads: int | None = None,
    precision: str = "fp32",
    limit_train: int | None = None,
    limit_test: int | None = None,
    seed: int = 0,
    search: bool = False,
    folds: int | None = None,
    curve: Sequence[int] = (),
    curve_seeds: int = 5,
    strict: bool = False,
    data_dir: Folder = None,
    cache_dir: Folder = None,
    cache: bool = True,
    progress: Progress = False,
) -> Run:
    """Measure how accurate heads on a frozen backbone are; no latency is measured.

    Parameters, result and errors are those of `run`.

    Examples
    --------
    >>> from sklearn.svm import SVC
    >>> run = tlbench.evaluate(heads=["softmax", SVC(C=10)], baselines=())
    >>> list(run.accuracy)
    ['backbone.softmax', 'backbone.SVC']
    """
    return _measured(
        model,
        progress,
        export=export_options(
            fit=fit,
            crop_fraction=crop_fraction,
            input_size=input_size,
            weights=weights,
            factory_args=factory_args,
            preprocess=preprocess,
        ),
        latency=False,
        **accuracy_settings(dataset, heads, head_params, baselines),
        columns=columns_of(path_column, label_column, split_column),
        protocol=ProtocolConfig(
            search=search, folds=folds, curve=tuple(curve), curve_seeds=curve_seeds
        ),
        provider=provider,
        provider_options=plain_options(provider_options),
        batch_size=batch_size,
        threads=threads,
        precision=precision,
        limit_train=limit_train,
        limit_test=limit_test,
        seed=seed,
        strict=strict,
        cache=cache,
        **folder_settings(data_dir, cache_dir),
    )


def measure_latency(
    model: Model = "efficientnet-lite0",
    *,
    fit: Fit | None = None,
    crop_fraction: float = 1.0,
    input_size: int | None = None,
    weights: str | Path = "imagenet",
    factory_args: Mapping[str, Any] | None = None,
    preprocess: Folder = None,
    candidates: Sequence[str | Path] = (),
    scenarios: str | Sequence[str] = ("single", "offline"),
    batch_sizes: Sequence[int] = (),
    boundaries: Boundary | Sequence[Boundary] = ("numpy->numpy",),
    provider: str = "cpu",
    provider_options: Options | None = None,
    batch_size: int = 32,
    threads: int | None = None,
    precision: str = "fp32",
    min_samples: int = 130,
    min_duration_s: float = 3.0,
    max_duration_s: float = 60.0,
    rounds: int = 20,
    qps: float | None = None,
    latency_bound_s: float = 0.1,
    find_highest_rate: bool = False,
    pause_s: float = 0.1,
    processes: int = 11,
    spin: bool = True,
    costs: bool = True,
    cache_dir: Folder = None,
    cache: bool = True,
    progress: Progress = False,
) -> Run:
    """Measure how fast a model is; every timing is checked and has a verdict.

    Parameters
    ----------
    model : str, Path, LoadedBackbone or Backbone
        As for `run`; the file may be any ONNX network with one input.
    fit, crop_fraction, input_size, weights, factory_args, preprocess
        As for `run`, and for each of *candidates*.
    candidates : sequence of str or Path
        Further models, interleaved with the first and compared with it:
        ``"MODEL@threads=1,provider=cuda"`` changes the settings of one.
    scenarios : str or sequence of str
        ``"single"`` (one image after another), ``"offline"`` (batches), ``"server"`` (random
        arrivals), ``"cold"`` (fresh processes) or ``"paced"`` (a pause before each call).
    batch_sizes : sequence of int
        Batch sizes of the scenario ``"offline"``; empty for *batch_size*.
    boundaries : str or sequence of str
        Whether a timed call starts and ends with arrays on the host, or with buffers that stay on
        the device.
    provider, provider_options, batch_size, threads, precision
        As for `run`.
    min_samples, min_duration_s, max_duration_s : int, float, float
        A timing lasts until both minima are reached, or until its maximum, in seconds.
    rounds : int
        Least number of rounds when several models are interleaved.
    qps, latency_bound_s, find_highest_rate : float or None, float, bool
        Scenario ``"server"``: mean number of arrivals per second, seconds within which a request
        must be answered, and whether to search for the highest rate at which 99 of 100 are.
    pause_s, processes : float, int
        Seconds before each call of ``"paced"``, and fresh processes of ``"cold"``.
    spin, costs : bool
        Whether ONNX Runtime's threads wait in a busy loop; whether to measure memory and processor
        time as well.
    cache_dir, cache, progress
        As for `run`.

    Returns
    -------
    Run
        Its ``latency`` holds a `tlbench.records.LatencyResult` for each timing, with all samples in
        seconds. An unreliable one has the verdict ``"INVALID"`` and its reasons.

    Raises
    ------
    TlbenchError
        As for `run`.

    Examples
    --------
    >>> run = tlbench.measure_latency(scenarios="offline", batch_sizes=[1, 8], max_duration_s=5)
    >>> run.latency["offline batch 8"].batch_size
    8
    """
    timing = TimingConfig(
        scenarios=names_of(scenarios),
        batch_sizes=tuple(batch_sizes),
        boundaries=names_of(boundaries),
        candidates=tuple(map(str, candidates)),
        min_samples=min_samples,
        min_duration_s=min_duration_s,
        max_duration_s=max_duration_s,
        rounds=rounds,
        qps=qps,
        latency_bound_s=latency_bound_s,
        find_highest_rate=find_highest_rate,
        pause_s=pause_s,
        processes=processes,
        spin=spin,
        costs=costs,
    )
    return _measured(
        model,
        progress,
        export=export_options(
            fit=fit,
            crop_fraction=crop_fraction,
            input_size=input_size,
            weights=weights,
            factory_args=factory_args,
            preprocess=preprocess,
        ),
        accuracy=False,
        timing=timing,
        provider=provider,
        provider_options=plain_options(provider_options),
        batch_size=batch_size,
        threads=threads,
        precision=precision,
        cache=cache,
        **folder_settings(None, cache_dir),
    )


def extract(
    model: Model = "efficientnet-lite0",
    dataset: DatasetLike = "digits",
    split: Literal["train", "test"] = "train",
    *,
    path_column: str | None = None,
    label_column: str | None = None,
    split_column: str | None = None,
    fit: Fit | None = None,
    crop_fraction: float = 1.0,
    input_size: int | None = None,
    weights: str | Path = "imagenet",
    factory_args: Mapping[str, Any] | None = None,
    preprocess: Folder = None,
    provider: str = "cpu",
    provider_options: Options | None = None,
    batch_size: int = 32,
    threads: int | None = None,
    precision: str = "fp32",
    limit: int | None = None,
    seed: int = 0,
    strict: bool = False,
    data_dir: Folder = None,
    cache_dir: Folder = None,
    cache: bool = True,
    progress: Progress = False,
) -> SplitFeatures:
    """Return the features of a dataset's split, from the store where they are there already.

    Parameters
    ----------
    model, dataset
        As for `run`.
    split : {"train", "test"}
        Which split.
    fit, crop_fraction, input_size, weights, factory_args, preprocess
        As for `run`.
    limit : int or None
        Largest number of images, with the classes in proportion.
    path_column, label_column, split_column
        As for `run`.
    provider, provider_options, batch_size, threads, precision, seed, strict
        As for `run`.
    data_dir, cache_dir, cache, progress
        As for `run`.

    Returns
    -------
    SplitFeatures
        ``features``, float32 (n, n_features), ``labels`` and ``index``, int64 (n,): row i belongs
        to image ``index[i]`` of the split, whose class is ``labels[i]``. Its ``save`` writes the
        three arrays to a ``.npz`` file.

    Raises
    ------
    TlbenchError
        As for `run`.

    Examples
    --------
    >>> found = tlbench.extract("efficientnet-lite0", "digits", "test")
    >>> found.features.shape
    (899, 1280)
    """
    from tlbench.workflows import extract_dataset_split

    if split not in {"train", "test"}:
        raise ConfigError(f"split must be 'train' or 'test', got {split!r}.")
    name, given = named_dataset(dataset)
    export = export_options(
        fit=fit,
        crop_fraction=crop_fraction,
        input_size=input_size,
        weights=weights,
        factory_args=factory_args,
        preprocess=preprocess,
    )
    with named_model(model, progress, export) as (model_name, models):
        config = RunConfig(
            model=model_name,
            export=export,
            dataset=name,
            columns=columns_of(path_column, label_column, split_column),
            provider=provider,
            provider_options=plain_options(provider_options),
            batch_size=batch_size,
            threads=threads,
            precision=precision,
            limit_train=limit if split == "train" else None,
            limit_test=limit if split == "test" else None,
            seed=seed,
            strict=strict,
            cache=cache,
            given=GivenObjects(datasets=given, models=models),
            **folder_settings(data_dir, cache_dir),
        )
        return extract_dataset_split(config, split, listener_of(progress))


def measure(config: RunConfig, *, progress: Progress = False, command: str = "") -> Run:
    """Measure what a configuration asks for; the functions above and the command line call this.

    Parameters
    ----------
    config : RunConfig
        All settings of the run.
    progress : bool or Listener
        True shows progress bars.
    command : str
        Command line that repeats the run, for the record.

    Returns
    -------
    Run
        After Ctrl-C during the latency measurement, what there was until then.
    """
    from tlbench.workflows import run_benchmark

    outcome = run_benchmark(config, listener_of(progress), command=command)
    return Run(outcome.result, outcome.predictions, images=outcome.images)


def _measured(model: Model, progress: Progress, **settings: Any) -> Run:
    given: GivenObjects = settings.pop("given", GivenObjects())
    with named_model(model, progress, settings["export"]) as (name, models):
        given = replace(given, models=models)
        return measure(RunConfig(model=name, given=given, **settings), progress=progress)
