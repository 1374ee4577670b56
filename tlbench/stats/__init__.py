"""Statistics with a stated definition: percentiles, intervals, ratios, dependence of samples."""

from tlbench.stats.blocks import RatioEstimate, ratio_interval
from tlbench.stats.intervals import wilson_interval
from tlbench.stats.percentiles import percentile, samples_needed
from tlbench.stats.quantiles import quantile_interval
from tlbench.stats.series import (
    Autocorrelation,
    Trend,
    autocorrelation,
    autocorrelation_time,
    trend,
)

__all__ = [
    "Autocorrelation",
    "RatioEstimate",
    "Trend",
    "autocorrelation",
    "autocorrelation_time",
    "percentile",
    "quantile_interval",
    "ratio_interval",
    "samples_needed",
    "trend",
    "wilson_interval",
]
