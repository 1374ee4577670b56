"""`tlbench latency`."""

from pathlib import Path

from tlbench.cli import options as o
from tlbench.cli.measure import make_config, measure_and_show

__all__ = ["latency"]


def latency(
    model: o.Model,
    *,
    provider: o.Provider = "cpu",
    provider_option: o.ProviderOptions = None,
    batch_size: o.BatchSize = 32,
    threads: o.Threads = None,
    cache_dir: o.CacheDir = None,
    no_cache: o.NoCache = False,
    output: o.Output = Path("runs"),
    output_format: o.Format = o.OutputFormat.CONSOLE,
    quiet: o.Quiet = False,
) -> None:
    """Measure latency only, and save the run.

    Of a backbone or of any .onnx file, one image after the other and in batches.
    """
    config = make_config(
        model=model,
        provider=provider,
        provider_options=provider_option,
        batch_size=batch_size,
        threads=threads,
        accuracy=False,
        cache_dir=cache_dir,
        no_cache=no_cache,
    )
    measure_and_show(config, output=output, output_format=output_format, quiet=quiet)
