"""Statistics with a stated definition: intervals of proportions and percentiles of samples."""

from tlbench.stats.intervals import wilson_interval
from tlbench.stats.percentiles import percentile, samples_needed

__all__ = ["percentile", "samples_needed", "wilson_interval"]
