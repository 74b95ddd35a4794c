"""The watchdog as asset checks: one for the whole, one for each signal of each touch.

healthy is passed; insufficient_data is failed with severity WARN; unhealthy is failed with severity ERROR. A failed
check never fails the run: the verdict is the answer, and the run has succeeded in finding it.
"""

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date

import dagster as dg

from ops_pipeline.contract.config import Links
from ops_pipeline.contract.days import parse_day
from ops_pipeline.contract.errors import error_boundary
from ops_pipeline.contract.lines import as_text
from ops_pipeline.contract.rates import RATES
from ops_pipeline.contract.vocabulary import Scope, Touch
from ops_pipeline.health import Signal, SignalName, Status, Verdict
from ops_pipeline.orchestration.assets import DIGITS
from ops_pipeline.orchestration.partitions import utc_days
from ops_pipeline.orchestration.resources import Deployment
from ops_pipeline.report.tables import markdown_table
from ops_pipeline.store.engine import reading
from ops_pipeline.store.progress import status_since
from ops_pipeline.store.results import WATCHDOG

_ASSET_OF = {SignalName.DELIVERED: "delivered_totals", **{rate.name: rate.asset for rate in RATES}}

_OF_BOTH = {
    SignalName.IDENTITY_LEAK: "Was nothing held and nobody disabled because an identity leaked? One is unhealthy.",
    SignalName.FUNNEL: "Can the counts be right: does each step have at most the events of the one before it?",
    SignalName.LABELS: "Do reasons and segments say something: valid, declared, and few enough to be segments?",
}

_DESCRIPTION_OF = {
    SignalName.DELIVERED: "Are as many messages of the {touch} touch delivered as the same weekdays usually bring?",
    **{rate.name: rate.question for rate in RATES},
}

_PLOTTED = ("expected", "critical", "limit")
_DETAILS = ("window_days", "count", "total", "bound", "history_days", "min_detectable")

_COLUMNS = (
    "touch",
    "status",
    "reason",
    "window_days",
    "count",
    "total",
    "rate",
    "expected",
    "critical",
    "limit",
)


def _asset_of(name: SignalName, touch: str) -> str:
    return "second_touch_summaries" if touch == Touch.SECOND else _ASSET_OF[name]


def _check_name(name: SignalName, touch: str) -> str:
    return f"{name}_{touch}"


def _specs() -> Iterator[dg.AssetCheckSpec]:
    yield dg.AssetCheckSpec(
        WATCHDOG,
        asset="daily_counts",
        description="Is delivery healthy, unhealthy, or is there too little data to say?",
        partitions_def=utc_days,
    )
    for name, description in _OF_BOTH.items():
        yield dg.AssetCheckSpec(name.value, asset="daily_counts", description=description, partitions_def=utc_days)
    for touch in Touch:
        for name in _ASSET_OF:
            yield dg.AssetCheckSpec(
                _check_name(name, touch),
                asset=_asset_of(name, touch),
                description=_DESCRIPTION_OF[name].format(touch=touch),
                partitions_def=utc_days,
            )


with warnings.catch_warnings():
    # Partitioned checks are a preview of Dagster's: pyproject.toml holds it to the version that is tested.
    warnings.simplefilter("ignore", dg.PreviewWarning)
    _SPECS = list(_specs())


@dataclass(frozen=True, slots=True)
class Judged:
    """A verdict, and what is shown beside it."""

    verdict: Verdict
    status_since: Mapping[tuple[Scope, str], date]
    """Since which day each signal, and the whole, has its status."""
    links: Links


def check_results(judged: Judged) -> list[dg.AssetCheckResult]:
    """Return the result of every check: of the whole, then signal by signal."""
    return [_whole(judged), *(_result(judged, signal) for signal in judged.verdict.signals)]


@dg.multi_asset_check(
    specs=_SPECS,
    name="watchdog",
    description="Reports the verdict of the day, signal by signal.",
    can_subset=True,
)
@error_boundary
def watchdog(context: dg.AssetCheckExecutionContext, deployment: Deployment) -> Iterator[dg.AssetCheckResult]:
    """Yield the verdict's whole and its signals as check results."""
    judged = _judge(deployment, parse_day(context.partition_key))
    selected = {(key.asset_key, key.name) for key in context.selected_asset_check_keys}
    for result in check_results(judged):
        if (result.asset_key, result.check_name) in selected:
            yield result


def _judge(deployment: Deployment, day: date) -> Judged:
    verdict = deployment.published(day).verdicts[day]
    with reading(deployment.engine()) as connection:
        return Judged(verdict, status_since(connection, day), deployment.settings().links)


def _severity(status: Status) -> dg.AssetCheckSeverity:
    return dg.AssetCheckSeverity.WARN if status is Status.INSUFFICIENT_DATA else dg.AssetCheckSeverity.ERROR


def _shown(judged: Judged, one: Verdict | Signal, touch: Scope, name: str) -> dict[str, str | dg.MetadataValue]:
    """Return what every check says: status, since when, what is new, and what to do."""
    since, runbook = judged.status_since.get((touch, name)), judged.links.of(one.reason)
    return {
        "status": one.status.value,
        "reason": one.reason.value,
        **({} if since is None else {"status_since": since.isoformat()}),
        **({} if one.since is None else {"episode_since": one.since.isoformat()}),
        "change": one.change.value,
        "next_step": one.reason.next_step,
        **({} if runbook is None else {"runbook": dg.MetadataValue.url(runbook)}),
    }


def _whole(judged: Judged) -> dg.AssetCheckResult:
    verdict = judged.verdict
    table = markdown_table(
        ("signal", *_COLUMNS),
        ((signal.name, *(getattr(signal, column) for column in _COLUMNS)) for signal in verdict.signals),
    )
    return dg.AssetCheckResult(
        asset_key="daily_counts",
        check_name=WATCHDOG,
        passed=verdict.status is Status.HEALTHY,
        severity=_severity(verdict.status),
        description=verdict.reason.means,
        metadata={
            **_shown(judged, verdict, Scope.BOTH, WATCHDOG),
            "signals": dg.MetadataValue.md(table),
        },
    )


def _result(judged: Judged, signal: Signal) -> dg.AssetCheckResult:
    is_whole = signal.touch is Scope.BOTH
    observed = signal.count if signal.rate is None else signal.rate
    figures = {"observed": observed} | {name: getattr(signal, name) for name in _PLOTTED}
    details = " ".join(f"{name}={as_text(getattr(signal, name))}" for name in _DETAILS)
    return dg.AssetCheckResult(
        asset_key="daily_counts" if is_whole else _asset_of(signal.name, signal.touch),
        check_name=signal.name.value if is_whole else _check_name(signal.name, signal.touch),
        passed=signal.status is Status.HEALTHY,
        severity=_severity(signal.status),
        description=signal.reason.means,
        metadata={
            **_shown(judged, signal, signal.touch, signal.name),
            **({} if signal.muted_until is None else {"muted_until": signal.muted_until.isoformat()}),
            # Numbers, so that Dagster plots them over the days.
            **{name: round(figure, DIGITS) for name, figure in figures.items() if figure is not None},
            "details": details,
        },
    )
