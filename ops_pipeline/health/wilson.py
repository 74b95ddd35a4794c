"""Wilson's score bounds, and the power of a test that uses them.

Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927).
The lower bound of x/n exceeds a limit exactly where the score test of that limit rejects; hence the power below.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import TypeAlias

import numpy as np

from ops_pipeline.health.history import Figures

_NORMAL = NormalDist()
Numbers: TypeAlias = Figures | float
"""One number, or an array of them."""


def _bound(proportion: Numbers, n: Numbers, z: float) -> Figures:
    spread = z * np.sqrt(proportion * (1 - proportion) / n + z * z / (4 * n * n))
    found: Figures = (proportion + z * z / (2 * n) + spread) / (1 + z * z / n)
    return found


def lower_bound(x: Numbers, n: Numbers, confidence: float) -> Figures:
    """Return the one-sided lower bound of the proportion behind `x` of `n` (0 <= x <= n, n >= 1)."""
    return np.maximum(0, 1 - _bound(1 - x / n, n, _NORMAL.inv_cdf(confidence)))


def upper_bound(x: Numbers, n: Numbers, confidence: float) -> Figures:
    """Return the one-sided upper bound of the proportion behind `x` of `n` (0 <= x <= n, n >= 1)."""
    return np.minimum(1, _bound(x / n, n, _NORMAL.inv_cdf(confidence)))


def visible_above(limit: Numbers, n: Numbers, confidence: float, power: float) -> Figures:
    """Return the smallest true proportion whose lower bound exceeds `limit` with probability `power`, else nan.

    With n trials the bound exceeds the limit where the observed proportion exceeds a critical one; the smallest true
    proportion that lies above that with the given power is Wilson's upper bound of the critical proportion itself.
    """
    critical = limit + _NORMAL.inv_cdf(confidence) * np.sqrt(limit * (1 - limit) / np.maximum(n, 1))
    is_possible = (n >= 1) & (critical < 1)
    found = _bound(np.where(is_possible, critical, 0.5), np.maximum(n, 1), _NORMAL.inv_cdf(power))
    return np.where(is_possible, found, np.nan)


def visible_below(limit: Numbers, n: Numbers, confidence: float, power: float) -> Figures:
    """Return the largest true proportion whose upper bound is under `limit` with probability `power`, else nan."""
    return 1 - visible_above(1 - limit, n, confidence, power)
