"""Statistics with a stated definition: percentiles, intervals, ratios, dependence of samples."""

from tlbench.stats.blocks import RatioEstimate, ratio_interval
from tlbench.stats.intervals import wilson_interval
from tlbench.stats.paired import mcnemar_p, paired_interval
from tlbench.stats.percentiles import percentile, samples_needed
from tlbench.stats.power import DropTest, drop_power, images_needed, smallest_drop
from tlbench.stats.quantiles import quantile_interval
from tlbench.stats.resampled import corrected_resampled_interval
from tlbench.stats.series import (
    Autocorrelation,
    Trend,
    autocorrelation,
    autocorrelation_time,
    trend,
)
from tlbench.stats.welch import welch_interval

__all__ = [
    "Autocorrelation",
    "DropTest",
    "RatioEstimate",
    "Trend",
    "autocorrelation",
    "autocorrelation_time",
    "corrected_resampled_interval",
    "drop_power",
    "images_needed",
    "mcnemar_p",
    "paired_interval",
    "percentile",
    "quantile_interval",
    "ratio_interval",
    "samples_needed",
    "smallest_drop",
    "trend",
    "welch_interval",
    "wilson_interval",
]
