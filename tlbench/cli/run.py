"""`tlbench run`."""

from tlbench.cli import options as o
from tlbench.cli import timing as t
from tlbench.cli.measure import make_config, measure_and_show
from tlbench.cli.protocols import ProtocolOptions


def run(
    model: o.Model = "efficientnet-lite0",
    *,
    task: o.TaskOptions,
    engine: o.EngineOptions,
    sample: o.SampleOptions,
    protocol: ProtocolOptions,
    no_latency: o.NoLatency = False,
    breakdown: t.Breakdown = False,
    no_spin: t.NoSpin = False,
    no_costs: t.NoCosts = False,
    strict: o.Strict = False,
    folders: o.FolderOptions,
    saving: o.SavingOptions,
) -> None:
    """Measure accuracy and latency, and save the run.

    Accuracy is that of classifier heads on a frozen backbone's features; pixels are the rival.
    Without arguments: EfficientNet-Lite0 on scikit-learn's digits, on the CPU, without a network.
    """
    from dataclasses import replace

    from tlbench.workflows import QUICK_TIMING

    config = make_config(
        [task, engine, sample, protocol, folders],
        model=model,
        latency=not no_latency,
        breakdown=breakdown,
        timing=replace(QUICK_TIMING, spin=not no_spin, costs=not no_costs),
        strict=strict,
    )
    measure_and_show(config, saving)
