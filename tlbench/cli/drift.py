"""`tlbench drift`."""

from typing import Annotated

import typer

from tlbench.cli import options as o
from tlbench.cli.measure import make_config, measure_and_show
from tlbench.core.errors import ConfigError


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
    engine: o.EngineOptions,
    sample: o.SampleOptions,
    folders: o.FolderOptions,
    saving: o.SavingOptions,
) -> None:
    """Measure how far features drift, and what it costs in accuracy.

    Heads are fitted on the REFERENCE's features and tried on those of every OTHER: another
    provider, precision or export of the same network. The difference is tested on pairs.
    """
    if len(models) == 1:
        msg = f"A drift needs two models, the reference and another: only {models[0]!r} is given."
        raise ConfigError(msg)
    config = make_config(
        [engine, sample, folders],
        model=models[0],
        candidates=tuple(models[1:]),
        dataset=dataset,
        heads=o.split_names(heads),
        baselines=(),
        head_params=tuple(head_param or ()),
        latency=False,
    )
    measure_and_show(config, saving)
