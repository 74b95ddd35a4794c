"""The environment variables that configure everything. Names may be printed; values never."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

from ops_pipeline.contract.config import Config, load_config
from ops_pipeline.contract.errors import OpsError
from ops_pipeline.contract.reasons import Reason


class Name(StrEnum):
    """The names this program reads."""

    OPS_POSTGRES_DSN = "OPS_POSTGRES_DSN"
    DAGSTER_POSTGRES_DSN = "DAGSTER_POSTGRES_DSN"
    OPS_EVENTS_DSN = "OPS_EVENTS_DSN"
    OPS_EVENTS_RELATION = "OPS_EVENTS_RELATION"
    OPS_CONFIG = "OPS_CONFIG"
    OPS_FIRST_DAY = "OPS_FIRST_DAY"
    OPS_DEBUG = "OPS_DEBUG"


REQUIRED = (Name.DAGSTER_POSTGRES_DSN, Name.OPS_POSTGRES_DSN)
"""What production needs, sorted."""

MEANING = {
    Name.OPS_POSTGRES_DSN: "The ops database.",
    Name.DAGSTER_POSTGRES_DSN: "Dagster's own storage; may be the same database.",
    Name.OPS_EVENTS_DSN: "Where the events are, if they are in another PostgreSQL.",
    Name.OPS_EVENTS_RELATION: "The table or view with the event contract's columns, as schema.name.",
    Name.OPS_CONFIG: "Path of a TOML file with thresholds, windows, taxonomy and privacy settings.",
    Name.OPS_FIRST_DAY: "First day (UTC) that can be asked for, as YYYY-MM-DD.",
    Name.OPS_DEBUG: "Set to 1 to see a failure's details on your terminal; ignored where production is configured.",
}

DEFAULT = {
    Name.OPS_EVENTS_RELATION: "ops.delivery_events",
    Name.OPS_FIRST_DAY: "2026-01-01",
}

DSN_SCHEMES = ("postgresql", "postgres", "postgresql+psycopg", "postgresql+psycopg2")


def value(name: Name, environ: Mapping[str, str] = os.environ) -> str | None:
    """Return the value set for `name`, its default, or None. An empty value counts as not set."""
    return environ.get(name, "").strip() or DEFAULT.get(name)


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


def first_day(environ: Mapping[str, str] = os.environ) -> date:
    """Return the first day (UTC) that can be asked for. Raises OpsError `invalid_env`."""
    try:
        return date.fromisoformat(required_value(Name.OPS_FIRST_DAY, environ))
    except ValueError:
        pass
    raise OpsError(Reason.INVALID_ENV, invalid=(Name.OPS_FIRST_DAY,))


def config(environ: Mapping[str, str] = os.environ) -> Config:
    """Return the configuration, from the file OPS_CONFIG names if it is set. Raises OpsError `invalid_config`."""
    path = value(Name.OPS_CONFIG, environ)
    return load_config(Path(path)) if path else Config()


def is_plausible_dsn(text: str) -> bool:
    """Return whether `text` reads as a PostgreSQL URL with a database, without connecting anywhere."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return False
    has_host = bool(parts.hostname) or "host=" in parts.query
    return parts.scheme in DSN_SCHEMES and has_host and len(parts.path) > 1 and port != 0


def invalid_names(environ: Mapping[str, str] = os.environ) -> tuple[Name, ...]:
    """Return the names that are set to something that cannot work, sorted."""
    dsns = (Name.DAGSTER_POSTGRES_DSN, Name.OPS_EVENTS_DSN, Name.OPS_POSTGRES_DSN)
    invalid = [name for name in dsns if (found := value(name, environ)) and not is_plausible_dsn(found)]
    try:
        first_day(environ)
    except OpsError:
        invalid.append(Name.OPS_FIRST_DAY)
    return tuple(sorted(invalid))
