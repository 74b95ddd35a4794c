"""The page of a replay: a strip of days for each rule, and the rates that the present one was decided by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from ops_pipeline.contract.files import PUBLIC, write_whole
from ops_pipeline.contract.tokens import Label
from ops_pipeline.contract.vocabulary import Status
from ops_pipeline.health.replay import Episode, days_per_status, differing, episodes
from ops_pipeline.health.verdict import Verdict
from ops_pipeline.report.page import rendered
from ops_pipeline.report.signal_series import all_rate_series


@dataclass(frozen=True, slots=True)
class Rule:
    """What one rule would have said."""

    name: Label
    verdicts: Mapping[date, Verdict]
    statuses: Mapping[Status, int]
    episodes: Sequence[Episode]


def write_replay_page(path: Path, verdicts: Mapping[Label, Sequence[Verdict]]) -> None:
    """Write the page, whole or not at all. Raises OpsError `report_missing` or `file_not_written`."""
    rules = [
        Rule(name, {one.as_of: one for one in found}, days_per_status(found), episodes(found))
        for name, found in verdicts.items()
    ]
    present, candidate = next(iter(verdicts.values())), list(verdicts.values())[-1]
    days = [verdict.as_of for verdict in present]
    page = rendered(
        "replay.html",
        days=days,
        rules=rules,
        rates=all_rate_series(days, rules[0].verdicts),
        has_candidate=len(rules) > 1,
        differing=differing(present, candidate),
    )
    write_whole(path, page, mode=PUBLIC)
