"""What is worth an alert: what is new against what people were told, never a state that goes on unsaid."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import TypeAlias

from ops_pipeline.contract.config import Alerts
from ops_pipeline.contract.days import ONE_DAY
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.vocabulary import AlertKind, AlertSubject, Change, Scope, Severity, SignalName, Status
from ops_pipeline.health.episodes import RECOVERY_DAYS
from ops_pipeline.health.verdict import WORST_FIRST, Signal, Verdict

Subject: TypeAlias = tuple[Scope, SignalName | AlertSubject]
"""What people are told of: a signal of a touch, the daily run, or the whole verdict."""

RUN: Subject = (Scope.BOTH, AlertSubject.RUN)
WATCHDOG: Subject = (Scope.BOTH, AlertSubject.WATCHDOG)

_KINDS = list(AlertKind)
PAGES = frozenset({AlertKind.OPENED, AlertKind.SPREAD, AlertKind.WORSENED, AlertKind.FAILED})
"""What somebody is woken for."""
_SEVERITIES = {
    **dict.fromkeys(PAGES, Severity.FAILURE),
    AlertKind.TEST: Severity.FAILURE,
    AlertKind.RECOVERED: Severity.SUCCESS,
}


def severity(kind: AlertKind) -> Severity:
    """Return how a receiver is to show it: what goes on as a failure or warning, what is over as a success."""
    return _SEVERITIES.get(kind, Severity.WARNING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What people know of something that has not ended."""

    reason: Reason
    """The worst that was told of it."""
    since: date
    """First UTC day of it, as it was told."""
    worst: int
    """Gravity of the worst that was told."""
    told_on: date
    """The last UTC day that a message about it was about."""
    seen_on: date
    """The last UTC day on which it had not ended."""
    is_muted: bool = False
    """Whether it was muted on that day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """Something to tell of one subject."""

    subject: Subject
    kind: AlertKind
    reason: Reason
    since: date
    worst: int = 1
    days: int = 0
    """Of `blind`: days that could not be judged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """All that is new at one time, the worst first, and what else has not ended."""

    kind: AlertKind
    """The most urgent kind of news in it."""
    day: date
    """The UTC day that it is about."""
    news: tuple[News, ...]
    still_open: tuple[News, ...] = ()
    verdict: Verdict | None = None
    """What the news are from; None: they are of the run."""

    @property
    def reason(self) -> Reason:
        """The reason of the worst news."""
        return self.news[0].reason

    @property
    def since(self) -> date:
        """The first UTC day of the worst news."""
        return self.news[0].since


@dataclass(frozen=True, slots=True)
class Blindness:
    """Days in a row that could not be judged, after one that was."""

    since: date
    days: int


def due(
    verdict: Verdict, told: Mapping[Subject, Told], blindness: Blindness | None, settings: Alerts
) -> Message | None:
    """Return what `verdict`, the newest there is, makes worth telling those who were told `told`; None: nothing."""
    news = [one for signal in verdict.signals if (one := _of_signal(verdict, signal, told.get(signal.key), settings))]
    if (of_whole := _of_whole(verdict, told.get(WATCHDOG), blindness, settings)) is not None:
        news.append(of_whole)
    return _message(verdict.as_of, news, told, verdict)


def due_of_run(
    day: date, told: Mapping[Subject, Told], settings: Alerts, *, has_failed: bool, has_run: bool
) -> Message | None:
    """Return what the daily run of `day`, the newest there is, makes worth telling; None: nothing."""
    known = told.get(RUN)
    kind = None
    if has_failed:
        if known is None:
            kind = AlertKind.FAILED
        elif _is_reminder(day, known, settings):
            kind = AlertKind.REMINDER
    elif known is not None and has_run:
        kind = AlertKind.RECOVERED
    if kind is None:
        return None
    news = News(subject=RUN, kind=kind, reason=Reason.RUN_FAILED, since=day if known is None else known.since)
    return _message(day, [news], told, None)


def due_late(
    verdict: Verdict,
    before: Mapping[date, Verdict],
    newest: Verdict,
    told: Mapping[Subject, Told],
    settings: Alerts,
) -> Message | None:
    """Return what `verdict` says of a day before the `newest` one that is worth telling although it is over.

    That is: a signal became unhealthy by events that arrived late (`before` is what was said of each day until now),
    its window ended before the newest day, and neither did anybody tell of it nor will another message.
    """
    if verdict.as_of not in before:
        return None
    is_told = {one.key for one in newest.signals if one.status is Status.UNHEALTHY} | told.keys()
    news = [
        News(subject=one.key, kind=AlertKind.LATE, reason=one.reason, since=verdict.as_of)
        for one in verdict.signals
        # Once: the days after the first that the same events make unhealthy are the same episode.
        if one.change is Change.OPENED
        and one.key not in is_told
        and not _was_unhealthy(one.key, verdict.as_of, one.window_days, before)
        and (newest.as_of - verdict.as_of).days >= one.window_days
        and settings.muted_until(*one.key, verdict.as_of) is None
    ]
    return _message(verdict.as_of, news, {}, verdict)


def _was_unhealthy(key: Subject, day: date, window_days: int, before: Mapping[date, Verdict]) -> bool:
    """Return whether the signal was unhealthy, as it was said before, on `day` or soon after: that was told then."""
    return any(
        signal.key == key and signal.status is Status.UNHEALTHY
        for later in range(window_days + RECOVERY_DAYS + 1)
        if (verdict := before.get(day + later * ONE_DAY)) is not None
        for signal in verdict.signals
    )


def told_after(told: Mapping[Subject, Told], message: Message | None, verdict: Verdict | None) -> dict[Subject, Told]:
    """Return what people know after `message`, about `verdict` if it is about one."""
    found = dict(told)
    if verdict is not None:
        for signal in verdict.signals:
            known = found.get(signal.key)
            if known is not None and signal.episode is not None:
                # A mute that ended is told of when the signal is unhealthy next.
                is_muted = signal.muted_until is not None or (
                    known.is_muted and signal.status is not Status.UNHEALTHY
                )
                found[signal.key] = replace(known, seen_on=max(known.seen_on, verdict.as_of), is_muted=is_muted)
    if message is None:
        return found
    for subject, known in list(found.items()):
        if any(one.subject == subject for one in message.still_open):
            found[subject] = replace(known, told_on=message.day)
    for one in message.news:
        if one.kind is AlertKind.RECOVERED:
            found.pop(one.subject, None)
        else:
            found[one.subject] = Told(
                reason=one.reason, since=one.since, worst=one.worst, told_on=message.day, seen_on=message.day
            )
    return found


def _of_signal(verdict: Verdict, signal: Signal, known: Told | None, settings: Alerts) -> News | None:
    if signal.episode is None:
        if known is None:
            return None
        return News(subject=signal.key, kind=AlertKind.RECOVERED, reason=known.reason, since=known.since)
    if signal.muted_until is not None or signal.status is not Status.UNHEALTHY:
        return None
    episode = signal.episode
    kind = None
    # Late data may move the beginning of an episode: it is another one only if it began after what was known.
    if known is None or episode.since > known.seen_on:
        kind = AlertKind.OPENED
    elif episode.worst > known.worst:
        kind = AlertKind.WORSENED
    elif known.is_muted or _is_reminder(verdict.as_of, known, settings):
        kind = AlertKind.REMINDER
    if kind is None:
        return None
    return News(subject=signal.key, kind=kind, reason=signal.reason, since=episode.since, worst=episode.worst)


def _of_whole(verdict: Verdict, known: Told | None, blindness: Blindness | None, settings: Alerts) -> News | None:
    if verdict.status is not Status.INSUFFICIENT_DATA:
        if known is None:
            return None
        return News(subject=WATCHDOG, kind=AlertKind.RECOVERED, reason=known.reason, since=known.since)
    if verdict.reason is Reason.PLANNED or blindness is None or blindness.days < settings.blind_days:
        return None
    kind = AlertKind.BLIND
    if known is not None:
        if not _is_reminder(verdict.as_of, known, settings):
            return None
        kind = AlertKind.REMINDER
    return News(subject=WATCHDOG, kind=kind, reason=verdict.reason, since=blindness.since, days=blindness.days)


def _is_reminder(day: date, known: Told, settings: Alerts) -> bool:
    return settings.remind_days > 0 and (day - known.told_on).days >= settings.remind_days


def _message(day: date, news: list[News], told: Mapping[Subject, Told], verdict: Verdict | None) -> Message | None:
    if not news:
        return None
    of_news = {one.subject for one in news}
    still_open = sorted(_still_open(told, of_news, verdict), key=_urgency)
    is_over = not still_open and all(one.kind is AlertKind.RECOVERED for one in news)
    goes_on = still_open or any(one.kind in (AlertKind.WORSENED, AlertKind.REMINDER) for one in news)
    kind = min((one.kind for one in news), key=_KINDS.index)
    if kind is AlertKind.OPENED and goes_on:
        kind = AlertKind.SPREAD
    if kind is AlertKind.RECOVERED and not is_over:
        kind = AlertKind.EASED
    return Message(
        kind=kind,
        day=day,
        news=tuple(sorted(news, key=_urgency)),
        still_open=tuple(still_open),
        verdict=verdict,
    )


def _still_open(told: Mapping[Subject, Told], of_news: set[Subject], verdict: Verdict | None) -> Iterator[News]:
    muted = set() if verdict is None else {one.key for one in verdict.signals if one.muted_until is not None}
    for subject, known in told.items():
        if subject not in of_news and subject not in muted and not known.is_muted:
            yield News(
                subject=subject, kind=AlertKind.REMINDER, reason=known.reason, since=known.since, worst=known.worst
            )


def _urgency(news: News) -> tuple[int, int]:
    rank = WORST_FIRST.index(news.reason) if news.reason in WORST_FIRST else len(WORST_FIRST)
    return _KINDS.index(news.kind), rank


def with_mutes(verdict: Verdict, settings: Alerts) -> Verdict:
    """Return `verdict` with the last day of each signal's mute, of those that have an open episode."""
    return replace(
        verdict,
        signals=tuple(
            replace(signal, muted_until=settings.muted_until(*signal.key, verdict.as_of))
            if signal.episode is not None
            else signal
            for signal in verdict.signals
        ),
    )
