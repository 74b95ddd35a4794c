"""The steps that verify production, in order; the tool `prod_verify` and the job of that name take the same ones."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from ops_pipeline.contract.lines import Line, LineName
from ops_pipeline.contract.tokens import Label
from ops_pipeline.operations.prod_config import check_production

_OK = Label("ok")


class VerifyMode(StrEnum):
    """How far to go."""

    DRY_RUN = "dry_run"
    """Configuration and revisions: connects nowhere."""
    VERIFY = "verify"
    """The databases too, and a strict run of the last complete day."""


class Step(StrEnum):
    """What is verified, in this order."""

    CONFIG = "config"
    PLAN = "plan"
    DATABASE = "database"
    OPS_DAILY = "ops_daily"


def step_line(step: Step, status: Label, **fields: object) -> Line:
    """Return the line that says how a step ended."""
    return Line(LineName.PROD_VERIFY, step=step, status=status, **fields)


def _config() -> Line:
    return step_line(Step.CONFIG, _OK, required=check_production())


def _plan() -> Line:
    from ops_pipeline.store.revisions import check_revisions

    return step_line(Step.PLAN, _OK, migrations=len(check_revisions()))


def _database() -> Line:
    from ops_pipeline.events.verify import verify_deployment

    found = verify_deployment()
    return step_line(
        Step.DATABASE, _OK, revision=found.ops.revision, tables=found.ops.tables, warnings=found.warnings
    )


CHECKS: dict[Step, Callable[[], Line]] = {Step.CONFIG: _config, Step.PLAN: _plan, Step.DATABASE: _database}
"""The steps that only look; each returns its line or raises OpsError."""
STEPS = {VerifyMode.DRY_RUN: (Step.CONFIG, Step.PLAN), VerifyMode.VERIFY: tuple(Step)}
"""The steps of each mode."""
