"""DSNs: taken apart by libpq's own parser, once, and checked without connecting anywhere.

Every form that libpq knows is one: a URL, `key=value` words, a socket folder, a service, several hosts. A driver in
the scheme, as SQLAlchemy writes it, is left out.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict

from ops_pipeline.contract.environment import DSNS, EnvPart, Name, invalid_env, value

TLS_MODES = ("require", "verify-ca", "verify-full")
_OTHER_MODES = ("disable", "allow", "prefer")
_TLS_FILES = frozenset({"sslcert", "sslkey", "sslrootcert", "sslcrl"})
_LOCAL_HOSTS = frozenset({"", "localhost", "127.0.0.1", "::1"})
_MAX_PORT = 65535
_SCHEME = re.compile(r"(?P<scheme>postgres(?:ql)?)(?:\+psycopg2?)?://", re.IGNORECASE)
_PERCENT = re.compile(r"%(?![0-9a-fA-F]{2})|%00")


def parse_dsn(name: Name, dsn: str) -> dict[str, str]:
    """Return the libpq parameters of `dsn`, those that are empty left out.

    Raises OpsError `invalid_env` naming the variable `name` and the part that cannot work.
    """
    found = _parsed(dsn)
    if isinstance(found, EnvPart):
        raise invalid_env({name: found})
    return found


def dsn_fault(dsn: str, environ: Mapping[str, str] = os.environ) -> EnvPart | None:
    """Return which part of `dsn` cannot work in production; None: none.

    A DSN of another machine has to bring a password or certificate and to ask for TLS. libpq's own variables count
    too; what a service file says is not read.
    """
    found = _parsed(dsn)
    if isinstance(found, EnvPart):
        return found
    if "service" in found or environ.get("PGSERVICE"):
        return None
    if "dbname" not in found and not environ.get("PGDATABASE"):
        return EnvPart.DATABASE
    hosts = (found.get("hostaddr") or found.get("host") or environ.get("PGHOST", "")).split(",")
    if all(host in _LOCAL_HOSTS or host.startswith(("/", "@")) for host in hosts):
        return None
    if not _has_password(found, environ):
        return EnvPart.PASSWORD
    has_tls = (found.get("sslmode") or environ.get("PGSSLMODE")) in TLS_MODES
    return None if has_tls or value(Name.OPS_ALLOW_NO_TLS, environ) == "1" else EnvPart.TLS


def dsn_faults(environ: Mapping[str, str] = os.environ) -> dict[Name, EnvPart]:
    """Return the names of DSNs that are set to something that cannot work, with the part that is at fault."""
    faults = {name: dsn_fault(dsn, environ) for name in DSNS if (dsn := value(name, environ))}
    return {name: part for name, part in faults.items() if part is not None}


def _parsed(dsn: str) -> dict[str, str] | EnvPart:
    """Return the parameters, or the part that libpq cannot read."""
    plain = _SCHEME.sub(r"\g<scheme>://", dsn, count=1).strip()
    if scheme := _SCHEME.match(plain):
        plain = scheme["scheme"].lower() + plain[scheme.end("scheme") :]
    elif "://" in plain.partition("=")[0] or "=" not in plain:
        return EnvPart.SCHEME
    try:
        parameters = {key: str(found) for key, found in conninfo_to_dict(plain).items() if found not in (None, "")}
    except (psycopg.Error, ValueError):
        return _unreadable_part(plain)
    if "@" in parameters.get("host", "").lstrip("@"):
        # An @ in a password that is not percent-encoded ends it too early.
        return EnvPart.PASSWORD
    if not all(map(_is_port, parameters.get("port", "").split(","))):
        return EnvPart.PASSWORD if "@" in parameters.get("dbname", "") else EnvPart.PORT
    if parameters.get("sslmode", "prefer") not in (*TLS_MODES, *_OTHER_MODES):
        return EnvPart.TLS
    if not all(_ends(parameters[key]) for key in _TLS_FILES & parameters.keys()):
        return EnvPart.TLS
    return parameters


def _unreadable_part(dsn: str) -> EnvPart:
    """Return which part keeps libpq from reading `dsn`: its own message would quote it."""
    if not _SCHEME.match(dsn):
        return EnvPart.PARAMETER
    rest = dsn.partition("://")[2]
    authority = re.split(r"[/?]", rest, maxsplit=1)[0]
    if _PERCENT.search(authority) or "@" in rest[len(authority) :].partition("?")[0]:
        return EnvPart.PASSWORD
    if "[" in authority or "]" in authority:
        return EnvPart.HOST
    return EnvPart.PASSWORD if "@" not in authority and "@" in rest and "=" not in rest else EnvPart.PARAMETER


def _is_port(text: str) -> bool:
    return not text or (text.isascii() and text.isdigit() and 0 < int(text) <= _MAX_PORT)


def _has_password(parameters: Mapping[str, str], environ: Mapping[str, str]) -> bool:
    return bool(
        any(parameters.get(key) for key in ("password", "passfile", "sslcert"))
        or any(environ.get(key) for key in ("PGPASSWORD", "PGPASSFILE", "PGSSLCERT"))
        or _is_file(Path("~/.pgpass"))
    )


def _ends(path: str) -> bool:
    """Return whether OpenSSL, which nothing can interrupt, comes to an end of this: a file, or nothing at all."""
    try:
        return path == os.devnull or stat.S_ISREG(Path(path).stat().st_mode)
    except (OSError, ValueError):
        return True


def _is_file(path: Path) -> bool:
    try:
        return path.expanduser().exists()
    except (OSError, RuntimeError):
        return False
