"""The operator's tools as jobs, for whoever has the UI and no shell: the same functions, lines and reasons."""

from collections.abc import Callable, Iterator
from typing import Any

import dagster as dg

from ops_pipeline.contract.days import last_complete_day
from ops_pipeline.contract.errors import OpsError, error_boundary, to_ops_error
from ops_pipeline.contract.lines import Line, LineName
from ops_pipeline.contract.tokens import Label
from ops_pipeline.contract.vocabulary import Status
from ops_pipeline.events.verify import verify_deployment
from ops_pipeline.operations import bootstrap
from ops_pipeline.operations.verification import CHECKS, STEPS, Step, VerifyMode, step_line
from ops_pipeline.orchestration.daily_run import run_ops_daily
from ops_pipeline.orchestration.resources import Deployment
from ops_pipeline.orchestration.retention import RetentionMode, retain


class _LineFailure(dg.Failure):
    """A failed run whose text is a line."""

    has_safe_text = True


def _do(context: dg.OpExecutionContext, work: Callable[[], Line], failed: LineName, **fields: object) -> None:
    """Log the line that `work` returns; where it fails, fail the run with the line that the tool would print."""
    try:
        line = work()
    except Exception as error:  # noqa: BLE001 - the boundary of these jobs
        failure = to_ops_error(error)
    else:
        context.log.info(str(line))
        return
    raise _LineFailure(
        description=str(Line(failed, status=Label("fail"), **fields, reason=failure.reason, **failure.fields)),
        metadata={
            "reason": failure.reason.value,
            "means": failure.reason.means,
            "next_step": failure.reason.next_step,
        },
        allow_retries=False,
    )


def _mode(**modes: str) -> dg.Field:
    """Return the config field `mode`: one of these words, each with what it does; the first is the default."""
    words = dg.Enum("_".join(modes), [dg.EnumValue(word, description=what) for word, what in modes.items()])
    default, *_ = modes
    described = "; ".join(f"{word}: {what}" for word, what in modes.items())
    return dg.Field(words, is_required=False, default_value=default, description=described)


_BOOTSTRAP_MODE = _mode(
    dry_run="check the revisions, no database needed", apply_migrations="apply those that are pending"
)
_VERIFY_MODE = _mode(
    dry_run="configuration and revisions, connects nowhere",
    verify="the databases too, and a strict run of the last complete day",
)


_RETENTION_MODE = _mode(dry_run="say what is past its date", apply="drop it")


# A job's name cannot be an op's too.
@dg.op(name="apply_or_check_revisions", out=dg.Out(dg.Nothing), config_schema={"mode": _BOOTSTRAP_MODE})
@error_boundary
def _bootstrap(context: dg.OpExecutionContext) -> None:
    if context.op_config["mode"] == bootstrap.APPLY_MIGRATIONS:
        _do(context, bootstrap.apply, LineName.DB_BOOTSTRAP, mode=bootstrap.APPLY_MIGRATIONS)
    else:
        _do(context, bootstrap.dry_run, LineName.DB_BOOTSTRAP_DRY_RUN)


@dg.op(name="compare_databases", out=dg.Out(dg.Nothing))
@error_boundary
def _verify(context: dg.OpExecutionContext) -> None:
    _do(context, lambda: verify_deployment().line(), LineName.DB_VERIFY)


def _take(context: dg.OpExecutionContext, step: Step, work: Callable[[], Line]) -> None:
    _do(context, work, LineName.PROD_VERIFY, step=step)


def _op_name(step: Step) -> str:
    """Return the name of the op that takes a step; `config` alone would be reserved."""
    return f"verify_{step}"


@dg.op(
    name=_op_name(Step.CONFIG),
    out=dg.Out(dg.Nothing),
    description="Is everything set that production needs? Names only.",
)
@error_boundary
def _config(context: dg.OpExecutionContext) -> None:
    _take(context, Step.CONFIG, CHECKS[Step.CONFIG])


@dg.op(
    name=_op_name(Step.PLAN),
    ins={"config": dg.In(dg.Nothing)},
    out=dg.Out(dg.Nothing, is_required=False),
    config_schema={"mode": _VERIFY_MODE},
    description="Are the revisions in order? Ends the run where the mode is dry_run.",
)
@error_boundary
def _plan(context: dg.OpExecutionContext) -> Iterator[dg.Output[None]]:
    _take(context, Step.PLAN, CHECKS[Step.PLAN])
    # Without an output, Dagster skips what comes after.
    if Step.DATABASE in STEPS[VerifyMode(context.op_config["mode"])]:
        yield dg.Output(None)


@dg.op(
    name=_op_name(Step.DATABASE),
    ins={"plan": dg.In(dg.Nothing)},
    out=dg.Out(dg.Nothing),
    description="Are the databases as they should be? Changes nothing.",
)
@error_boundary
def _database(context: dg.OpExecutionContext) -> None:
    _take(context, Step.DATABASE, CHECKS[Step.DATABASE])


@dg.op(
    name=_op_name(Step.OPS_DAILY),
    ins={"database": dg.In(dg.Nothing)},
    out=dg.Out(dg.Nothing),
    description="Runs the job ops_daily for the last complete UTC day; unhealthy fails, insufficient data does not.",
)
@error_boundary
def _ops_daily(context: dg.OpExecutionContext) -> None:
    def run() -> Line:
        _, verdict = run_ops_daily(context.instance, last_complete_day())
        if verdict.status is Status.UNHEALTHY:
            raise OpsError(verdict.reason)
        return step_line(Step.OPS_DAILY, Label(verdict.status), reason=verdict.reason)

    _take(context, Step.OPS_DAILY, run)


@dg.config_mapping(config_schema={"mode": _BOOTSTRAP_MODE})
@error_boundary
def _bootstrap_config(config: dict[str, Any]) -> dict[str, Any]:
    return {"ops": {_bootstrap.name: {"config": config}}}


@dg.job(
    name="db_bootstrap",
    config=_bootstrap_config,
    description="Bring the ops database to the newest revision. The mode is a dry run unless changed.",
    executor_def=dg.in_process_executor,
)
def db_bootstrap() -> None:
    """Run the op of this name."""
    _bootstrap()


@dg.job(
    name="db_verify",
    description="Are the databases what this version needs? Changes nothing.",
    executor_def=dg.in_process_executor,
)
def db_verify() -> None:
    """Run the op of this name."""
    _verify()


@dg.config_mapping(config_schema={"mode": _VERIFY_MODE})
@error_boundary
def _prod_verify_config(config: dict[str, Any]) -> dict[str, Any]:
    return {"ops": {_plan.name: {"config": config}}}


@dg.job(
    name="prod_verify",
    description="Is production in order? dry_run connects nowhere; verify looks at the databases and runs a day.",
    executor_def=dg.in_process_executor,
    config=_prod_verify_config,
)
def prod_verify() -> None:
    """Take the steps in their order."""
    _ops_daily(_database(_plan(_config())))


@dg.op(name="drop_what_is_past", out=dg.Out(dg.Nothing), config_schema={"mode": _RETENTION_MODE})
@error_boundary
def _drop(context: dg.OpExecutionContext) -> None:
    def work() -> Line:
        *past, whole = retain(RetentionMode(context.op_config["mode"]))
        for line in past:
            context.log.info(str(line))
        return whole

    _do(context, work, LineName.RETENTION)


@dg.config_mapping(config_schema={"mode": _RETENTION_MODE})
@error_boundary
def _retention_config(config: dict[str, Any]) -> dict[str, Any]:
    return {"ops": {_drop.name: {"config": config}}}


@dg.job(
    name="retention",
    config=_retention_config,
    description="Drop events, counts and runs past their date by [retention]. The mode is a dry run unless changed.",
    executor_def=dg.in_process_executor,
)
def retention() -> None:
    """Run the op of this name."""
    _drop()


@dg.schedule(
    job=retention,
    cron_schedule="30 5 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="At 05:30 UTC: drops what is past its date, where [retention] says that anything ever is.",
)
@error_boundary
def retention_schedule(deployment: Deployment) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Ask for a run that applies what is configured."""
    if deployment.settings().retention.is_set:
        yield dg.RunRequest(run_config={"mode": str(RetentionMode.APPLY)})
    else:
        yield dg.SkipReason("nothing under [retention]: everything is kept")
