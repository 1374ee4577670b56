"""How large a difference is, and how much of it may be noise."""

from statistics import median

from tlbench.records import (
    AccuracyDifference,
    AccuracyResult,
    ComparedAccuracy,
    ComparedTiming,
    Interval,
    LatencyResult,
    Mismatch,
    PairedDifference,
    SpeedUp,
)
from tlbench.stats import autocorrelation_time, quantile_interval

SPEED_UP_SCOPE = (
    "The interval of a speed-up covers the sampling noise within each run, at 95 % or more. The "
    "runs were not interleaved: it does not cover how machines of one kind, days, or starts of the "
    "program differ. Repeat the runs to see that."
)
ACCURACY_SCOPE = (
    "An accuracy's interval (Wilson, 95 %) covers the choice of the test images. Where two overlap "
    "and nothing is paired, there is no clear difference; no test is made."
)
PAIRED_SCOPE = (
    "On the same images: Tango's 95 % interval of the difference, and McNemar's exact test, "
    "two-sided. They cover the choice of the test images, not that of the training images or the "
    "seed; of several heads, each is tested by itself."
)
ENERGY_SCOPE = (
    "Energy has no interval: a run reads the counter before and after. Counters of different "
    "devices count different parts of a machine."
)

# Bonferroni: each median may be missed in 2.5 % of runs, so both hold together in 95 % at least,
# whatever the two have to do with one another.
_CONFIDENCE = 0.95
_CONFIDENCE_EACH = 1 - (1 - _CONFIDENCE) / 2
_METHOD = (
    "order statistics of both medians at 97.5 %, combined after Bonferroni: sampling noise within "
    "each run only"
)


def compared_timing(result: LatencyResult, run: str) -> ComparedTiming:
    """Return one run's side of a speed-up.

    Parameters
    ----------
    result : LatencyResult
        With samples above zero.
    run : str
        The run's letter.
    """
    is_queue = result.scenario == "server"
    return ComparedTiming(
        run=run,
        scenario=result.scenario,
        batch_size=result.batch_size,
        boundary=result.boundary,
        precision=result.precision,
        provider=result.provider,
        threads=result.threads,
        label=result.label,
        n_samples=len(result.samples_s),
        per_image_s=median(result.samples_s) / result.batch_size,
        median_interval=None if is_queue else _median_interval(result.samples_s),
        images_per_s=None if is_queue else result.images_per_s,
        energy_j_per_image=result.energy_j_per_image,
        energy_note=result.energy_note,
        verdict=result.verdict,
        reasons=result.reasons,
        complete=result.complete,
    )


def _median_interval(samples_s: tuple[float, ...]) -> Interval | None:
    found = quantile_interval(
        samples_s, 0.5, confidence=_CONFIDENCE_EACH, inflation=autocorrelation_time(samples_s)
    )
    if found is None:
        return None
    low, high = found
    return Interval(
        low=low, high=high, confidence_fraction=_CONFIDENCE_EACH, method="order statistics"
    )


def speed_up(
    reference: ComparedTiming, other: ComparedTiming, mismatches: tuple[Mismatch, ...] = ()
) -> SpeedUp:
    """Return how many times as fast *other* is, an image.

    Notes
    -----
    If the medians lie in [a, b] and [c, d], their ratio lies in [a / d, b / c]. Each of the two
    intervals holds at 97.5 %; by Bonferroni's inequality both hold at 95 % or more.
    """
    one, two = reference.median_interval, other.median_interval
    interval = None
    if one is not None and two is not None:
        scale = other.batch_size / reference.batch_size  # from calls to images
        interval = Interval(
            low=scale * one.low / two.high,
            high=scale * one.high / two.low,
            confidence_fraction=_CONFIDENCE,
            method=_METHOD,
        )
    energy_ratio = None
    joules = reference.energy_j_per_image, other.energy_j_per_image
    # A counter that did not move during a short timing says 0.
    if joules[0] and joules[1]:
        energy_ratio = joules[0] / joules[1]
    return SpeedUp(
        reference=reference,
        other=other,
        speed_up=reference.per_image_s / other.per_image_s,
        interval=interval,
        energy_ratio=energy_ratio,
        mismatches=mismatches,
    )


def compared_accuracy(result: AccuracyResult, run: str) -> ComparedAccuracy:
    """Return one run's side of a difference of accuracies; *run* is its letter."""
    return ComparedAccuracy(
        run=run,
        features=result.features,
        head=result.head,
        n_train=result.n_train,
        n_test=result.n_test,
        n_correct=result.n_correct,
        accuracy_fraction=result.accuracy_fraction,
        interval=result.interval,
        notes=result.notes,
        fitted_on=result.fitted_on,
    )


def accuracy_difference(
    reference: ComparedAccuracy,
    other: ComparedAccuracy,
    mismatches: tuple[Mismatch, ...] = (),
    *,
    paired: tuple[PairedDifference, int] | None = None,
    not_paired: str | None = None,
) -> AccuracyDifference:
    """Return by how much *other* is more accurate, and whether the two intervals overlap.

    Parameters
    ----------
    paired : tuple of PairedDifference and int, or None
        The difference image by image, and how many images are predicted differently.
    not_paired : str or None
        Why there is none.
    """
    one, two = reference.interval, other.interval
    return AccuracyDifference(
        reference=reference,
        other=other,
        difference_fraction=other.accuracy_fraction - reference.accuracy_fraction,
        intervals_overlap=one.low <= two.high and two.low <= one.high,
        mismatches=mismatches,
        paired=paired[0] if paired else None,
        n_differing=paired[1] if paired else None,
        not_paired=not_paired,
    )
