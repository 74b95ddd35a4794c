"""The environment variables that configure everything. Names may be printed; values never."""

from __future__ import annotations

import os
import re
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
        "Who is told of a change of state: Apprise addresses (Slack, mail, PagerDuty, ...), apart by spaces.",
    )
    OPS_HEARTBEAT_URL = (
        "OPS_HEARTBEAT_URL",
        "What is pinged after each finished ops_daily, the exit code as last part of the path (healthchecks.io).",
    )
    OPS_ALLOW_NO_TLS = (
        "OPS_ALLOW_NO_TLS",
        "Set to 1 to accept a DSN of another machine that does not ask for TLS, such as in a private network.",
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

DSNS = (Name.DAGSTER_POSTGRES_DSN, Name.OPS_EVENTS_DSN, Name.OPS_POSTGRES_DSN)
LOCAL_HOSTS = ("", "localhost", "127.0.0.1", "[::1]")
MAX_PORT = 65535
# Enough to say that a DSN cannot work; libpq itself takes it apart. urllib.parse would cost a tenth of the start.
_DSN = (
    r"(postgres|postgresql(\+psycopg2?)?)://"
    r"([^:/?#@]*(:(?P<password>[^/?#@]*))?@)?(?P<host>\[[^]/?#@]*\]|[^][:/?#@]*)(:(?P<port>[^/?#@]*))?"
    r"/[^?#]+(\?(?P<query>[^#]*))?"
)
TLS_MODES = ("require", "verify-ca", "verify-full")


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


def check_production(environ: Mapping[str, str] = os.environ) -> int:
    """Return how many names production needs, all of them set and plausible; connects nowhere.

    Raises OpsError `missing_env`, `invalid_env` or `invalid_config`.
    """
    if missing := missing_names(environ):
        raise OpsError(Reason.MISSING_ENV, missing=missing)
    if invalid := invalid_names(environ):
        raise OpsError(Reason.INVALID_ENV, invalid=invalid)
    if value(Name.OPS_CONFIG, environ):
        config(environ)
    return len(REQUIRED)


def first_day(environ: Mapping[str, str] = os.environ) -> date:
    """Return the first day (UTC) that can be asked for. Raises OpsError `invalid_env`."""
    from datetime import date

    try:
        return date.fromisoformat(required_value(Name.OPS_FIRST_DAY, environ))
    except ValueError:
        pass
    raise OpsError(Reason.INVALID_ENV, invalid=(Name.OPS_FIRST_DAY,))


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


def is_plausible_dsn(text: str) -> bool:
    """Return whether `text` reads as a PostgreSQL URL with a database, without connecting anywhere."""
    parts = _parts(text)
    return parts is not None and bool(parts["host"] or "host" in _options(parts)) and _is_port(parts["port"])


def is_protected_dsn(text: str, environ: Mapping[str, str] = os.environ) -> bool:
    """Return whether a DSN of another machine brings a password or certificate, and asks for TLS.

    libpq's own variables count too, as does a service file, whose content is not read.
    """
    parts = _parts(text)
    options = _options(parts)
    host = options.get("host") or (parts["host"] if parts else "")
    is_local = host in LOCAL_HOSTS or host.startswith(("/", "%2F", "%2f", "@"))
    if is_local or "service" in options or environ.get("PGSERVICE"):
        return True
    has_password = bool(
        (parts and parts["password"])
        or any(options.get(key) for key in ("password", "passfile", "sslcert"))
        or any(environ.get(key) for key in ("PGPASSWORD", "PGPASSFILE", "PGSSLCERT"))
        or os.path.exists(os.path.expanduser("~/.pgpass"))  # noqa: PTH110, PTH111 - pathlib would cost as much
    )
    has_tls = (options.get("sslmode") or environ.get("PGSSLMODE")) in TLS_MODES
    return has_password and (has_tls or value(Name.OPS_ALLOW_NO_TLS, environ) == "1")


def _parts(dsn: str) -> re.Match[str] | None:
    return re.fullmatch(_DSN, dsn, flags=re.IGNORECASE)


def _options(parts: re.Match[str] | None) -> dict[str, str]:
    pairs = (parts["query"] or "").split("&") if parts else []
    return {key: found for key, _, found in (pair.partition("=") for pair in pairs)}


def _is_port(text: str | None) -> bool:
    return not text or (text.isascii() and text.isdigit() and 0 < int(text) <= MAX_PORT)


def _is_usable_dsn(text: str, environ: Mapping[str, str]) -> bool:
    return is_plausible_dsn(text) and is_protected_dsn(text, environ)


def invalid_names(environ: Mapping[str, str] = os.environ) -> tuple[Name, ...]:
    """Return the names that are set to something that cannot work, sorted."""
    invalid = [name for name in DSNS if (found := value(name, environ)) and not _is_usable_dsn(found, environ)]
    if environ.get(Name.OPS_FIRST_DAY):
        try:
            first_day(environ)
        except OpsError:
            invalid.append(Name.OPS_FIRST_DAY)
    return tuple(sorted(invalid))
