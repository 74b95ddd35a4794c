"""The page of a replay: a strip of days for each rule, and the rates that they were decided by."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from ops_pipeline.contract.errors import OpsError
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.vocabulary import Scope, Status
from ops_pipeline.health.replay import days_per_status, differing, episodes
from ops_pipeline.health.verdict import Verdict

# Blue, grey and orange are told apart by the colour-blind, and in print.
_COLOURS = {Status.HEALTHY: "#4c78a8", Status.INSUFFICIENT_DATA: "#bab0ac", Status.UNHEALTHY: "#e45756"}
_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;color:#222;"
    "background:#fff}table{border-collapse:collapse}th,td{text-align:left;padding:.25rem .75rem .25rem 0;"
    "border-bottom:1px solid #ccc}svg{max-width:100%;height:auto}"
)


def write_replay_page(path: Path, verdicts: Mapping[str, Sequence[Verdict]]) -> None:
    """Write the page, whole or not at all. Raises OpsError `report_missing` or `file_not_written`."""
    page = _page(verdicts)
    partial = path.with_name(f"{path.name}.partial")
    is_written = False
    try:
        partial.write_text(page, encoding="utf-8")
        partial.replace(path)
        is_written = True
    except OSError:
        pass
    if not is_written:
        raise OpsError(Reason.FILE_NOT_WRITTEN)


def _page(verdicts: Mapping[str, Sequence[Verdict]]) -> str:
    present, candidate = next(iter(verdicts.values())), list(verdicts.values())[-1]
    blocks = [
        "<h1>What the watchdog would have said</h1>",
        f"<p>{present[0].as_of} to {present[-1].as_of}, UTC days.</p>",
        _plot(verdicts),
        "<h2>Days</h2>",
        _table(("rule", *Status, "episodes"), _day_rows(verdicts)),
        "<h2>Episodes</h2>",
        _table(("rule", "first day", "last unhealthy day", "unhealthy days", "reasons"), _episode_rows(verdicts)),
    ]
    if len(verdicts) > 1:
        rows = (
            (one.as_of, one.status, one.reason, other.status, other.reason)
            for one, other in differing(present, candidate)
        )
        blocks += ["<h2>Days that differ</h2>", _table(("day", "present", "reason", "candidate", "reason"), rows)]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Watchdog replay</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style></head><body>{''.join(blocks)}</body></html>\n"
    )


def _day_rows(verdicts: Mapping[str, Sequence[Verdict]]) -> Iterator[Sequence[object]]:
    for rule, found in verdicts.items():
        yield rule, *days_per_status(found).values(), len(episodes(found))


def _episode_rows(verdicts: Mapping[str, Sequence[Verdict]]) -> Iterator[Sequence[object]]:
    for rule, found in verdicts.items():
        for one in episodes(found):
            yield rule, one.first, one.last, one.days, ", ".join(one.reasons)


def _table(header: Sequence[object], rows: Iterator[Sequence[object]]) -> str:
    head = "".join(f"<th>{escape(str(cell))}</th>" for cell in header)
    body = "".join("<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    if not body:
        return "<p>None.</p>"
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _plot(verdicts: Mapping[str, Sequence[Verdict]]) -> str:
    altair, converter = _library("altair"), _library("vl_convert")
    strip = (
        altair.Chart(altair.Data(values=list(_status_rows(verdicts))))
        .mark_rect()
        .encode(
            x=altair.X("yearmonthdate(day):O", title=None, axis=altair.Axis(labelOverlap=True, ticks=False)),
            y=altair.Y("rule:N", title=None, sort=list(verdicts)),
            color=altair.Color(
                "status:N",
                title="status",
                scale=altair.Scale(domain=list(map(str, _COLOURS)), range=list(_COLOURS.values())),
            ),
        )
        .properties(width=760, height=28 * len(verdicts), title="Status of each day")
    )
    rates = (
        altair.Chart(altair.Data(values=list(_rate_rows(next(iter(verdicts.values()))))))
        .mark_line(strokeWidth=1.2)
        .encode(
            x=altair.X("day:T", title=None),
            y=altair.Y("rate:Q", title=None),
            color=altair.Color("touch:N", title="touch", scale=altair.Scale(scheme="tableau10")),
        )
        .properties(width=340, height=110)
        .facet(facet=altair.Facet("signal:N", title=None), columns=2)
        .resolve_scale(y="independent")
    )
    chart = altair.vconcat(strip, rates).resolve_scale(color="independent")
    svg: str = converter.vegalite_to_svg(chart.to_json())
    label = "Status of each day, and the rate of each signal; the tables below say the same in words"
    return f'<figure role="img" aria-label="{label}">{svg}</figure>'


def _status_rows(verdicts: Mapping[str, Sequence[Verdict]]) -> Iterator[dict[str, str]]:
    for rule, found in verdicts.items():
        for verdict in found:
            yield {"rule": rule, "day": f"{verdict.as_of}T00:00:00", "status": str(verdict.status)}


def _rate_rows(verdicts: Sequence[Verdict]) -> Iterator[dict[str, object]]:
    for verdict in verdicts:
        for signal in verdict.signals:
            if signal.touch is not Scope.BOTH and signal.rate is not None:
                day = f"{verdict.as_of}T00:00:00"
                yield {"day": day, "signal": str(signal.name), "touch": str(signal.touch), "rate": signal.rate}


def _library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        pass
    raise OpsError(Reason.REPORT_MISSING)
