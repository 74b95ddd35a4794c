"""Sample traffic for demo and tests: seeded, believable, made up from beginning to end.

Ninety days over both touches with a quiet launch, a weekly shape and one incident, written as a file of the event
contract with an `event_id` and, like a webhook's log, some lines twice.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from random import Random
from typing import NamedTuple

from ops_pipeline.contract.days import ONE_DAY, each_day, start_of
from ops_pipeline.contract.vocabulary import Outcome, Touch

SEED = 20260901
DAYS = 90

SILENT_DAYS = range(80, 90)
"""Days before the last one on which there is little traffic: the launch."""
QUIET_LEVEL = 0.02
INCIDENT_DAYS = range(14, 18)
"""Days before the last one on which most sends of the first touch are held."""
INCIDENT_HOLD_RATE = 0.8
WEEKEND_LEVEL = 0.6
REPEATED = 0.01
"""Share of lines that stand in the file twice."""

SEGMENTS = ("email", "sms", "push")
COLUMNS = ("event_id", "occurred_at", "touch", "outcome", "reason", "segment")


@dataclass(frozen=True, slots=True)
class _Shape:
    """How one touch behaves on a usual day: offers on a weekday, and the share that each step loses or gains."""

    offers: int
    suppressed: float
    held: float
    failed: float
    acknowledged: float
    positive: float
    disabled: float
    suppressed_reasons: tuple[str, ...]
    held_reasons: tuple[str, ...]


_SHAPES = {
    Touch.FIRST: _Shape(
        offers=450,
        suppressed=0.12,
        held=0.07,
        failed=0.02,
        acknowledged=0.6,
        positive=0.68,
        disabled=0.0,
        suppressed_reasons=("cooldown_active", "cooldown_active", "disabled_until_active", "rate_limited"),
        held_reasons=("rate_limited", "cooldown_active", "offer_unavailable"),
    ),
    Touch.SECOND: _Shape(
        offers=32,
        suppressed=0.25,
        held=0.10,
        failed=0.02,
        acknowledged=0.55,
        positive=0.65,
        disabled=0.02,
        suppressed_reasons=("cooldown_active", "disabled_until_active", "disabled_permanent"),
        held_reasons=("crisis_window", "risk_level_2", "rate_limited"),
    ),
}
_FAILED_REASONS = ("bounced_soft", "bounced_hard", "expired")


@dataclass(frozen=True, slots=True)
class Sample:
    """What was made."""

    events: int
    """Different events."""
    repeated: int
    """Lines that repeat one of them."""
    first_day: date
    last_day: date
    quiet_from: date
    quiet_to: date
    incident_from: date
    incident_to: date


class _Event(NamedTuple):
    """A tuple, because a hundred thousand of them are sorted."""

    occurred_at: datetime
    event_id: str
    touch: Touch
    outcome: Outcome
    reason: str | None
    segment: str


def write_sample(path: Path, last_day: date, *, days: int = DAYS, seed: int = SEED) -> Sample:
    """Write `days` days of traffic that end with `last_day` (UTC) to the CSV file `path`, and return what was made.

    The same days and seed give the same bytes. Raises OSError where the file cannot be written.
    """
    random = Random(seed)  # noqa: S311 - sample traffic, not a secret
    end = start_of(last_day + ONE_DAY)
    events = sorted(
        event
        for day in each_day(last_day - (days - 1) * ONE_DAY, last_day)
        for touch in Touch
        for event in _day(random, day, (last_day - day).days, touch)
        if event.occurred_at < end
    )
    repeated = 0
    partial = path.with_name(f"{path.name}.partial")
    with partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for event in events:
            row = (
                event.event_id,
                event.occurred_at.isoformat(),
                event.touch,
                event.outcome,
                event.reason,
                event.segment,
            )
            writer.writerow(row)
            if random.random() < REPEATED:
                writer.writerow(row)
                repeated += 1
    partial.replace(path)
    return Sample(
        events=len(events),
        repeated=repeated,
        first_day=last_day - (days - 1) * ONE_DAY,
        last_day=last_day,
        quiet_from=last_day - SILENT_DAYS[-1] * ONE_DAY,
        quiet_to=last_day - SILENT_DAYS[0] * ONE_DAY,
        incident_from=last_day - INCIDENT_DAYS[-1] * ONE_DAY,
        incident_to=last_day - INCIDENT_DAYS[0] * ONE_DAY,
    )


def _day(random: Random, day: date, days_ago: int, touch: Touch) -> Iterator[_Event]:
    """Yield the events of all people to whom a message is offered on `day`."""
    shape = _SHAPES[touch]
    level = (WEEKEND_LEVEL if day.weekday() >= 5 else 1.0) * (QUIET_LEVEL if days_ago in SILENT_DAYS else 1.0)
    is_incident = touch is Touch.FIRST and days_ago in INCIDENT_DAYS
    for _ in range(round(shape.offers * level * random.uniform(0.92, 1.08))):
        yield from _person(random, day, touch, shape, is_incident=is_incident)


def _person(random: Random, day: date, touch: Touch, shape: _Shape, *, is_incident: bool) -> Iterator[_Event]:
    """Yield what happens to one offer, step by step."""
    at = start_of(day) + timedelta(seconds=random.triangular(6 * 3600, 22 * 3600, 17 * 3600))
    segment = random.choices(SEGMENTS, (6, 3, 1))[0]

    def event(outcome: Outcome, reason: str | None = None, *, after: float = 0) -> _Event:
        event_id = f"ev_{random.getrandbits(64):016x}"
        return _Event(at + timedelta(seconds=round(after)), event_id, touch, outcome, reason, segment)

    if random.random() < shape.suppressed:
        yield event(Outcome.SUPPRESSED, random.choice(shape.suppressed_reasons))
        return
    yield event(Outcome.OFFERED)
    yield event(Outcome.ATTEMPTED, after=5)
    if random.random() < (INCIDENT_HOLD_RATE if is_incident else shape.held):
        yield event(Outcome.HELD, "rate_limited" if is_incident else random.choice(shape.held_reasons), after=6)
        return
    yield event(Outcome.QUEUED, after=6)
    if random.random() < shape.failed:
        yield event(Outcome.FAILED, random.choice(_FAILED_REASONS), after=30)
        return
    yield event(Outcome.DELIVERED, after=30)
    if random.random() < shape.acknowledged:
        is_positive = random.random() < shape.positive
        reason = "positive" if is_positive else random.choice(("neutral", "neutral", "negative"))
        delay = 60 + random.expovariate(1 / (4 * 3600))
        yield event(Outcome.ACKNOWLEDGED, reason, after=delay)
        if reason == "negative" and random.random() < shape.disabled * 10:
            yield event(Outcome.DISABLED, "negative_ack", after=delay + 1)
