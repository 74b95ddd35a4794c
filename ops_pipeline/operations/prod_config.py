"""Is production configured? Everything is set and can work, as far as that shows without connecting anywhere."""

from __future__ import annotations

import os

from ops_pipeline.contract.environment import (
    REQUIRED,
    EnvPart,
    Name,
    config,
    first_day,
    invalid_env,
    missing_names,
    required_value,
    retry_seconds,
    value,
)
from ops_pipeline.contract.errors import OpsError
from ops_pipeline.contract.reasons import Reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


def check_production(environ: Mapping[str, str] = os.environ) -> int:
    """Return how many names production needs, all of them set and plausible; connects nowhere.

    Raises OpsError `missing_env`, `invalid_env` or `invalid_config`.
    """
    # First, and without any library: where nothing is set, nothing need be loaded.
    if missing := missing_names(environ):
        raise OpsError(Reason.MISSING_ENV, missing=missing)
    if faults := environment_faults(environ):
        raise invalid_env(faults)
    if value(Name.OPS_CONFIG, environ):
        config(environ)
    return len(REQUIRED)


def environment_faults(environ: Mapping[str, str] = os.environ) -> dict[Name, EnvPart]:
    """Return the names that are set to something that cannot work, with the part that is at fault."""
    from ops_pipeline.events.identifier import is_identifier
    from ops_pipeline.store.dsn import dsn_faults

    faults = dsn_faults(environ)
    if not is_identifier(required_value(Name.OPS_EVENTS_RELATION, environ)):
        faults[Name.OPS_EVENTS_RELATION] = EnvPart.RELATION
    try:
        first_day(environ)
    except OpsError:
        faults[Name.OPS_FIRST_DAY] = EnvPart.DAY
    try:
        retry_seconds(environ)
    except OpsError:
        faults[Name.OPS_RETRY_SECONDS] = EnvPart.SECONDS
    return faults
