"""Errors are words: every exception becomes a declared reason before anyone sees it.

The mapping goes by type and SQLSTATE, never by an exception's text, because texts quote hosts, users and rows; only
at which step a connection failed is read off the text, since the drivers give no code for that. It imports no driver,
so that tools which need no database do not load one.
"""

from __future__ import annotations

import functools
import os
import re

from ops_pipeline.contract.reasons import Cause, Reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import ParamSpec, TypeVar

    P = ParamSpec("P")
    T = TypeVar("T")

# A developer sees originals on their own terminal; a process that was started with production's DSNs shows none.
_SHOWS_DETAILS = os.environ.get("OPS_DEBUG") == "1" and not any(
    os.environ.get(name) for name in ("OPS_POSTGRES_DSN", "DAGSTER_POSTGRES_DSN")
)

# SQLSTATE, or its first two characters (the class): https://www.postgresql.org/docs/current/errcodes-appendix.html
_SQLSTATES = {
    "42501": Reason.NO_PRIVILEGE,
    "42P01": Reason.MISSING_TABLES,
    "42703": Reason.DRIFT,
    "3F000": Reason.MISSING_TABLES,
    "55P03": Reason.LOCK_TIMEOUT,
    "57014": Reason.DB_TIMEOUT,
    "08": Reason.DB_CONNECTION_LOST,
    "23": Reason.CONSTRAINT_VIOLATED,
    "28": Reason.DB_CONNECT_FAILED,
    "3D": Reason.DB_CONNECT_FAILED,
    "40": Reason.DB_CONFLICT,
    "53": Reason.DB_OUT_OF_RESOURCES,
    "57": Reason.DB_CONNECTION_LOST,
}


# What libpq, psycopg and PostgreSQL say, in the order in which it is looked for.
_CAUSES = (
    (Cause.DNS, "failed to resolve host|could not translate host name"),
    (Cause.TIMEOUT, "timeout expired|timed out"),
    (
        Cause.AUTH,
        r"authentication failed|no password supplied|pg_hba\.conf|role +does not exist|not permitted to log in",
    ),
    (Cause.DATABASE_MISSING, "database +does not exist"),
    (Cause.TLS, r"\b(SSL|TLS|certificate)\b"),
    (Cause.REFUSED, "Connection refused|No such file or directory|No route to host|unreachable|FATAL"),
)


class OpsError(Exception):
    """A failure that has a word. `reason` is the word; `fields` are further typed fields for the line.

    Raise it outside `except` blocks or `from None`: a chain would carry the original's text along.
    """

    def __init__(self, reason: Reason, **fields: object) -> None:
        super().__init__(reason.value)
        self.reason = reason
        self.fields = fields


def sqlstate_of(error: BaseException) -> str | None:
    """Return the SQLSTATE that a driver's exception carries, bare or wrapped by SQLAlchemy, else None."""
    for candidate in (error, getattr(error, "orig", None)):
        for name in ("sqlstate", "pgcode"):
            state = getattr(candidate, name, None)
            if isinstance(state, str):
                return state
    return None


def reason_of(error: BaseException) -> Reason:
    """Return the declared reason of any exception, by its type and SQLSTATE only."""
    if isinstance(error, OpsError):
        return error.reason
    if isinstance(error, KeyboardInterrupt):
        return Reason.INTERRUPTED
    state = sqlstate_of(error)
    if state is not None:
        return _SQLSTATES.get(state) or _SQLSTATES.get(state[:2]) or Reason.DB_ERROR
    kinds = {cls.__name__ for cls in (*type(error).__mro__, *type(getattr(error, "orig", None)).__mro__)}
    if "DagsterExecutionInterruptedError" in kinds:
        return Reason.INTERRUPTED
    if kinds & {"ConnectionTimeout", "OperationalError", "DagsterPostgresException"}:
        # Without a SQLSTATE the server never answered: the drivers raise this while connecting or when cut off.
        return Reason.DB_CONNECT_FAILED
    if "InterfaceError" in kinds:
        return Reason.DB_CONNECTION_LOST
    if "DBAPIError" in kinds:
        return Reason.DB_ERROR
    return Reason.INTERNAL_ERROR


def as_declared(error: BaseException) -> OpsError:
    """Return the OpsError that stands for `error`; raise it after the `except` block, so that nothing is chained."""
    if _SHOWS_DETAILS and not isinstance(error, OpsError):
        import traceback

        traceback.print_exception(error)
    if isinstance(error, OpsError):
        return OpsError(error.reason, **error.fields)
    reason = reason_of(error)
    return OpsError(reason, **({"cause": cause_of(error)} if reason is Reason.DB_CONNECT_FAILED else {}))


def cause_of(error: BaseException) -> Cause:
    """Return at which step a connection failed.

    The answer is one of a few words, so nothing of the text gets any further. Texts in another language than English
    give `refused` for what a server said, else `other`.
    """
    texts = []
    found: BaseException | None = error
    while found is not None:
        if type(found).__name__ == "ConnectionTimeout":
            return Cause.TIMEOUT
        # Names of hosts, roles and databases are quoted; they could read like anything.
        texts.append(re.sub(r"\"[^\"]*\"|'[^']*'", "", str(found)))
        found = getattr(found, "orig", None) or found.__cause__ or found.__context__
    text = " ".join(texts)
    return next((cause for cause, pattern in _CAUSES if re.search(pattern, text)), Cause.OTHER)


def declared(function: Callable[P, T]) -> Callable[P, T]:
    """Make `function` raise OpsError only, with nothing of the original attached."""

    @functools.wraps(function)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 - this is the boundary
            failure = as_declared(error)
        raise failure

    return guarded
