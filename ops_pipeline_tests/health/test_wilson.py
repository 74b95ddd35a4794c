"""Wilson's bounds and the power of a test that uses them, against published values and exact binomial tails."""

from __future__ import annotations

from math import comb, isnan, sqrt
from statistics import NormalDist

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ops_pipeline.health.wilson import lower_bound, upper_bound, visible_above, visible_below

CONFIDENCE, POWER = 0.999, 0.80

samples = st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
confidences = st.sampled_from([0.9, 0.95, 0.975, 0.99, 0.999, 0.9999])
limits = st.floats(0.01, 0.99)


def _z(confidence: float) -> float:
    return NormalDist().inv_cdf(confidence)


def _tail(n: int, first: int, p: float) -> float:
    """The exact probability of at least `first` of n."""
    return sum(comb(n, x) * p**x * (1 - p) ** (n - x) for x in range(first, n + 1))


@pytest.mark.parametrize(
    ("x", "n", "lower", "upper"),
    [
        # R. G. Newcombe, "Two-sided confidence intervals for the single proportion", Statistics in Medicine 17
        # (1998), table I, method 3: two-sided 95 %, so each side has 97.5 %.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_the_bounds_are_the_published_ones(x: int, n: int, lower: float, upper: float) -> None:
    assert lower_bound(x, n, 0.975) == pytest.approx(lower, abs=5e-5)
    assert upper_bound(x, n, 0.975) == pytest.approx(upper, abs=5e-5)


@pytest.mark.parametrize("n", [1, 5, 19, 100, 10_000])
@pytest.mark.parametrize("confidence", [0.9, 0.999])
def test_the_bounds_of_none_and_of_all_are_those_of_the_closed_form(n: int, confidence: float) -> None:
    z2 = _z(confidence) ** 2
    assert upper_bound(0, n, confidence) == pytest.approx(z2 / (n + z2))
    assert lower_bound(n, n, confidence) == pytest.approx(n / (n + z2))
    assert lower_bound(0, n, confidence) == pytest.approx(0, abs=1e-12)
    assert upper_bound(n, n, confidence) == pytest.approx(1, abs=1e-12)


def test_half_of_a_hundred_by_hand() -> None:
    # z = 3.0902, z² = 9.5495: (0.5 + 9.5495 / 200 ± 3.0902 * sqrt(0.25 / 100 + 9.5495 / 40000)) / 1.095495
    assert lower_bound(50, 100, 0.999) == pytest.approx(0.352376, abs=5e-6)
    assert upper_bound(50, 100, 0.999) == pytest.approx(0.647624, abs=5e-6)


@given(samples, confidences)
def test_the_bounds_lie_around_the_rate_and_between_0_and_1(sample: tuple[int, int], confidence: float) -> None:
    x, n = sample
    tiny = 1e-12
    assert 0 <= lower_bound(x, n, confidence) <= x / n + tiny
    assert x / n - tiny <= upper_bound(x, n, confidence) <= 1


@given(samples, confidences)
def test_good_and_bad_are_mirror_images(sample: tuple[int, int], confidence: float) -> None:
    x, n = sample
    assert upper_bound(x, n, confidence) == pytest.approx(1 - lower_bound(n - x, n, confidence), abs=1e-12)


@given(samples, confidences)
def test_one_event_more_of_as_many_raises_both_bounds(sample: tuple[int, int], confidence: float) -> None:
    x, n = sample
    assume(x < n)
    assert lower_bound(x + 1, n, confidence) > lower_bound(x, n, confidence)
    assert upper_bound(x + 1, n, confidence) > upper_bound(x, n, confidence)


@given(samples, confidences)
def test_one_bad_event_more_never_lowers_the_lower_bound(sample: tuple[int, int], confidence: float) -> None:
    x, n = sample
    assert lower_bound(x + 1, n + 1, confidence) > lower_bound(x, n, confidence) - 1e-12
    assert upper_bound(x, n + 1, confidence) < upper_bound(x, n, confidence) + 1e-12


@given(samples, st.integers(2, 20), confidences)
def test_the_same_rate_of_more_events_has_narrower_bounds(
    sample: tuple[int, int], times: int, confidence: float
) -> None:
    x, n = sample
    width = upper_bound(x, n, confidence) - lower_bound(x, n, confidence)
    assert upper_bound(times * x, times * n, confidence) - lower_bound(times * x, times * n, confidence) < width


@given(samples, st.sampled_from([(0.9, 0.95), (0.95, 0.999), (0.999, 0.9999)]))
def test_more_confidence_is_further_from_the_rate(sample: tuple[int, int], pair: tuple[float, float]) -> None:
    x, n = sample
    less, more = pair
    assert lower_bound(x, n, more) <= lower_bound(x, n, less) + 1e-12
    assert upper_bound(x, n, more) >= upper_bound(x, n, less) - 1e-12


@given(samples, limits, confidences)
def test_a_bound_lies_beyond_a_limit_exactly_where_the_score_test_of_the_limit_rejects(
    sample: tuple[int, int], limit: float, confidence: float
) -> None:
    x, n = sample
    score = (x / n - limit) / sqrt(limit * (1 - limit) / n)
    z = _z(confidence)
    assume(abs(abs(score) - z) > 1e-6)  # at the boundary itself the last digit decides
    assert bool(lower_bound(x, n, confidence) > limit) is (score > z)
    assert bool(upper_bound(x, n, confidence) < limit) is (score < -z)


@pytest.mark.parametrize("limit", [0.05, 0.20, 0.35, 0.60, 0.80])
@pytest.mark.parametrize("n", [20, 50, 100, 200, 500, 1000])
def test_a_rate_at_its_limit_is_rarely_called_unhealthy_by_exact_tails(limit: float, n: int) -> None:
    first = next((x for x in range(n + 1) if lower_bound(x, n, CONFIDENCE) > limit), n + 1)
    # The nominal 0.1 %, but few events are discrete and skewed, which the normal quantile does not know.
    assert _tail(n, first, limit) <= (0.0016 if n >= 500 else 0.0045 if n * limit > 2 else 0.0073)


# Fewer than 39 events are too few to see anything above a limit of 0.8.
@pytest.mark.parametrize(
    ("limit", "n"),
    [
        (limit, n)
        for limit in (0.05, 0.20, 0.35, 0.60, 0.80)
        for n in (20, 35, 50, 100, 200, 500, 1000)
        if (limit, n) not in {(0.80, 20), (0.80, 35)}
    ],
)
def test_the_power_is_what_is_promised_by_exact_tails(limit: float, n: int) -> None:
    visible = visible_above(limit, n, CONFIDENCE, POWER)
    assert limit < visible < 1
    first = next(x for x in range(n + 1) if lower_bound(x, n, CONFIDENCE) > limit)
    # x is whole, so that the power moves in steps, larger ones where there are few events.
    assert _tail(n, first, visible) == pytest.approx(POWER, abs=0.025 if n >= 100 else 0.085)


@given(limits, st.integers(1, 5000), confidences)
def test_what_is_visible_below_mirrors_what_is_visible_above(limit: float, n: int, confidence: float) -> None:
    above, below = visible_above(1 - limit, n, confidence, POWER), visible_below(limit, n, confidence, POWER)
    assert isnan(above) is isnan(below)
    if not isnan(above):
        assert below == pytest.approx(1 - above)
        assert 0 <= below < limit


@given(limits, st.integers(1, 5000), st.integers(1, 5000))
def test_more_events_never_see_less(limit: float, n: int, more: int) -> None:
    few, many = (visible_above(limit, count, CONFIDENCE, POWER) for count in (n, n + more))
    assert isnan(few) or limit < many < few


@given(limits, st.integers(1, 5000), st.sampled_from([(0.6, 0.8), (0.8, 0.95)]))
def test_more_power_or_more_confidence_needs_a_larger_problem(
    limit: float, n: int, pair: tuple[float, float]
) -> None:
    less, more = (visible_above(limit, n, CONFIDENCE, power) for power in pair)
    surer = visible_above(limit, n, 0.9999, pair[0])
    assert isnan(more) or less < more
    assert isnan(surer) or less < surer


@pytest.mark.parametrize("limit", [0.05, 0.20, 0.35, 0.60, 0.80, 0.95])
def test_nothing_is_visible_exactly_where_even_all_events_would_not_reach_beyond_the_limit(limit: float) -> None:
    for n in range(1, 400):
        assert isnan(visible_above(limit, n, CONFIDENCE, POWER)) is (not lower_bound(n, n, CONFIDENCE) > limit)
        assert isnan(visible_below(limit, n, CONFIDENCE, POWER)) is (not upper_bound(0, n, CONFIDENCE) < limit)


def test_without_events_nothing_is_visible() -> None:
    assert isnan(visible_above(0.35, 0, CONFIDENCE, POWER))
    assert isnan(visible_below(0.20, 0, CONFIDENCE, POWER))
