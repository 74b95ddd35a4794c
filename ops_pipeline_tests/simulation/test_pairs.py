"""An incident that begins while another one is open is told on the day on which it would be told alone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from ops_pipeline.contract.config import Alerts
from ops_pipeline.contract.vocabulary import AlertKind, SignalName
from ops_pipeline.health import Verdict, evaluate_range
from ops_pipeline.health.alerts import Subject, Told, due, told_after
from ops_pipeline_tests.conftest import PRINTED
from ops_pipeline_tests.simulation.streams import EARLIER_DAYS, MONDAY, Incident, Stream, make_stream

pytestmark = pytest.mark.slow

_SIGNAL = {
    Incident.SUPPRESSION_JUMP: SignalName.SUPPRESSION_RATE,
    Incident.FAILURE_JUMP: SignalName.FAILURE_RATE,
    Incident.ENGAGEMENT_FALL: SignalName.POSITIVE_RATE,
    Incident.TRAFFIC_STOP: SignalName.DELIVERED,
    Incident.TRAFFIC_DROP: SignalName.DELIVERED,
    Incident.IDENTITY_LEAK: SignalName.IDENTITY_LEAK,
}
_FEWER_ATTEMPTS = (Incident.SUPPRESSION_JUMP, Incident.TRAFFIC_DROP)
_SEEDS = range(40)
_LONGEST = 12


def _signal(incident: Incident) -> SignalName:
    return _SIGNAL.get(incident, SignalName.HOLD_RATE)


def _day_of_news(stream: Stream, name: SignalName) -> int | None:
    """Return how many days after the onset it is first told that this signal opened or got worse; None: never."""
    first = MONDAY + timedelta(days=stream.onset - EARLIER_DAYS - 2)
    verdicts: list[Verdict] = evaluate_range(stream.days, first, MONDAY + timedelta(days=stream.onset + _LONGEST))
    known: dict[Subject, Told] = {}
    for verdict in verdicts:
        message = due(verdict, known, None, Alerts())
        known = told_after(known, message, verdict)
        after = (verdict.as_of - MONDAY).days - stream.onset
        kinds = {one.kind for one in (message.news if message else ()) if one.subject[1] is name}
        if after >= 0 and kinds & {AlertKind.OPENED, AlertKind.WORSENED}:
            return after
    return None


def _is_known_before(stream: Stream, name: SignalName) -> bool:
    """Return whether the signal has an episode when the later incident begins."""
    day = MONDAY + timedelta(days=stream.onset - 1)
    (verdict,) = evaluate_range(stream.days, day, day)
    return any(signal.name is name and signal.episode is not None for signal in verdict.signals)


def _plain_seed(incident: Incident) -> tuple[int, ...]:
    """Return the seed of a busy stream on which the incident alone is told soon."""
    for number in _SEEDS:
        seed = (17, number)
        stream = make_stream(seed, incident)
        if stream.per_day > 3000 and (_day_of_news(stream, _signal(incident)) or 0) <= 8:
            return seed
    raise AssertionError("no stream shows the incident")


def test_in_every_pair_of_incidents_the_later_one_is_told_on_the_day_on_which_it_would_be_alone(
    record_property: Callable[[str, object], None],
) -> None:
    table = ["later incident: days until it is told alone, and with each earlier one open"]
    wrong = []
    for later in Incident:
        seed, name = _plain_seed(later), _signal(later)
        alone = _day_of_news(make_stream(seed, later), name)
        cells = []
        for earlier in Incident:
            stream = make_stream(seed, later, earlier=earlier)
            together = _day_of_news(stream, name)
            if _is_known_before(stream, name):
                # Its signal is known to be unhealthy: there is no news in that.
                cells.append("open")
            elif earlier is Incident.TRAFFIC_STOP and later is not Incident.IDENTITY_LEAK:
                cells.append("no traffic")
            elif later is Incident.HOLD_CREEP and earlier in _FEWER_ATTEMPTS:
                # What creeps shows by its sum: with fewer attempts it takes more days, whatever else is open.
                cells.append(f"{together} (fewer attempts)")
            else:
                cells.append(str(together))
                if together is None or alone is None or together > alone:
                    wrong.append(f"{later} while {earlier}: {together} instead of {alone}")
        table.append(f"{later:20} {alone} | " + " ".join(cells))
    record_property(PRINTED, "\n".join(table))
    assert wrong == []
