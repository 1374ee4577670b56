"""`tlbench evaluate`."""

from pathlib import Path

from tlbench.cli import options as o
from tlbench.cli import protocols as p
from tlbench.cli.measure import make_config, measure_and_show

__all__ = ["evaluate"]


def evaluate(
    model: o.Model,
    *,
    dataset: o.DatasetName = "digits",
    heads: o.HeadNames = "softmax,svm-linear",
    baselines: o.BaselineNames = "pixels",
    head_param: o.HeadParams = None,
    provider: o.Provider = "cpu",
    provider_option: o.ProviderOptions = None,
    batch_size: o.BatchSize = 32,
    threads: o.Threads = None,
    precision: o.PrecisionName = "fp32",
    limit_train: o.LimitTrain = None,
    limit_test: o.LimitTest = None,
    seed: o.Seed = 0,
    folds: p.Folds = None,
    search: p.Search = False,
    learning_curve: p.Curve = "",
    curve_seeds: p.CurveSeeds = 5,
    strict: o.Strict = False,
    data_dir: o.DataDir = None,
    cache_dir: o.CacheDir = None,
    no_cache: o.NoCache = False,
    output: o.Output = Path("runs"),
    output_format: o.Format = o.OutputFormat.CONSOLE,
    quiet: o.Quiet = False,
) -> None:
    """Measure accuracy only, and save the run.

    It is the accuracy of classifier heads on a frozen backbone's features.
    """
    config = make_config(
        model=model,
        dataset=dataset,
        heads=heads,
        baselines=baselines,
        head_params=head_param,
        provider=provider,
        provider_options=provider_option,
        batch_size=batch_size,
        threads=threads,
        precision=precision,
        limit_train=limit_train,
        limit_test=limit_test,
        seed=seed,
        folds=folds,
        search=search,
        learning_curve=learning_curve,
        curve_seeds=curve_seeds,
        latency=False,
        strict=strict,
        data_dir=data_dir,
        cache_dir=cache_dir,
        no_cache=no_cache,
    )
    measure_and_show(config, output=output, output_format=output_format, quiet=quiet)
