from .intervals import (
    corrected_resampled_interval,
    paired_interval,
    welch_interval,
    wilson_interval,
)
from .power import DropTest, drop_power, images_needed, mcnemar_p, smallest_drop
from .quantiles import RatioEstimate, percentile, quantile_interval, ratio_interval, samples_needed
from .series import Autocorrelation, Trend, autocorrelation, autocorrelation_time, trend

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
