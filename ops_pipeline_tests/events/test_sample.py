"""The sample traffic: made up, the same each time, and with the story that the demo tells."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from pathlib import Path

import pytest

from ops_pipeline.contract.days import each_day
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.tokens import is_label
from ops_pipeline.contract.vocabulary import IDENTITY_LEAK
from ops_pipeline.events.sample import COLUMNS, Sample, write_sample
from ops_pipeline.health import DayCounts, Status, Verdict, evaluate, evaluate_range

SATURDAY, SUNDAY = 5, 6
LAST_DAYS = [date(2026, 11, 22) + timedelta(days=n) for n in range(7)]


@dataclass(frozen=True)
class Made:
    """A sample: what it says of itself, its file, and its daily counts, each event once."""

    sample: Sample
    path: Path
    days: list[DayCounts]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[date], Made]:
    """Return the sample that ends on a day, made once."""

    @cache
    def make(last_day: date) -> Made:
        path = tmp_path_factory.mktemp("sample") / "sample.csv"
        sample = write_sample(path, last_day)
        with path.open(newline="") as file:
            # Whoever is told twice of an event counts it once.
            events = dict.fromkeys(tuple(row) for row in csv.reader(file))
        by_day: defaultdict[date, Counter[tuple[str, str, str | None]]] = defaultdict(Counter)
        _, *rows = events
        for _, occurred_at, touch, outcome, reason, _ in rows:
            by_day[date.fromisoformat(occurred_at[:10])][touch, outcome, reason or None] += 1
        return Made(sample, path, [DayCounts(day, counts) for day, counts in by_day.items()])

    return make


def _signal(verdict: Verdict, touch: str, name: str) -> Status:
    return next(signal.status for signal in verdict.signals if (signal.touch, signal.name) == (touch, name))


def test_the_same_day_gives_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in "abc"]
    for path, seed in zip(paths, (1, 1, 2), strict=True):
        write_sample(path, LAST_DAYS[0], days=30, seed=seed)
    first, again, other = (path.read_bytes() for path in paths)
    assert first == again
    assert first != other


def test_it_says_what_it_made(made: Callable[[date], Made]) -> None:
    found = made(LAST_DAYS[0])
    sample, days = found.sample, found.days
    assert sample.events == sum(sum(day.counts.values()) for day in days)
    lines = found.path.read_text().splitlines()
    assert lines[0] == ",".join(COLUMNS)
    assert len(lines) == 1 + sample.events + sample.repeated
    assert sample.repeated > 0
    assert {day.day for day in days} == {sample.first_day + timedelta(days=n) for n in range(90)}
    assert max(day.day for day in days) == sample.last_day == LAST_DAYS[0]
    assert not list(found.path.parent.glob("*.partial"))


@pytest.mark.parametrize(
    "last_day",
    [pytest.param(day, marks=() if day.weekday() in (SATURDAY, SUNDAY) else pytest.mark.slow) for day in LAST_DAYS],
    ids=str,
)
def test_whatever_weekday_it_ends_on_the_story_is_the_same(made: Callable[[date], Made], last_day: date) -> None:
    sample, days = made(last_day).sample, made(last_day).days
    at_the_end = evaluate(days, sample.last_day)
    assert at_the_end.status is Status.HEALTHY
    assert _signal(at_the_end, "second", "failure_rate") is Status.INSUFFICIENT_DATA
    assert _signal(at_the_end, "first", "hold_rate") is Status.HEALTHY
    incident = evaluate(days, sample.incident_to)
    assert (incident.status, incident.since) == (Status.UNHEALTHY, sample.incident_from)
    assert Reason.HOLD_RATE_LIMIT in incident.unhealthy_reasons
    assert evaluate(days, sample.quiet_from).status is Status.INSUFFICIENT_DATA
    first, last = sample.incident_from, sample.incident_to
    unhealthy = {
        verdict.as_of
        for verdict in evaluate_range(days, sample.first_day, sample.last_day)
        if verdict.unhealthy_reasons
    }
    # Nothing before it, and nothing once the incident has left the window that is held against the limit.
    assert set(each_day(first, last)) <= unhealthy <= set(each_day(first, last + timedelta(days=6)))


def test_the_launch_is_quiet(made: Callable[[date], Made]) -> None:
    sample, days = made(LAST_DAYS[0]).sample, made(LAST_DAYS[0]).days
    delivered = {day.day: day.counts[("first", "delivered", None)] for day in days}
    usual = delivered[sample.quiet_to + timedelta(days=7)]
    for day in each_day(sample.quiet_from, sample.quiet_to):
        assert 0 < delivered[day] < usual / 10
    assert (sample.quiet_from, sample.quiet_to) == (sample.first_day, sample.first_day + timedelta(days=9))


def test_every_reason_is_a_declared_label_and_no_identity_ever_leaks(made: Callable[[date], Made]) -> None:
    reasons = {reason for day in made(LAST_DAYS[0]).days for _, _, reason in day.counts if reason}
    assert all(map(is_label, reasons))
    assert IDENTITY_LEAK not in reasons
