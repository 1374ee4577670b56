"""`tlbench drift`."""

from pathlib import Path
from typing import Annotated

import typer

from tlbench.cli import options as o
from tlbench.cli.measure import make_config, measure_and_show
from tlbench.errors import ConfigError

__all__ = ["drift"]


def drift(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="REFERENCE OTHER...",
            help="Backbones' names or paths of .onnx files, the reference first; "
            "MODEL@precision=int8,provider=cuda changes settings of one.",
        ),
    ],
    *,
    dataset: o.DatasetName = "digits",
    heads: o.HeadNames = "softmax,svm-linear",
    head_param: o.HeadParams = None,
    provider: o.Provider = "cpu",
    provider_option: o.ProviderOptions = None,
    batch_size: o.BatchSize = 32,
    threads: o.Threads = None,
    precision: o.PrecisionName = "fp32",
    limit_train: o.LimitTrain = None,
    limit_test: o.LimitTest = None,
    seed: o.Seed = 0,
    data_dir: o.DataDir = None,
    cache_dir: o.CacheDir = None,
    no_cache: o.NoCache = False,
    output: o.Output = Path("runs"),
    output_format: o.Format = o.OutputFormat.CONSOLE,
    quiet: o.Quiet = False,
) -> None:
    """Measure how far features drift, and what it costs in accuracy.

    Heads are fitted on the REFERENCE's features and tried on those of every OTHER: another
    provider, precision or export of the same network. The difference is tested on pairs.
    """
    if len(models) == 1:
        msg = f"A drift needs two models, the reference and another: only {models[0]!r} is given."
        raise ConfigError(msg)
    config = make_config(
        model=models[0],
        against=tuple(models[1:]),
        dataset=dataset,
        heads=heads,
        baselines="none",
        head_params=head_param,
        provider=provider,
        provider_options=provider_option,
        batch_size=batch_size,
        threads=threads,
        precision=precision,
        limit_train=limit_train,
        limit_test=limit_test,
        seed=seed,
        latency=False,
        data_dir=data_dir,
        cache_dir=cache_dir,
        no_cache=no_cache,
    )
    measure_and_show(config, output=output, output_format=output_format, quiet=quiet)
