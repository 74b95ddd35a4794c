"""Everything that a ticket needs, safe to paste: versions, names, revision, bands of counts, days, schedule."""

from __future__ import annotations

import argparse
import functools
import platform
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

from ops_pipeline.contract import environment
from ops_pipeline.contract.days import ONE_DAY, last_complete_day, start_of
from ops_pipeline.contract.environment import Name
from ops_pipeline.contract.errors import OpsError, as_declared
from ops_pipeline.contract.lines import ExitCode, Line, LineName, NagiosState, Output
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.words import Label, VersionNumber
from ops_pipeline.tools.bounded import add_timeout, within
from ops_pipeline.tools.command import Command

_EPILOG = """lines (each is one line):
  doctor_versions python=<version> ops_pipeline=<version> dagster=<version> ...
  doctor_environment set=<NAME,...> not_set=<NAME,...> invalid=<NAME,...>
  doctor_database status=ok postgres=<version> revision=<id> tables=<n> partitions_until=<day> access=<word>
  doctor_days status=ok days=<band> events=<band> first_day=<day> last_day=<day> verdict_day=<day> verdict=<status>
      last_healthy_day=<day>
  doctor_dagster status=ok daemon=alive | silent | never heartbeat_age_seconds=<n>
      schedule=running | stopped | unknown tick_age_hours=<n> code_server=answering | silent | never | unknown
  any of the last three: status=fail reason=<token>
  doctor status=ok warnings=<token,...>
  doctor status=fail reason=<token>
  doctor status=not_configured reason=missing_dsn
  A band is the power of ten that a count is below: lt1000 is 100 to 999, lt10 is anything below 10.

exit codes:
  0  nothing is wrong, though there may be warnings; or no database is configured
  1  something is wrong; the reason says what
  with --format=nagios: 0 ok, 1 warnings, 2 something is wrong, 3 not configured or a wrong command line

example:
  ops-pipeline doctor
"""

_PACKAGES = ("ops-pipeline", "dagster", "dagster-postgres", "dagster-webserver", "sqlalchemy", "alembic", "psycopg")
# The schedule starts at 03:00 UTC; by then yesterday should have been judged.
_DUE = timedelta(hours=6)


Part = tuple["Line", tuple[Reason, ...]]


def _run(arguments: argparse.Namespace, output: Output) -> int:
    output.say(_versions())
    output.say(_environment())
    if not environment.is_prod_configured():
        return output.decide(Line(LineName.DOCTOR, status=Label("not_configured"), reason=Reason.MISSING_DSN))
    failures: list[OpsError] = []
    warnings: list[Reason] = []
    for name, part in _PARTS.items():
        try:
            line, found = within(arguments.timeout, functools.partial(part, arguments.timeout))
        except Exception as error:  # noqa: BLE001 - the other parts are still worth reading
            failure = as_declared(error)
            failures.append(failure)
            line, found = Line(name, status=Label("fail"), reason=failure.reason, **failure.fields), ()
        warnings += found
        if name is not LineName.DOCTOR:
            output.say(line)
    if failures:
        reason, fields = failures[0].reason, failures[0].fields
        line = Line(LineName.DOCTOR, status=Label("fail"), reason=reason, **fields)
        return output.decide(line, ExitCode.FAILED)
    return output.decide(Line(LineName.DOCTOR, status=Label("ok"), warnings=tuple(warnings)))


def _versions() -> Line:
    from importlib.metadata import PackageNotFoundError, version

    def number(package: str) -> VersionNumber | None:
        try:
            return VersionNumber.maybe(version(package))
        except PackageNotFoundError:
            return None

    packages = {package.replace("-", "_"): number(package) for package in _PACKAGES}
    return Line(LineName.DOCTOR_VERSIONS, python=VersionNumber.maybe(platform.python_version()), **packages)


def _environment() -> Line:
    invalid = environment.invalid_names()
    names = {name: environment.is_set(name) for name in sorted(Name)}
    return Line(
        LineName.DOCTOR_ENVIRONMENT,
        set=tuple(name for name, is_set in names.items() if is_set),
        not_set=tuple(name for name, is_set in names.items() if not is_set),
        invalid=invalid,
    )


def _config(_seconds: float) -> Part:
    environment.check_production()
    return Line(LineName.DOCTOR), ()


def _database(seconds: float) -> Part:
    from ops_pipeline.events.verify import verify_deployment
    from ops_pipeline.store.engine import ops_engine, reading

    found = verify_deployment(limit_seconds=seconds)
    with reading(ops_engine()) as connection:
        server = VersionNumber.maybe(".".join(map(str, connection.dialect.server_version_info or ())))
    line = Line(
        LineName.DOCTOR_DATABASE,
        status=Label("ok"),
        postgres=server,
        revision=found.ops.revision,
        tables=found.ops.tables,
        partitions_until=found.partitions_until,
        access=found.access,
    )
    return line, found.warnings


def _days(seconds: float) -> Part:
    from ops_pipeline.store.engine import ops_engine, reading
    from ops_pipeline.store.history import read_history

    with reading(ops_engine(), limit_seconds=seconds) as connection:
        history = read_history(connection)
    line = Line(
        LineName.DOCTOR_DAYS,
        status=Label("ok"),
        days=_band(history.days),
        events=_band(history.events),
        first_day=history.first_day,
        last_day=history.last_day,
        verdict_day=history.verdict_day,
        verdict=history.verdict_status,
        last_healthy_day=history.healthy_day,
    )
    is_overdue = history.verdict_day is None or history.verdict_day < _due_day()
    return line, (Reason.DAY_OVERDUE,) if is_overdue else ()


def _dagster(_seconds: float) -> Part:
    from ops_pipeline.events.verify import dagster_storage_exists
    from ops_pipeline.orchestration.scheduler import NOBODY, CodeServer, Daemon, Switch, read_scheduler

    found = read_scheduler() if dagster_storage_exists() else NOBODY
    line = Line(
        LineName.DOCTOR_DAGSTER,
        status=Label("ok"),
        daemon=found.daemon,
        heartbeat_age_seconds=found.heartbeat_age_seconds,
        schedule=found.schedule,
        tick_age_hours=found.tick_age_hours,
        code_server=found.code_server,
    )
    warnings = []
    if found.daemon is not Daemon.ALIVE:
        warnings.append(Reason.DAEMON_SILENT)
    elif found.code_server in (CodeServer.SILENT, CodeServer.NEVER):
        warnings.append(Reason.CODE_SERVER_SILENT)
    if found.schedule is Switch.STOPPED:
        warnings.append(Reason.SCHEDULE_STOPPED)
    return line, tuple(warnings)


_PARTS: dict[LineName, Callable[[float], Part]] = {
    LineName.DOCTOR: _config,
    LineName.DOCTOR_DATABASE: _database,
    LineName.DOCTOR_DAYS: _days,
    LineName.DOCTOR_DAGSTER: _dagster,
}


def _band(count: int) -> Label:
    """Return the power of ten that the count is below; ten is the smallest, so that no small count shows."""
    return Label(f"lt{10 ** max(1, len(str(count)))}")


def _due_day() -> date:
    """Return the last UTC day that should have been judged by now."""
    now = datetime.now(UTC)
    return last_complete_day() - (ONE_DAY if now - start_of(now.date()) < _DUE else 0 * ONE_DAY)


COMMAND = Command(
    name="doctor",
    line=LineName.DOCTOR,
    description="Say what a ticket needs, and nothing that may not be pasted: typed values only. Changes nothing.",
    epilog=_EPILOG,
    add_arguments=add_timeout,
    run=_run,
    nagios_failure=NagiosState.CRITICAL,
)
main = COMMAND.main


if __name__ == "__main__":
    sys.exit(main())
