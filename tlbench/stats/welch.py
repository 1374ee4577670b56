"""The difference of two means whose spreads are known, without a common variance."""

import math

from tlbench.core.errors import DataError
from tlbench.stats.samples import require_fraction


def welch_interval(
    first: tuple[float, float, int], second: tuple[float, float, int], confidence: float = 0.95
) -> tuple[float, float]:
    """Confidence interval of the second mean less the first.

    Parameters
    ----------
    first, second : (float, float, int)
        Mean, standard deviation with n - 1, and n of each sample.
    confidence : float
        Two-sided coverage, a fraction in (0, 1).

    Returns
    -------
    tuple of float
        Low and high end; both the difference where neither sample has any spread.

    Raises
    ------
    DataError
        If a sample has fewer than two values, or a negative deviation.
    ConfigError
        If the confidence is not strictly between 0 and 1.

    Notes
    -----
    Welch (1947), doi:10.1093/biomet/34.1-2.28, with the degrees of freedom of Satterthwaite (1946),
    doi:10.2307/3002019. It takes the values of a sample for independent; those of a
    cross-validation are not quite, for their training sets overlap.
    """
    require_fraction(confidence, "A confidence")
    for _, deviation, n in (first, second):
        if n < 2 or not deviation >= 0:  # noqa: PLR2004 - a deviation needs two values
            msg = f"No interval for a deviation of {deviation} over {n} values: need two or more."
            raise DataError(msg)
    difference = second[0] - first[0]
    parts = [deviation**2 / n for _, deviation, n in (first, second)]
    if sum(parts) == 0:
        return difference, difference
    freedom = sum(parts) ** 2 / sum(
        part**2 / (n - 1) for part, (_, _, n) in zip(parts, (first, second), strict=True)
    )
    from scipy.special import stdtrit  # comes with scikit-learn

    half = float(stdtrit(freedom, (1 + confidence) / 2)) * math.sqrt(sum(parts))
    return difference - half, difference + half
