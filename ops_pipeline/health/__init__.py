"""Deciding: from daily counts to figures and a verdict. Pure: no database, no Dagster, no clock."""

from ops_pipeline.contract.config import Thresholds
from ops_pipeline.health.counts import DayCounts
from ops_pipeline.health.verdict import Signal, SignalName, Status, Verdict
from ops_pipeline.health.watchdog import evaluate

__all__ = ["DayCounts", "Signal", "SignalName", "Status", "Thresholds", "Verdict", "evaluate"]
