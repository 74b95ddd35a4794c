"""The words of an alert: what people read first, and below it the lines that decided."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date

from ops_pipeline.contract.config import Config
from ops_pipeline.contract.lines import Line, LineName
from ops_pipeline.contract.rates import RATE_OF
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.vocabulary import AlertKind, AlertSubject, Scope, SignalName, Status
from ops_pipeline.health.alerts import Message, News
from ops_pipeline.health.counts import DayCounts, WindowCounts
from ops_pipeline.health.verdict import Signal
from ops_pipeline.report.daily_lines import signal_line, watchdog_line
from ops_pipeline.store.alerts import StoredMessage

_DEFAULT_KEY = "ops_pipeline"


def alert_key(config: Config) -> str:
    """Return by what receivers know the alerts of this service as belonging together."""
    return _DEFAULT_KEY if config.service.name is None else f"{_DEFAULT_KEY}_{config.service.name}"


def alert_text(message: Message, config: Config, counts: Sequence[DayCounts] = ()) -> tuple[str, str]:
    """Return title and body: what is new since when, the reason that dominates, the next step, what goes on, links.

    `counts` are those that the verdict is from; without them no dominant reason is named.
    """
    worst = message.news[0]
    others = len(message.news) - 1
    of_day = f" (of {message.day}, known late)" if worst.kind is AlertKind.LATE else ""
    title = sentence(message, worst) + (f", and {others} more" if others else "") + of_day
    parts = ["\n".join(_news(message, counts))]
    if worst.kind is not AlertKind.RECOVERED:
        parts.append(f"Next: {worst.reason.next_step}")
    if message.still_open:
        parts.append("\n".join(["Still open:", *(f"- {_open(message, one)}" for one in message.still_open)]))
    elif message.kind is AlertKind.RECOVERED:
        parts.append("Nothing else is open.")
    links = {"Runbook": config.links.of(worst.reason), "Report": config.links.report}
    if found := [f"{name}: {address}" for name, address in links.items() if address is not None]:
        parts.append("\n".join(found))
    if lines := [str(line) for line in _lines(message)]:
        parts.append("\n".join(lines))
    return _of_service(title, config), "\n\n".join(parts)


def _of_service(title: str, config: Config) -> str:
    return f"{config.service.name or _DEFAULT_KEY}: {title}"


def tryout_text(kind: AlertKind, day: date, config: Config) -> tuple[str, str]:
    """Return title and body of a message that raises a test alarm (`test`), or resolves it (`recovered`)."""
    if kind is AlertKind.RECOVERED:
        return _of_service("the test alarm is over", config), f"Nothing is wrong. Sent on {day}."
    return _of_service("a test alarm", config), (
        f"Nothing is wrong: somebody tries whether alerts arrive. Sent on {day}. A second message ends it."
    )


def alert_line(message: Message | StoredMessage) -> Line:
    """Return the line that says what is told: its most urgent kind, and of the worst news reason and first day."""
    return Line(LineName.ALERT, kind=message.kind, as_of=message.day, reason=message.reason, since=message.since)


def sentence(message: Message, news: News) -> str:
    """Return what is new of one subject, with its figures."""
    touch, subject = news.subject
    is_over = news.kind is AlertKind.RECOVERED
    if subject is AlertSubject.RUN:
        return "the daily run works again" if is_over else "the daily run failed, nobody knows how delivery is"
    if subject is AlertSubject.WATCHDOG:
        if is_over:
            return "there is enough data again"
        return f"too little data for {_days(news.days)}, nobody knows how delivery is"
    if is_over:
        return f"{_where(touch)}{_over(subject)}"
    return f"{_where(touch)}{_figures(_signal(message, news))}"


def _where(touch: Scope) -> str:
    return "" if touch is Scope.BOTH else f"{touch} touch: "


def _over(subject: SignalName) -> str:
    words = {
        SignalName.IDENTITY_LEAK: "no more identity leaks",
        SignalName.DELIVERED: "deliveries are as expected again",
        SignalName.FUNNEL: "the counts can be right again",
        SignalName.LABELS: "reasons and segments say something again",
    }
    return words.get(subject) or f"the {subject.replace('_', ' ')} is as expected again"


def _signal(message: Message, news: News) -> Signal:
    verdict = message.verdict
    if verdict is None:
        raise ValueError("news of a signal come with a verdict")
    return next(signal for signal in verdict.signals if signal.key == news.subject)


def _figures(signal: Signal) -> str:
    within = f"in {_days(signal.window_days)}"
    if signal.name is SignalName.IDENTITY_LEAK:
        leaks = "1 identity leak" if signal.count == 1 else f"{signal.count:,} identity leaks"
        return f"{leaks} {within}"
    if signal.name is SignalName.DELIVERED:
        delivered = f"{signal.count:,}" if signal.count else "nothing"
        expected = "" if signal.expected is None else f", {round(signal.expected):,} expected"
        return f"{delivered} delivered {within}{expected}"
    if signal.reason is Reason.NOT_A_SEGMENT:
        return f"too many segments to be segments {within}"
    if signal.name is SignalName.LABELS:
        return f"{signal.count:,} of {signal.total:,} reasons say nothing {within}"
    if signal.name is SignalName.FUNNEL:
        return f"{signal.count:,} of {signal.total:,} events cannot be right {within}"
    rate = RATE_OF[signal.name]
    against = "" if signal.expected is None else f", {_percent(signal.expected)} expected"
    if signal.reason is rate.limit_reason and signal.limit is not None:
        against = f", the limit is {_percent(signal.limit)}"
    return f"{_percent(signal.rate)} {rate.said} {within}{against}"


def _days(days: int) -> str:
    return "a day" if days == 1 else f"{days} days"


def _percent(rate: float | None) -> str:
    return "none" if rate is None else f"{100 * rate:.1f} %"


def _news(message: Message, counts: Sequence[DayCounts]) -> Iterator[str]:
    for news in message.news:
        text = sentence(message, news)
        text = text[0].upper() + text[1:]
        if news.kind is AlertKind.LATE:
            late = f"It was on {news.since}, is known only now that its events have arrived, and is over."
            yield f"{text}. {late}{_main_reason(message, news, counts)}"
        elif news.kind is AlertKind.RECOVERED:
            yield f"{text}. It began on {news.since}."
        else:
            said = {AlertKind.WORSENED: " It has become worse.", AlertKind.REMINDER: " It is still so."}
            yield f"{text}.{said.get(news.kind, '')} Since {news.since}.{_main_reason(message, news, counts)}"


def _open(message: Message, news: News) -> str:
    """Return what has not ended: with its figures where it is unhealthy on the day."""
    touch, subject = news.subject
    if isinstance(subject, AlertSubject):
        words = {AlertSubject.RUN: "the daily run fails", AlertSubject.WATCHDOG: "too little data to judge"}
        return f"{words[subject]}, since {news.since}"
    if message.verdict is not None and _signal(message, news).status is Status.UNHEALTHY:
        return f"{sentence(message, news)}, since {news.since}"
    return f"{_where(touch)}{subject.replace('_', ' ')}, since {news.since}"


def _main_reason(message: Message, news: News, counts: Sequence[DayCounts]) -> str:
    """Return the label that most of a signal's events have, with its share; empty where there is none."""
    touch, subject = news.subject
    if not isinstance(subject, SignalName) or subject not in RATE_OF or RATE_OF[subject].is_low_bad:
        return ""
    signal = _signal(message, news)
    by_reason = WindowCounts(counts, message.day, signal.window_days).by_reason(touch, RATE_OF[subject].outcome)
    if not by_reason:
        return ""
    label = max(sorted(by_reason), key=lambda reason: by_reason[reason])
    return f" Most of it is {label}, {100 * by_reason[label] / sum(by_reason.values()):.0f} %."


def _lines(message: Message) -> Iterator[Line]:
    if message.verdict is not None:
        for news in message.news:
            if isinstance(news.subject[1], SignalName):
                yield signal_line(LineName.OPS_DAILY_SIGNAL, message.verdict, _signal(message, news))
        yield watchdog_line(message.verdict)
