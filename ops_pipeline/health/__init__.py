"""Deciding: from daily counts to figures and a verdict. Pure: no database, no Dagster, no clock."""

from ops_pipeline.contract.config import Thresholds
from ops_pipeline.contract.vocabulary import Change, SignalName, Status
from ops_pipeline.health.counts import DayCounts
from ops_pipeline.health.verdict import Signal, Verdict
from ops_pipeline.health.watchdog import evaluate, evaluate_range

__all__ = [
    "Change",
    "DayCounts",
    "Signal",
    "SignalName",
    "Status",
    "Thresholds",
    "Verdict",
    "evaluate",
    "evaluate_range",
]
