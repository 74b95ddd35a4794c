"""What the database says of the days before."""

from __future__ import annotations

from datetime import date, timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.vocabulary import Scope, SignalName, Status
from ops_pipeline.health.verdict import Signal, Verdict
from ops_pipeline.store.engine import writing
from ops_pipeline.store.progress import status_since
from ops_pipeline.store.results import write_verdict
from ops_pipeline.store.schema import verdicts
from ops_pipeline_tests.conftest import Database

FIRST = date(2026, 10, 1)


def _verdict(day: date, whole: Status, signal: Status) -> Verdict:
    name, reason = SignalName.HOLD_RATE, Reason.AS_EXPECTED
    found = Signal(touch=Scope.FIRST, name=name, status=signal, reason=reason, window_days=7, total=9, count=1)
    return Verdict(as_of=day, status=whole, reason=Reason.WITHIN_LIMITS, signals=(found,))


def _since(said: list[tuple[date, Status]]) -> date:
    """Return the first day of the last days in a row that were called the same."""
    since, now = said[-1]
    for day, status in reversed(said):
        if status is not now:
            break
        since = day
    return since


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(said=st.lists(st.none() | st.tuples(*[st.sampled_from(Status)] * 2), min_size=1, max_size=12).filter(any))
def test_a_status_holds_since_the_day_after_it_was_last_another(
    database: Database, said: list[tuple[Status, Status] | None]
) -> None:
    days = [(FIRST + timedelta(days=number), found) for number, found in enumerate(said) if found is not None]
    with writing(database.engine) as connection:
        connection.execute(verdicts.delete())
        for day, (whole, signal) in days:
            write_verdict(connection, _verdict(day, whole, signal))
        for number, (day, _) in enumerate(days, start=1):
            assert status_since(connection, day) == {
                (Scope.BOTH, "watchdog"): _since([(day, whole) for day, (whole, _) in days[:number]]),
                (Scope.FIRST, "hold_rate"): _since([(day, signal) for day, (_, signal) in days[:number]]),
            }
