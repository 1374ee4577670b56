"""The only place where datasets, engine, store, heads and latency meet."""

from tlbench.pipeline.extraction import SplitFeatures, extract_dataset_split
from tlbench.pipeline.run import RunOutcome, run_benchmark

__all__ = ["RunOutcome", "SplitFeatures", "extract_dataset_split", "run_benchmark"]
