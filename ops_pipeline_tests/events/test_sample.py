"""The sample traffic: made up, the same each time, and with the story that the demo tells."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from datetime import date, timedelta
from pathlib import Path

import pytest

from ops_pipeline.contract.days import each_day
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.tokens import is_label
from ops_pipeline.contract.vocabulary import IDENTITY_LEAK
from ops_pipeline.events.sample import COLUMNS, Sample, write_sample
from ops_pipeline.health import DayCounts, Status, Verdict, evaluate, evaluate_range

LAST_DAYS = [date(2026, 11, 22) + timedelta(days=n) for n in range(7)]


def _made(path: Path, last_day: date) -> tuple[Sample, list[DayCounts]]:
    """Write a sample and return what it says of itself and its daily counts, each event once."""
    sample = write_sample(path / "sample.csv", last_day)
    with (path / "sample.csv").open(newline="") as file:
        events = {row["event_id"]: row for row in csv.DictReader(file)}
    by_day: defaultdict[date, Counter[tuple[str, str, str | None]]] = defaultdict(Counter)
    for row in events.values():
        key = (row["touch"], row["outcome"], row["reason"] or None)
        by_day[date.fromisoformat(row["occurred_at"][:10])][key] += 1
    return sample, [DayCounts(day, counts) for day, counts in by_day.items()]


def _signal(verdict: Verdict, touch: str, name: str) -> Status:
    return next(signal.status for signal in verdict.signals if (signal.touch, signal.name) == (touch, name))


def test_the_same_day_gives_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in "abc"]
    for path, seed in zip(paths, (1, 1, 2), strict=True):
        write_sample(path, LAST_DAYS[0], seed=seed)
    first, again, other = (path.read_bytes() for path in paths)
    assert first == again
    assert first != other


def test_it_says_what_it_made(tmp_path: Path) -> None:
    sample, days = _made(tmp_path, LAST_DAYS[0])
    assert sample.events == sum(sum(day.counts.values()) for day in days)
    lines = (tmp_path / "sample.csv").read_text().splitlines()
    assert lines[0] == ",".join(COLUMNS)
    assert len(lines) == 1 + sample.events + sample.repeated
    assert sample.repeated > 0
    assert {day.day for day in days} == {sample.first_day + timedelta(days=n) for n in range(90)}
    assert max(day.day for day in days) == sample.last_day == LAST_DAYS[0]
    assert not list(tmp_path.glob("*.partial"))


@pytest.mark.parametrize("last_day", LAST_DAYS, ids=str)
def test_whatever_weekday_it_ends_on_the_story_is_the_same(tmp_path: Path, last_day: date) -> None:
    sample, days = _made(tmp_path, last_day)
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


def test_the_launch_is_quiet(tmp_path: Path) -> None:
    sample, days = _made(tmp_path, LAST_DAYS[0])
    delivered = {day.day: day.counts[("first", "delivered", None)] for day in days}
    usual = delivered[sample.quiet_to + timedelta(days=7)]
    for day in each_day(sample.quiet_from, sample.quiet_to):
        assert 0 < delivered[day] < usual / 10
    assert (sample.quiet_from, sample.quiet_to) == (sample.first_day, sample.first_day + timedelta(days=9))


def test_every_reason_is_a_declared_label_and_no_identity_ever_leaks(tmp_path: Path) -> None:
    _, days = _made(tmp_path, LAST_DAYS[0])
    reasons = {reason for day in days for _, _, reason in day.counts if reason}
    assert all(map(is_label, reasons))
    assert IDENTITY_LEAK not in reasons
