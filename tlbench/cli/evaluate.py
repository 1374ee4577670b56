"""`tlbench evaluate`."""

from tlbench.cli import options as o
from tlbench.cli.measure import make_config, measure_and_show
from tlbench.cli.protocols import ProtocolOptions


def evaluate(
    model: o.Model,
    *,
    task: o.TaskOptions,
    engine: o.EngineOptions,
    sample: o.SampleOptions,
    protocol: ProtocolOptions,
    strict: o.Strict = False,
    folders: o.FolderOptions,
    saving: o.SavingOptions,
) -> None:
    """Measure accuracy only, and save the run.

    It is the accuracy of classifier heads on a frozen backbone's features.
    """
    config = make_config(
        [task, engine, sample, protocol, folders], model=model, latency=False, strict=strict
    )
    measure_and_show(config, saving)
