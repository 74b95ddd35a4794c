"""The environment variables that configure everything. Names may be printed; values never."""

from __future__ import annotations

import os
from enum import StrEnum

from ops_pipeline.contract.errors import OpsError
from ops_pipeline.contract.reasons import Reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from ops_pipeline.contract.config import Config


class Name(StrEnum):
    """The names this program reads, with what each means, whether production needs it, and its default."""

    meaning: str
    is_required: bool
    default: str | None

    def __new__(cls, name: str, meaning: str, is_required: bool = False, default: str | None = None) -> Name:
        """Make a member whose value is `name`."""
        member = str.__new__(cls, name)
        member._value_ = name
        member.meaning = meaning
        member.is_required = is_required
        member.default = default
        return member

    OPS_POSTGRES_DSN = ("OPS_POSTGRES_DSN", "The ops database.", True)
    DAGSTER_POSTGRES_DSN = ("DAGSTER_POSTGRES_DSN", "Dagster's own storage; may be the same database.", True)
    OPS_EVENTS_DSN = ("OPS_EVENTS_DSN", "Where the events are, if they are in another PostgreSQL.")
    OPS_EVENTS_RELATION = (
        "OPS_EVENTS_RELATION",
        "The table or view with the event contract's columns, as schema.name.",
        False,
        "ops.delivery_events",
    )
    OPS_CONFIG = ("OPS_CONFIG", "Path of a TOML file with thresholds, windows, taxonomy and privacy settings.")
    OPS_FIRST_DAY = ("OPS_FIRST_DAY", "First day (UTC) that can be asked for, as YYYY-MM-DD.", False, "2026-01-01")
    OPS_ALERT_URLS = (
        "OPS_ALERT_URLS",
        "Who is told of everything: Apprise addresses (Slack, mail, PagerDuty, ...), apart by spaces.",
    )
    OPS_PAGE_URLS = (
        "OPS_PAGE_URLS",
        "Who is woken: addresses as in OPS_ALERT_URLS that get only what opens, spreads, gets worse or fails.",
    )
    OPS_HEARTBEAT_URL = (
        "OPS_HEARTBEAT_URL",
        "What is pinged about the newest complete day, the exit code as last part of the path (healthchecks.io).",
    )
    OPS_ALLOW_NO_TLS = (
        "OPS_ALLOW_NO_TLS",
        "Set to 1 to accept a DSN of another machine that does not ask for TLS, such as in a private network.",
    )
    OPS_RETRY_SECONDS = (
        "OPS_RETRY_SECONDS",
        "How long a fault that may pass by itself is tried again, in seconds; 0: not at all.",
        False,
        "120",
    )
    OPS_REPORT_DIR = (
        "OPS_REPORT_DIR",
        "A folder in which the asset report leaves its page for each day, and the newest as index.html.",
    )
    OPS_DEBUG = (
        "OPS_DEBUG",
        "Set to 1 to see a failure's details on your terminal; ignored where production is configured.",
    )


REQUIRED = tuple(sorted(name for name in Name if name.is_required))
"""What production needs, sorted."""

_SECONDS_DIGITS = 5

DSNS = (Name.DAGSTER_POSTGRES_DSN, Name.OPS_EVENTS_DSN, Name.OPS_POSTGRES_DSN)


class EnvPart(StrEnum):
    """Which part of a value cannot work."""

    SCHEME = "scheme"
    HOST = "host"
    PORT = "port"
    DATABASE = "database"
    PASSWORD = "password"  # noqa: S105 - a word
    TLS = "tls"
    PARAMETER = "parameter"
    RELATION = "relation"
    DAY = "day"
    ADDRESS = "address"
    SECONDS = "seconds"


def value(name: Name, environ: Mapping[str, str] = os.environ) -> str | None:
    """Return the value set for `name`, its default, or None. An empty value counts as not set."""
    return environ.get(name, "").strip() or name.default


def is_set(name: Name, environ: Mapping[str, str] = os.environ) -> bool:
    """Return whether `name` is set; an empty value counts as not set."""
    return bool(environ.get(name, "").strip())


def required_value(name: Name, environ: Mapping[str, str] = os.environ) -> str:
    """Return the value of `name`. Raises OpsError `missing_env` where it has none."""
    found = value(name, environ)
    if found is None:
        raise OpsError(Reason.MISSING_ENV, missing=(name,))
    return found


def missing_names(environ: Mapping[str, str] = os.environ) -> tuple[Name, ...]:
    """Return the required names that are not set, sorted."""
    return tuple(name for name in REQUIRED if value(name, environ) is None)


def is_prod_configured(environ: Mapping[str, str] = os.environ) -> bool:
    """Return whether any required name is set: half a configuration is production with a fault, not a demo."""
    return len(missing_names(environ)) < len(REQUIRED)


def invalid_env(faults: Mapping[Name, EnvPart]) -> OpsError:
    """Return the error that names the variables whose value cannot work, and of each the part that is at fault."""
    names = sorted(faults)
    return OpsError(Reason.INVALID_ENV, invalid=tuple(names), part=tuple(faults[name] for name in names))


def first_day(environ: Mapping[str, str] = os.environ) -> date:
    """Return the first day (UTC) that can be asked for. Raises OpsError `invalid_env`."""
    from ops_pipeline.contract.days import parse_day

    try:
        return parse_day(required_value(Name.OPS_FIRST_DAY, environ))
    except OpsError:
        pass
    raise invalid_env({Name.OPS_FIRST_DAY: EnvPart.DAY})


def retry_seconds(environ: Mapping[str, str] = os.environ) -> int:
    """Return for how long a fault that may pass is tried again. Raises OpsError `invalid_env`."""
    found = required_value(Name.OPS_RETRY_SECONDS, environ)
    if found.isascii() and found.isdigit() and len(found) <= _SECONDS_DIGITS:
        return int(found)
    raise invalid_env({Name.OPS_RETRY_SECONDS: EnvPart.SECONDS})


def first_kept_day(environ: Mapping[str, str] = os.environ) -> date:
    """Return the first day (UTC) whose counts are kept: OPS_FIRST_DAY, or a later one by `[retention] counts_days`.

    Raises OpsError `invalid_env` or `invalid_config`.
    """
    return _not_before(first_day(environ), config(environ).retention.counts_days)


def first_event_day(environ: Mapping[str, str] = os.environ) -> date:
    """Return the first day (UTC) whose events are kept, as `first_kept_day` does by `[retention] events_days`."""
    return _not_before(first_day(environ), config(environ).retention.events_days)


def _not_before(first: date, days: int | None) -> date:
    from ops_pipeline.contract.config import first_kept
    from ops_pipeline.contract.days import last_complete_day

    return max(first, first_kept(last_complete_day(), days) or first)


def config(environ: Mapping[str, str] = os.environ) -> Config:
    """Return the configuration, from the file OPS_CONFIG names if it is set. Raises OpsError `invalid_config`."""
    from pathlib import Path

    from ops_pipeline.contract.config import Config, load_config

    path = value(Name.OPS_CONFIG, environ)
    return load_config(Path(path)) if path else Config()
