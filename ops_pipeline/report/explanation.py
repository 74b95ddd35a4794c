"""The lines that explain a verdict."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ops_pipeline.contract.lines import Line, LineName
from ops_pipeline.contract.tokens import Label
from ops_pipeline.contract.vocabulary import Status
from ops_pipeline.health.explain import ExplainedSignal, Leak, TriedWindow
from ops_pipeline.health.verdict import Verdict
from ops_pipeline.report.daily_lines import signal_line


def explanation_lines(verdict: Verdict, explained: Iterable[ExplainedSignal], *, is_all: bool) -> Iterator[Line]:
    """Yield the signals with what they were decided by: all, or those that are not healthy."""
    for one in explained:
        if is_all or one.signal.status is not Status.HEALTHY:
            yield signal_line(LineName.WATCHDOG_EXPLAIN_SIGNAL, verdict, one.signal)
            if one.limit_excess is not None:
                yield _limit(one)
            yield from (_window(one, window) for window in one.windows)
            if one.reasons:
                yield _reasons(one)
            yield from (_leak(leak) for leak in one.leaks)


def _leak(leak: Leak) -> Line:
    return Line(
        LineName.WATCHDOG_EXPLAIN_LEAK, as_of=leak.day, touch=leak.touch, outcome=leak.outcome, events=leak.events
    )


def _limit(one: ExplainedSignal) -> Line:
    return Line(
        LineName.WATCHDOG_EXPLAIN_LIMIT,
        touch=one.signal.touch,
        signal=one.signal.name,
        limit=one.signal.limit,
        bound=one.signal.bound,
        excess=one.limit_excess,
    )


def _window(one: ExplainedSignal, window: TriedWindow) -> Line:
    return Line(
        LineName.WATCHDOG_EXPLAIN_WINDOW,
        touch=one.signal.touch,
        signal=one.signal.name,
        window_days=window.window_days,
        count=window.count,
        total=window.total,
        expected_count=window.expected,
        critical_count=window.critical,
        times_expected=window.count / window.expected if window.expected else None,
        tail=window.tail,
        unhealthy=window.is_unhealthy,
        excess=window.excess,
    )


def _reasons(one: ExplainedSignal) -> Line:
    reasons = one.reasons or {}
    total = sum(reasons.values())
    top = max(sorted(reasons), key=lambda reason: reasons[reason])
    return Line(
        LineName.WATCHDOG_EXPLAIN_REASONS,
        touch=one.signal.touch,
        signal=one.signal.name,
        window_days=one.signal.window_days,
        top=Label(top),
        share=reasons[top] / total,
        by_reason={Label(name): reasons[name] for name in sorted(reasons, key=lambda name: (-reasons[name], name))},
    )
