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
    from collections.abc import Callable, Iterator
    from typing import ParamSpec, TypeVar

    P = ParamSpec("P")
    T = TypeVar("T")

# A developer sees originals on their own terminal; a process that was started with production's DSNs shows none.
SHOWS_DETAILS = os.environ.get("OPS_DEBUG") == "1" and not any(
    os.environ.get(name) for name in ("OPS_POSTGRES_DSN", "DAGSTER_POSTGRES_DSN")
)

# SQLSTATE, or its first two characters (the class): https://www.postgresql.org/docs/current/errcodes-appendix.html
_SQLSTATES = {
    "25006": Reason.DB_READ_ONLY,
    "25P03": Reason.DB_CONNECTION_LOST,
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


# What ends a run as cancelled, or a generator: it goes on as what it is, without its text.
_INTERRUPTS = frozenset({"KeyboardInterrupt", "DagsterExecutionInterruptedError"})
_PASSED_ON = _INTERRUPTS | {"GeneratorExit"}
_CO_GENERATOR = 0x20

# What libpq, psycopg and PostgreSQL say, in the order in which it is looked for.
_CAUSES = (
    (Cause.SLOTS, r"too many clients|too many connections|connection slots|no more connections allowed"),
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


_CAUSE = "ops_cause"
"""The attribute in which a redacted error keeps its cause."""
_DSN = "ops_dsn"
"""The attribute in which a driver's error keeps the name of the variable that holds the DSN."""


class OpsError(Exception):
    """A failure that has a word. `reason` is the word; `fields` are further typed fields for the line.

    Raise it outside `except` blocks or `from None`: a chain would carry the original's text along.
    """

    has_safe_text = True
    """Whether its text is made of declared words only, so that it may go beyond the boundary."""

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
    if _is_interrupted(error):
        return Reason.INTERRUPTED
    state = sqlstate_of(error)
    if state is not None:
        return _SQLSTATES.get(state) or _SQLSTATES.get(state[:2]) or Reason.DB_ERROR
    kinds = {cls.__name__ for cls in (*type(error).__mro__, *type(getattr(error, "orig", None)).__mro__)}
    if kinds & {"ConnectionTimeout", "OperationalError", "DagsterPostgresException"}:
        # Without a SQLSTATE the server never answered: the drivers raise this while connecting or when cut off.
        return Reason.DB_OUT_OF_RESOURCES if cause_of(error) is Cause.SLOTS else Reason.DB_CONNECT_FAILED
    if "InterfaceError" in kinds:
        return Reason.DB_CONNECTION_LOST
    if "DBAPIError" in kinds:
        return Reason.DB_ERROR
    return Reason.INTERNAL_ERROR


def _is_interrupted(error: BaseException) -> bool:
    """Return whether this is an interrupt, or what came of one: a library that is cut short says something else."""
    found: BaseException | None = error
    while found is not None:
        if type(found).__name__ in _INTERRUPTS or isinstance(found, KeyboardInterrupt):
            return True
        found = found.__cause__ or found.__context__
    return False


def to_ops_error(error: BaseException) -> OpsError:
    """Return the OpsError that stands for `error`; raise it after the `except` block, so that nothing is chained."""
    if SHOWS_DETAILS and not isinstance(error, OpsError):
        import traceback

        traceback.print_exception(error)
    if isinstance(error, OpsError):
        return OpsError(error.reason, **error.fields)
    reason = reason_of(error)
    if reason is not Reason.DB_CONNECT_FAILED:
        return OpsError(reason)
    name = getattr(getattr(error, "orig", error), _DSN, None)
    return OpsError(reason, cause=cause_of(error), **({"dsn": name} if name else {}))


def keep_dsn_name(error: BaseException, name: str) -> None:
    """Keep with a driver's error the name of the variable that holds the DSN: lines say which database it was."""
    setattr(error, _DSN, name)


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
        known: Cause | None = getattr(found, _CAUSE, None)
        if known:
            return known
        # Names of hosts, roles and databases are quoted; they could read like anything.
        texts.append(re.sub(r"\"[^\"]*\"|'[^']*'", "", str(found)))
        found = getattr(found, "orig", None) or found.__cause__ or found.__context__
    text = " ".join(texts)
    return next((cause for cause, pattern in _CAUSES if re.search(pattern, text)), Cause.OTHER)


def redact(error: BaseException) -> None:
    """Put the reason of a database error in place of its text, and keep its type and SQLSTATE.

    For errors that a library catches by type before any boundary of ours: it logs and stores what it caught.
    """
    if hasattr(error, _CAUSE):
        return
    reason, cause = reason_of(error), cause_of(error)
    text = f"{reason.value} cause={cause.value}" if reason is Reason.DB_CONNECT_FAILED else reason.value
    for one in (error, getattr(error, "orig", None)):
        if one is not None:
            one.args = (text,)
            one.__cause__ = one.__context__ = None
            one.__dict__.pop("__notes__", None)
            setattr(one, _CAUSE, cause)
    for name in {"statement", "params"} & error.__dict__.keys():
        setattr(error, name, None)


def silence_libraries() -> None:
    """Let the libraries that hold secrets log nothing, whatever log the process has.

    What they log names users, databases, hosts and addresses, without any exception that could be redacted.
    """
    import logging

    for name in ("apprise", "psycopg", "sqlalchemy", "urllib3"):
        # A level, since a handler could be there or come; their own loggers below inherit it.
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def error_boundary(function: Callable[P, T]) -> Callable[P, T]:
    """Make `function`, which may be a generator, raise OpsError only, with nothing of the original attached."""

    @functools.wraps(function)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except BaseException as error:  # noqa: BLE001 - this is the boundary
            failure = _replacement(error)
        raise failure

    @functools.wraps(function)
    def guarded_generator(*args: P.args, **kwargs: P.kwargs) -> Iterator[object]:
        try:
            return (yield from function(*args, **kwargs))  # type: ignore[misc, no-any-return]
        except BaseException as error:  # noqa: BLE001 - this is the boundary
            failure = _replacement(error)
        raise failure

    code = getattr(function, "__code__", None)
    is_generator = code is not None and code.co_flags & _CO_GENERATOR
    return guarded_generator if is_generator else guarded  # type: ignore[return-value]


def _replacement(error: BaseException) -> BaseException:
    """Return what is raised in place of `error`."""
    if type(error).__name__ in _PASSED_ON:
        return type(error)()
    if getattr(error, "has_safe_text", False) and not isinstance(error, OpsError):
        error.__cause__ = error.__context__ = None
        return error
    return to_ops_error(error)
