"""Wilson's score bounds, and the power of a test that uses them.

Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927).
The lower bound of x/n exceeds a limit exactly where the score test of that limit rejects; hence the power below.
"""

from __future__ import annotations

from math import sqrt
from statistics import NormalDist

_NORMAL = NormalDist()


def _bound(proportion: float, n: int, z: float) -> float:
    spread = z * sqrt(proportion * (1 - proportion) / n + z * z / (4 * n * n))
    return (proportion + z * z / (2 * n) + spread) / (1 + z * z / n)


def lower_bound(x: int, n: int, confidence: float) -> float:
    """Return the one-sided lower bound of the proportion behind `x` of `n` (0 <= x <= n, n >= 1)."""
    return max(0.0, 1 - _bound(1 - x / n, n, _NORMAL.inv_cdf(confidence)))


def upper_bound(x: int, n: int, confidence: float) -> float:
    """Return the one-sided upper bound of the proportion behind `x` of `n` (0 <= x <= n, n >= 1)."""
    return min(1.0, _bound(x / n, n, _NORMAL.inv_cdf(confidence)))


def visible_above(limit: float, n: int, confidence: float, power: float) -> float | None:
    """Return the smallest true proportion whose lower bound exceeds `limit` with probability `power`, else None.

    With n trials the bound exceeds the limit where the observed proportion exceeds a critical one; the smallest true
    proportion that lies above that with the given power is Wilson's upper bound of the critical proportion itself.
    """
    if n < 1:
        return None
    critical = limit + _NORMAL.inv_cdf(confidence) * sqrt(limit * (1 - limit) / n)
    return _bound(critical, n, _NORMAL.inv_cdf(power)) if critical < 1 else None


def visible_below(limit: float, n: int, confidence: float, power: float) -> float | None:
    """Return the largest true proportion whose upper bound is under `limit` with probability `power`, else None."""
    mirrored = visible_above(1 - limit, n, confidence, power)
    return None if mirrored is None else 1 - mirrored
