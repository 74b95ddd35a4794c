"""A day's verdict and figures as samples for Prometheus: gauges, labelled by words of the contract alone."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Gauge, generate_latest

from ops_pipeline.contract.days import ONE_DAY, start_of
from ops_pipeline.contract.rates import RATE_OF
from ops_pipeline.contract.vocabulary import Status
from ops_pipeline.health.metrics import Metrics
from ops_pipeline.health.verdict import Signal, Verdict
from ops_pipeline.report.daily_lines import rate_parts

_PREFIX = "ops_pipeline_"
_STEPS = ("offered", "suppressed", "attempts", "queued", "held", "delivered", "failed", "acknowledged", "disabled")
_OF_TOTALS = ("delivered", "positive")
_SIGNAL = {
    "expected": "What earlier weeks lead one to expect of it",
    "critical": "From where it is unhealthy by its history",
    "limit": "Its configured limit",
    "total": "Events that it is a share of",
    "history_days": "Days of history that its expected value was learned from",
}


class _Samples:
    """Gauges that are made as they are first set; a figure that is not known is no sample."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._gauges: dict[str, Gauge] = {}

    def set(self, name: str, means: str, value: float | None, labels: Mapping[str, object] | None = None) -> None:
        """Set one sample."""
        if value is None:
            return
        labels = labels or {}
        if name not in self._gauges:
            self._gauges[name] = Gauge(_PREFIX + name, means, list(labels), registry=self.registry)
        gauge = self._gauges[name]
        (gauge.labels(**{key: str(found) for key, found in labels.items()}) if labels else gauge).set(value)


def exposition(verdict: Verdict, metrics: Metrics | None) -> str:
    """Return the samples of the day in Prometheus's text format; times are seconds since 1970."""
    samples = _Samples()
    until = start_of(verdict.as_of + ONE_DAY).timestamp()
    samples.set("decided_until_timestamp_seconds", "End of the UTC day that these samples are about", until)
    for status in Status:
        is_so = float(verdict.status is status)
        samples.set("status", "1 for the day's status, 0 for the others", is_so, {"status": status})
    samples.set("reason_info", "The worst reason of the day", 1, {"reason": verdict.reason})
    if verdict.since is not None:
        since = start_of(verdict.since).timestamp()
        samples.set("episode_start_timestamp_seconds", "Start of the present episode; absent without one", since)
    for signal in verdict.signals:
        _signal(samples, signal)
    if metrics is not None:
        _figures(samples, metrics)
    return generate_latest(samples.registry).decode()


def _signal(samples: _Samples, signal: Signal) -> None:
    labels = {"touch": signal.touch, "signal": signal.name}
    for status in Status:
        is_so = float(signal.status is status)
        samples.set(
            "signal_status", "1 for the signal's status, 0 for the others", is_so, {**labels, "status": status}
        )
    if signal.since is not None:
        samples.set(
            "signal_episode_start_timestamp_seconds",
            "Start of the signal's present episode; absent without one",
            start_of(signal.since).timestamp(),
            labels,
        )
    observed = signal.count if signal.rate is None else signal.rate
    samples.set("signal_observed", "A rate as a fraction of 1; without one, events", observed, labels)
    for name, means in _SIGNAL.items():
        samples.set(f"signal_{name}", means, getattr(signal, name), labels)


def _figures(samples: _Samples, metrics: Metrics) -> None:
    for total in metrics.totals:
        labels = {"touch": total.touch, "window_days": total.window_days}
        samples.set("delivered", "Messages that were delivered", total.delivered, labels)
        samples.set("positive", "Positive acknowledgements", total.positive, labels)
    for found in metrics.rates:
        labels = {"touch": found.touch, "window_days": found.window_days}
        rate = RATE_OF[found.name]
        samples.set(rate.name.replace("_rate", "_ratio"), rate.formula, found.value, labels)
        for name, value in rate_parts(found).items():
            if name not in _OF_TOTALS:
                samples.set(name, f"Events: {name}", value, labels)
    for summary in metrics.second_touch:
        for name in _STEPS:
            labels = {"window_days": summary.window_days}
            samples.set(f"second_touch_{name}", f"Events of the second touch: {name}", getattr(summary, name), labels)
