"""Seeded daily streams, clean ones and ones with a labelled incident. The same seed always gives the same stream.

A stream is one service: two touches with a volume, a weekly shape, growth, noise and rates of their own. Drawn at
random are: volume from 8 to 60,000 a day; five weekly shapes, two of them office weeks; growth from -1.5 % to +3 % a
week; a season; campaigns of one to three days; holidays that bring 40 to 75 % of the usual; a launch that lifts the
volume for good; noise that carries over from day to day; rates that spread more than chance, drift, carry over and
depend on the weekday; reactions that come up to four days late.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from ops_pipeline.contract.vocabulary import Outcome, Touch
from ops_pipeline.health import DayCounts

MONDAY = date(2025, 1, 6)
"""The first day of every stream."""
WARM_UP = 140
"""Days before anything is counted: no incident begins and no alarm is a false one."""
YEAR = 365
EARLIER_DAYS = 4
"""Days by which another incident begins before, where there are two."""
VISIBLE = 5.0
"""Standard deviations by which an incident shows to whoever knows the true rates and when it began."""

Figures = NDArray[np.float64]

_SHAPES = {
    "flat": [1.0] * 7,
    "mild": [1.05, 1.1, 1.05, 1.0, 1.0, 0.9, 0.85],
    "strong": [1.2, 1.25, 1.2, 1.15, 1.0, 0.6, 0.5],
    "office": [1.3, 1.4, 1.3, 1.2, 1.1, 0.0, 0.0],
    "thin_weekend": [1.3, 1.4, 1.3, 1.2, 1.1, 0.03, 0.02],
}
_LAGS = ([1.0], [0.55, 0.25, 0.12, 0.05, 0.03])


class Incident(StrEnum):
    """What goes wrong, and how."""

    HOLD_DOUBLE = "hold_double"
    HOLD_PARTIAL = "hold_partial"
    HOLD_CREEP = "hold_creep"
    HOLD_ON_MONDAY = "hold_on_monday"
    HOLD_ONE_DAY = "hold_one_day"
    HOLD_SECOND_TOUCH = "hold_second_touch"
    HOLD_DURING_GROWTH = "hold_during_growth"
    SUPPRESSION_JUMP = "suppression_jump"
    FAILURE_JUMP = "failure_jump"
    ENGAGEMENT_FALL = "engagement_fall"
    TRAFFIC_STOP = "traffic_stop"
    TRAFFIC_DROP = "traffic_drop"
    IDENTITY_LEAK = "identity_leak"


_LENGTH = {Incident.HOLD_CREEP: 21, Incident.HOLD_ONE_DAY: 1, Incident.IDENTITY_LEAK: 1}
_EVERYWHERE = {
    Incident.HOLD_DOUBLE,
    Incident.SUPPRESSION_JUMP,
    Incident.ENGAGEMENT_FALL,
    Incident.TRAFFIC_STOP,
    Incident.TRAFFIC_DROP,
}
_FACTOR = {
    Incident.HOLD_DOUBLE: ("hold", 2.0, 4.0),
    Incident.HOLD_PARTIAL: ("hold", 1.7, 2.2),
    Incident.HOLD_CREEP: ("hold", 2.5, 3.5),
    Incident.HOLD_ON_MONDAY: ("hold", 2.0, 3.0),
    Incident.HOLD_ONE_DAY: ("hold", 3.0, 5.0),
    Incident.HOLD_SECOND_TOUCH: ("hold", 2.0, 4.0),
    Incident.HOLD_DURING_GROWTH: ("hold", 2.0, 3.0),
    Incident.SUPPRESSION_JUMP: ("suppression", 1.8, 3.0),
    Incident.FAILURE_JUMP: ("failure", 2.5, 6.0),
    Incident.ENGAGEMENT_FALL: ("positive", 0.3, 0.6),
    Incident.TRAFFIC_STOP: ("sent", 0.0, 0.0),
    Incident.TRAFFIC_DROP: ("sent", 0.2, 0.5),
}


@dataclass(frozen=True)
class Stream:
    """Counts of consecutive days from MONDAY on, and what was done to them."""

    days: list[DayCounts]
    incident: Incident | None
    onset: int
    """The day, counted from MONDAY, on which the incident begins."""
    length: int
    """Days that it lasts; 0 where there is none."""
    visible: float
    """Standard deviations by which it shows."""
    per_day: float
    """Volume."""


def make_stream(
    seed: tuple[int, ...], incident: Incident | None = None, *, earlier: Incident | None = None
) -> Stream:
    """Return the stream of `seed`: a year and its warm-up, or 260 days with an incident after the warm-up.

    With `earlier`, another incident begins EARLIER_DAYS before and outlasts it; the rest is drawn as without.
    """
    rng = np.random.default_rng(seed)
    size = WARM_UP + (YEAR if incident is None else 120)
    t = np.arange(size)
    per_day = float(np.exp(rng.uniform(np.log(8), np.log(60_000))))
    weekly = np.array(list(_SHAPES.values())[rng.integers(len(_SHAPES))])[t % 7]
    growth = rng.uniform(0.01, 0.03) if incident is Incident.HOLD_DURING_GROWTH else 0.0
    growth = growth or rng.choice([0.0, 0.0, rng.uniform(-0.015, 0.03)])
    volume = per_day * weekly * np.exp(growth * t / 7) * _season(rng, t)
    volume *= np.exp(_carried(rng, size, rng.choice([0.03, 0.08, 0.15, 0.25]), rng.choice([0.0, 0.3, 0.6])))
    if rng.random() < 0.4:
        for first in rng.choice(size, size=size // 60, replace=False):
            volume[first : first + rng.integers(1, 4)] *= rng.uniform(1.5, 4)
    if rng.random() < 0.4:
        volume[rng.choice(size, size=size * 8 // YEAR, replace=False)] *= rng.uniform(0.4, 0.75)
    if rng.random() < 0.2:
        volume[rng.integers(size) :] *= rng.uniform(1.2, 1.8)

    length = 0 if incident is None else _LENGTH.get(incident, 10)
    onset = int(rng.integers(WARM_UP, size - 25))
    if incident is Incident.HOLD_ON_MONDAY:
        onset += -onset % 7
    while weekly[onset] < 0.2:
        onset += 1
    second_share = rng.uniform(0.05, 0.4)
    counts: dict[tuple[str, str, str | None], NDArray[np.int64]] = {}
    visible = 0.0
    for touch in Touch:
        is_second = touch is Touch.SECOND
        is_hit = incident is not None and (
            incident in _EVERYWHERE or is_second == (incident is Incident.HOLD_SECOND_TOUCH)
        )
        effects = _effects(rng, incident if is_hit else None, size, onset, length)
        is_hit_earlier = earlier is not None and (
            earlier in _EVERYWHERE or is_second == (earlier is Incident.HOLD_SECOND_TOUCH)
        )
        if is_hit_earlier:
            of_earlier = _effects(
                np.random.default_rng((*seed, 1)), earlier, size, onset - EARLIER_DAYS, EARLIER_DAYS + length
            )
            effects = {name: effects[name] * of_earlier[name] for name in effects}
        its_counts, shows = _touch_counts(rng, volume * (second_share if is_second else 1), effects)
        if is_hit:
            visible = max(visible, shows)
        if is_hit and incident is Incident.IDENTITY_LEAK:
            its_counts[Outcome.DISABLED, "identity_leak"] = (t == onset).astype(np.int64)
            visible = VISIBLE
        if is_hit_earlier and earlier is Incident.IDENTITY_LEAK:
            leaks = its_counts.get((Outcome.DISABLED, "identity_leak"), np.zeros(size, np.int64))
            its_counts[Outcome.DISABLED, "identity_leak"] = leaks + (t == onset - EARLIER_DAYS)
        counts |= {(touch.value, outcome.value, reason): n for (outcome, reason), n in its_counts.items()}
    keys = list(counts)
    rows = np.array([counts[key] for key in keys]).T.tolist()
    days = [
        DayCounts(MONDAY + timedelta(days=number), {key: n for key, n in zip(keys, row, strict=True) if n})
        for number, row in enumerate(rows)
    ]
    return Stream(days, incident, onset, length, visible, per_day)


def _season(rng: np.random.Generator, t: NDArray[np.int_]) -> Figures:
    return 1 + rng.choice([0.0, 0.1, 0.2]) * np.sin(2 * np.pi * (t / YEAR + rng.uniform()))


def _carried(rng: np.random.Generator, size: int, spread: float, autocorrelation: float) -> Figures:
    """Return normal noise of which each day keeps the share `autocorrelation` of the day before."""
    fresh = rng.normal(size=size)
    noise = np.empty(size)
    noise[0] = fresh[0]
    for day in range(1, size):
        noise[day] = autocorrelation * noise[day - 1] + np.sqrt(1 - autocorrelation**2) * fresh[day]
    return spread * noise


def _effects(
    rng: np.random.Generator, incident: Incident | None, size: int, onset: int, length: int
) -> Mapping[str, Figures]:
    """Return by what each rate, and what is sent, is multiplied on each day."""
    effects = {name: np.ones(size) for name in ("suppression", "hold", "failure", "positive", "sent")}
    if incident in _FACTOR:
        name, low, high = _FACTOR[incident]
        factor, days = rng.uniform(low, high), effects[name][onset : onset + length]
        days[:] = np.linspace(1.1, factor, length)[: len(days)] if incident is Incident.HOLD_CREEP else factor
    return effects


def _rate(rng: np.random.Generator, usual: float, size: int) -> Figures:
    """Return a rate per day: it spreads, carries over, drifts and may depend on the weekday."""
    t = np.arange(size)
    noise = _carried(rng, size, rng.choice([0.0, 0.05, 0.1, 0.2]), rng.choice([0.0, 0.3, 0.6]))
    weekday = rng.choice([0.0, 0.0, 0.15]) * rng.normal(size=7)
    drift = rng.choice([0.0, 0.0, 0.15]) * np.sin(2 * np.pi * (t / rng.uniform(200, 500) + rng.uniform()))
    return 1 / (1 + np.exp(-(np.log(usual / (1 - usual)) + noise + weekday[t % 7] + drift)))


def _touch_counts(
    rng: np.random.Generator, volume: Figures, effects: Mapping[str, Figures]
) -> tuple[dict[tuple[Outcome, str | None], NDArray[np.int64]], float]:
    """Return the counts of one touch, and by how many standard deviations the effects show in them."""
    size = len(volume)
    shows = [0.0]

    def rate(name: str, usual: float) -> Figures:
        rates[name] = _rate(rng, usual, size)
        return np.clip(rates[name] * effects[name], 0, 0.97)

    def drawn(name: str, n: NDArray[np.int64], usual: float) -> NDArray[np.int64]:
        changed = rate(name, usual)
        is_hit = effects[name] != 1
        excess = abs((n * (changed - rates[name]))[is_hit].sum())
        shows.append(excess / max(np.sqrt((n * rates[name] * (1 - rates[name]))[is_hit].sum()), 1))
        return rng.binomial(n, changed)

    rates: dict[str, Figures] = {}
    wanted = rng.poisson(volume)
    suppressed = drawn("suppression", wanted, rng.uniform(0.04, 0.4))
    offered = wanted - suppressed
    attempted = rng.binomial(offered, effects["sent"])
    is_hit = effects["sent"] != 1
    shows.append((volume * (1 - effects["sent"]))[is_hit].sum() / np.sqrt(volume[is_hit].sum() + 1))
    held = drawn("hold", attempted, float(np.exp(rng.uniform(np.log(0.005), np.log(0.15)))))
    queued = attempted - held
    failed = drawn("failure", queued, float(np.exp(rng.uniform(np.log(0.003), np.log(0.04)))))
    delivered = queued - failed
    reacts = rate("positive", rng.uniform(0.3, 0.6))
    loss = abs((delivered * (reacts - rates["positive"])).sum())
    is_hit = effects["positive"] != 1
    shows.append(loss / max(np.sqrt((delivered * rates["positive"] * (1 - rates["positive"]))[is_hit].sum()), 1))
    positive = np.zeros(size, np.int64)
    for late, share in enumerate(_LAGS[int(rng.random() < 0.6)]):
        positive[late:] += rng.binomial(delivered[: size - late], share * reacts[late:])
    return {
        (Outcome.OFFERED, None): offered,
        (Outcome.SUPPRESSED, "rate_limited"): suppressed,
        (Outcome.ATTEMPTED, None): attempted,
        (Outcome.HELD, "cooldown_active"): held,
        (Outcome.QUEUED, None): queued,
        (Outcome.FAILED, "bounced_soft"): failed,
        (Outcome.DELIVERED, None): delivered,
        (Outcome.ACKNOWLEDGED, "positive"): positive,
    }, max(shows)
