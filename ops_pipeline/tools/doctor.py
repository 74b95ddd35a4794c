"""Everything that a ticket needs, safe to paste: versions, names, revision, bands of counts, days, schedule."""

from __future__ import annotations

import argparse
import functools
import platform
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import NamedTuple

from ops_pipeline.cli.arguments import whole_number
from ops_pipeline.cli.command import Command
from ops_pipeline.cli.timeout import add_timeout, run_within
from ops_pipeline.contract import environment
from ops_pipeline.contract.days import ONE_DAY, due_day, start_of
from ops_pipeline.contract.environment import Name
from ops_pipeline.contract.errors import OpsError, to_ops_error
from ops_pipeline.contract.lines import ExitCode, Line, LineName, NagiosState, Output
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.tokens import Label, VersionNumber, band
from ops_pipeline.operations.prod_config import check_production, environment_faults

_EPILOG = """lines (each is one line):
  doctor_versions python=<version> ops_pipeline=<version> dagster=<version> ...
  doctor_environment set=<NAME,...> not_set=<NAME,...> invalid=<NAME,...> part=<part,...>
  doctor_database status=ok postgres=<version> revision=<id> tables=<n> partitions_until=<day> access=<word>
  doctor_days status=ok days=<band> events=<band> first_day=<day> last_day=<day> verdict_day=<day> verdict=<status>
      age_hours=<n> last_healthy_day=<day>
  doctor_fault reason=<token> days=<n> oldest=<day> events=<band>       for each thing that is wrong with past days
  doctor_dagster status=ok daemon=alive | silent | never heartbeat_age_seconds=<n>
      schedule=running | stopped | unknown tick_age_hours=<n> code_server=answering | silent | never | unknown
      stuck=<n> stuck_seconds=<n> [mended=<n>]
  doctor_alerts status=ok addresses=<n> not_sent=<n> age_hours=<n>
  any of the last four: status=fail reason=<token>
  doctor status=ok warnings=<token,...> not_sent=<n>
  doctor status=fail reason=<token>
  doctor status=fail reason=day_too_old last_day=<day> age_hours=<n>      with --max-age
  doctor status=not_configured reason=missing_dsn
  A band is the power of ten that a count is below: lt1000 is 100 to 999, lt10 is anything below 10. age_hours are
  the whole hours since the end of verdict_day, the last UTC day that was decided; of doctor_alerts, since the oldest
  message was written that an address refused. not_sent counts such addresses. stuck counts runs that were killed and
  still count as running, stuck_seconds says for how long the first has given no sign of life; with --mend they are
  marked as failed, mended says how many, and stuck counts what is left.

Is the scheduler dead? --only=days --max-age=30 says so from anywhere: it asks the ops database alone and fails where
the last decided day is too old. A day is decided soon after 03:00 UTC, so that a living scheduler never lets it get
older than 28 hours.

exit codes:
  0  nothing is wrong, though there may be warnings; or no database is configured and no --max-age is given
  1  something is wrong; the reason says what
  with --format=nagios: 0 ok, 1 warnings, 2 something is wrong, 3 not configured or a wrong command line

examples:
  ops-pipeline doctor
  ops-pipeline doctor --mend
  ops-pipeline doctor --only=days --max-age=30 --format=nagios
"""

_PACKAGES = ("ops-pipeline", "dagster", "dagster-postgres", "dagster-webserver", "sqlalchemy", "alembic", "psycopg")

_MOST_HOURS = 24 * 366
_MEND_SECONDS = 30


class Part(NamedTuple):
    """What was found in one part."""

    line: Line
    warnings: tuple[Reason, ...]
    below: tuple[Line, ...] = ()
    """Lines that say more."""


class PartName(StrEnum):
    """What can be looked at alone."""

    DATABASE = "database"
    DAYS = "days"
    DAGSTER = "dagster"
    ALERTS = "alerts"


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--only",
        choices=[part.value for part in PartName],
        help="look at one part alone",
    )
    parser.add_argument(
        "--max-age",
        type=whole_number(1, _MOST_HOURS),
        metavar="HOURS",
        help="fail where the last decided day ended so many hours ago or more",
    )
    parser.add_argument("--mend", action="store_true", help="mark runs as failed whose process was killed")
    add_timeout(parser)


def _run(arguments: argparse.Namespace, output: Output) -> int:
    if arguments.mend and arguments.only not in (None, PartName.DAGSTER):
        raise OpsError(Reason.USAGE, option=Label("mend"))
    only = None if arguments.only is None else PartName(arguments.only)
    if only is None:
        output.write(_versions())
        output.write(_environment())
    if not environment.is_prod_configured() and arguments.max_age is None:
        return output.finish(Line(LineName.DOCTOR, status=Label("not_configured"), reason=Reason.MISSING_DSN))
    extra: dict[str, object] = {}
    failures: list[OpsError] = []
    warnings: list[Reason] = []
    if only is None:
        try:
            check_production()
        except OpsError as error:
            failures.append(to_ops_error(error))
    for name, part in _parts(arguments.max_age, mends=arguments.mend).items():
        if only not in (None, name):
            continue
        try:
            # Whoever marks a stuck run looks twice.
            more = _MEND_SECONDS if name is PartName.DAGSTER and arguments.mend else 0
            found = run_within(arguments.timeout + more, functools.partial(part, arguments.timeout))
        except Exception as error:  # noqa: BLE001 - the other parts are still worth reading
            failure = to_ops_error(error)
            failures.append(failure)
            found = Part(Line(_LINES[name], status=Label("fail"), reason=failure.reason, **failure.fields), ())
        warnings += found.warnings
        if Reason.ALERT_NOT_SENT in found.warnings:
            extra = {"not_sent": found.line.fields["not_sent"]}
        for line in (found.line, *found.below):
            output.write(line)
    if failures:
        reason, fields = failures[0].reason, failures[0].fields
        line = Line(LineName.DOCTOR, status=Label("fail"), reason=reason, **fields)
        return output.finish(line, ExitCode.FAILED)
    # What is wrong with past days is found with the database and with the days.
    said = tuple(dict.fromkeys(warnings))
    return output.finish(Line(LineName.DOCTOR, status=Label("ok"), warnings=said, **extra))


def _versions() -> Line:
    from importlib.metadata import PackageNotFoundError, version

    def number(package: str) -> VersionNumber | None:
        try:
            return VersionNumber.or_none(version(package))
        except PackageNotFoundError:
            return None

    packages = {package.replace("-", "_"): number(package) for package in _PACKAGES}
    return Line(LineName.DOCTOR_VERSIONS, python=VersionNumber.or_none(platform.python_version()), **packages)


def _environment() -> Line:
    faults = environment_faults()
    names = {name: environment.is_set(name) for name in sorted(Name)}
    return Line(
        LineName.DOCTOR_ENVIRONMENT,
        set=tuple(name for name, is_set in names.items() if is_set),
        not_set=tuple(name for name, is_set in names.items() if not is_set),
        invalid=tuple(sorted(faults)),
        part=tuple(faults[name] for name in sorted(faults)),
    )


def _database(seconds: float) -> Part:
    from ops_pipeline.events.verify import verify_deployment
    from ops_pipeline.store.engine import ops_engine, reading

    found = verify_deployment(limit_seconds=seconds)
    with reading(ops_engine()) as connection:
        server = VersionNumber.or_none(".".join(map(str, connection.dialect.server_version_info or ())))
    line = Line(
        LineName.DOCTOR_DATABASE,
        status=Label("ok"),
        postgres=server,
        revision=found.ops.revision,
        tables=found.ops.tables,
        partitions_until=found.partitions_until,
        access=found.access,
    )
    return Part(line, found.warnings)


def _days(max_age: int | None, seconds: float) -> Part:
    from ops_pipeline.report.daily_lines import fault_line
    from ops_pipeline.store.day_faults import read_faults
    from ops_pipeline.store.engine import ops_engine, reading
    from ops_pipeline.store.progress import read_progress

    with reading(ops_engine(), limit_seconds=seconds) as connection:
        history = read_progress(connection)
        faults = read_faults(connection, environment.first_kept_day(), due_day(datetime.now(UTC)))
    age_hours = None if history.verdict_day is None else _age_hours(history.verdict_day)
    if max_age is not None and (age_hours is None or age_hours >= max_age):
        raise OpsError(Reason.DAY_TOO_OLD, last_day=history.verdict_day, age_hours=age_hours)
    line = Line(
        LineName.DOCTOR_DAYS,
        status=Label("ok"),
        days=band(history.days),
        events=band(history.events),
        first_day=history.first_day,
        last_day=history.last_day,
        verdict_day=history.verdict_day,
        verdict=history.verdict_status,
        age_hours=age_hours,
        last_healthy_day=history.healthy_day,
    )
    is_overdue = history.verdict_day is None or history.verdict_day < due_day(datetime.now(UTC))
    warnings = [*([Reason.DAY_OVERDUE] if is_overdue else []), *(fault.reason for fault in faults)]
    return Part(line, tuple(warnings), tuple(fault_line(LineName.DOCTOR_FAULT, fault) for fault in faults))


def _dagster(mends: bool, _seconds: float) -> Part:
    from ops_pipeline.events.verify import dagster_storage_exists
    from ops_pipeline.orchestration.scheduler import NOBODY, CodeServer, Daemon, Switch, read_scheduler

    found = read_scheduler(mends=mends) if dagster_storage_exists() else NOBODY
    line = Line(
        LineName.DOCTOR_DAGSTER,
        status=Label("ok"),
        daemon=found.daemon,
        heartbeat_age_seconds=found.heartbeat_age_seconds,
        schedule=found.schedule,
        tick_age_hours=found.tick_age_hours,
        code_server=found.code_server,
        stuck=found.stuck,
        stuck_seconds=found.stuck_seconds,
        **({"mended": found.mended} if mends else {}),
    )
    warnings = [Reason.RUN_STUCK] if found.stuck else []
    if found.daemon is not Daemon.ALIVE:
        warnings.append(Reason.DAEMON_SILENT)
    elif found.code_server in (CodeServer.SILENT, CodeServer.NEVER):
        warnings.append(Reason.CODE_SERVER_SILENT)
    if found.schedule is Switch.STOPPED:
        warnings.append(Reason.SCHEDULE_STOPPED)
    return Part(line, tuple(warnings))


def _alerts(seconds: float) -> Part:
    from ops_pipeline.operations.alerts import check_all_addresses, recipients
    from ops_pipeline.store.alerts import read_unsent
    from ops_pipeline.store.engine import ops_engine, reading

    check_all_addresses()
    now = datetime.now(UTC)
    with reading(ops_engine(), limit_seconds=seconds) as connection:
        unsent = read_unsent(connection, now, recipients())
    line = Line(
        LineName.DOCTOR_ALERTS,
        status=Label("ok"),
        addresses=len(recipients()),
        not_sent=unsent.addresses,
        age_hours=None if unsent.since is None else int((now - unsent.since).total_seconds() // 3600),
    )
    return Part(line, (Reason.ALERT_NOT_SENT,) if unsent.addresses else ())


_LINES = {
    PartName.DATABASE: LineName.DOCTOR_DATABASE,
    PartName.DAYS: LineName.DOCTOR_DAYS,
    PartName.DAGSTER: LineName.DOCTOR_DAGSTER,
    PartName.ALERTS: LineName.DOCTOR_ALERTS,
}


def _parts(max_age: int | None, *, mends: bool) -> dict[PartName, Callable[[float], Part]]:
    return {
        PartName.DATABASE: _database,
        PartName.DAYS: functools.partial(_days, max_age),
        PartName.DAGSTER: functools.partial(_dagster, mends),
        PartName.ALERTS: _alerts,
    }


def _age_hours(day: date) -> int:
    """Return the whole hours since `day` ended."""
    return int((datetime.now(UTC) - start_of(day + ONE_DAY)).total_seconds() // 3600)


COMMAND = Command(
    name="doctor",
    line=LineName.DOCTOR,
    description="Say what a ticket needs, and nothing that may not be pasted. Changes nothing without --mend.",
    epilog=_EPILOG,
    add_arguments=_add_arguments,
    run=_run,
    nagios_failure=NagiosState.CRITICAL,
)
main = COMMAND.main


if __name__ == "__main__":
    sys.exit(main())
