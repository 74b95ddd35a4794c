"""What passes by itself is tried again for as long as that was allowed; what does not fails at once."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

from ops_pipeline.contract import waits
from ops_pipeline.contract.environment import Name
from ops_pipeline.contract.errors import OpsError
from ops_pipeline.contract.reasons import Cause, Reason
from ops_pipeline.contract.waits import retried, told


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(waits, "time", found)
    monkeypatch.setenv(Name.OPS_RETRY_SECONDS, "120")
    return found


def _failing(times: int, error: Callable[[], Exception]) -> Callable[[], str]:
    left = [times]

    def work() -> str:
        if left[0]:
            left[0] -= 1
            raise error()
        return "done"

    return work


PASSING = (
    lambda: psycopg.OperationalError("connection failed: Connection refused"),
    lambda: psycopg.OperationalError("connection failed: FATAL:  sorry, too many clients already"),
    psycopg.errors.AdminShutdown,
    psycopg.errors.ConnectionFailure,
    psycopg.errors.SerializationFailure,
    psycopg.errors.DeadlockDetected,
    psycopg.errors.LockNotAvailable,
    psycopg.errors.DiskFull,
    lambda: OpsError(Reason.DAGSTER_STORAGE_UNAVAILABLE, cause=Cause.REFUSED),
    lambda: OpsError(Reason.DAGSTER_STORAGE_UNAVAILABLE, cause=Reason.DB_CONNECTION_LOST),
)
LASTING = (
    lambda: psycopg.OperationalError("connection failed: FATAL:  password authentication failed"),
    lambda: psycopg.OperationalError('connection failed: FATAL:  database "x" does not exist'),
    lambda: psycopg.OperationalError("failed to resolve host 'x'"),
    psycopg.errors.ReadOnlySqlTransaction,
    psycopg.errors.InsufficientPrivilege,
    psycopg.errors.UndefinedTable,
    psycopg.errors.QueryCanceled,
    lambda: OpsError(Reason.DAGSTER_STORAGE_UNAVAILABLE, cause=Cause.AUTH),
    ValueError,
)


@pytest.mark.parametrize("error", PASSING)
def test_what_passes_is_tried_again_with_growing_pauses(clock: Clock, error: Callable[[], Exception]) -> None:
    said: list[dict[str, object]] = []
    with told(lambda reason, **fields: said.append({"reason": reason, **fields})):
        assert retried(_failing(3, error)) == "done"
    assert clock.pauses == [1, 2, 4]
    assert [one["tries"] for one in said] == [2, 3, 4]


@pytest.mark.parametrize("error", LASTING)
def test_what_does_not_pass_fails_at_once_and_as_it_is(clock: Clock, error: Callable[[], Exception]) -> None:
    with pytest.raises(type(error())):
        retried(_failing(1, error))
    assert clock.pauses == []


def test_after_the_allowed_time_it_fails_with_the_number_of_tries_and_nobody_outside_tries_again(
    clock: Clock,
) -> None:
    work = _failing(10**6, psycopg.errors.AdminShutdown)
    with pytest.raises(OpsError) as caught:
        retried(lambda: retried(work))
    assert caught.value.reason is Reason.DB_CONNECTION_LOST
    assert caught.value.fields == {"tries": 8}
    assert clock.pauses == [1, 2, 4, 8, 16, 30, 30]
    assert clock.now <= 120


def test_no_time_is_allowed_and_nothing_is_tried_again(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(Name.OPS_RETRY_SECONDS, "0")
    with pytest.raises(OpsError) as caught:
        retried(_failing(1, psycopg.errors.AdminShutdown))
    assert caught.value.fields == {}
    assert clock.pauses == []


def test_whoever_interrupts_is_obeyed_at_once(clock: Clock) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        retried(interrupted)
    assert clock.pauses == []
