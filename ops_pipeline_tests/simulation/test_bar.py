"""The bar of the watchdog, on a part of the simulated streams that docs/explanation/watchdog.md reports on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context

import numpy as np
import pytest

from ops_pipeline.health import Thresholds
from ops_pipeline_tests.simulation.benchmark import Seen, broken, clean
from ops_pipeline_tests.simulation.rules import this_project
from ops_pipeline_tests.simulation.streams import WARM_UP, YEAR, Incident, make_stream

pytestmark = pytest.mark.slow

YEARS, EACH = 80, 12


@pytest.fixture(scope="module")
def pool() -> Iterator[Executor]:
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as processes:
        yield processes


@pytest.fixture(scope="module")
def incidents(pool: Executor) -> list[Seen]:
    cases = [(incident, number) for incident in Incident for number in range(EACH)]
    return list(pool.map(partial(broken, this_project), cases, chunksize=4))


def test_a_seed_always_gives_the_same_stream_and_another_one_another() -> None:
    first, again, other = (make_stream((1, number), Incident.HOLD_CREEP) for number in (1, 1, 2))
    assert first == again
    assert first.days != other.days
    assert len(make_stream((1, 1)).days) == WARM_UP + YEAR


def test_clean_traffic_has_at_most_one_false_alarm_in_two_years(pool: Executor) -> None:
    alarms = list(pool.map(partial(clean, this_project), range(YEARS), chunksize=4))
    assert np.mean(alarms) <= 0.5


@pytest.mark.parametrize("budget", [0.1, 2.0])
def test_the_budget_of_false_alarms_is_kept(pool: Executor, budget: float) -> None:
    rule = partial(this_project, thresholds=Thresholds(fa_per_year=budget))
    alarms = list(pool.map(partial(clean, rule), range(YEARS), chunksize=4))
    # The count of a Poisson process with that mean, at five standard deviations.
    assert sum(alarms) <= budget * YEARS + 5 * np.sqrt(budget * YEARS)


def test_of_the_incidents_that_can_be_seen_nineteen_of_twenty_are_most_of_them_at_once(incidents: list[Seen]) -> None:
    visible = [one for one in incidents if one.is_visible]
    delays = [one.delay for one in visible if one.delay is not None]
    assert len(delays) / len(visible) >= 0.94
    assert np.median(delays) <= 1


def test_a_stop_and_a_leak_are_never_missed(incidents: list[Seen]) -> None:
    for incident in (Incident.TRAFFIC_STOP, Incident.IDENTITY_LEAK):
        assert all(one.delay is not None for one in incidents if one.incident is incident and one.is_visible)
