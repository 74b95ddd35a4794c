"""The environment's own secrets, in every form in which a file could hold them.

They are kept in memory: never in a file, an argument of another process or its environment.
"""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Iterator, Mapping
from urllib.parse import quote, quote_plus, unquote

ADDRESSES = ("DSN", "URI", "URL", "URLS")
ENDINGS = (*ADDRESSES, "KEY", "PASSFILE", "PASSWD", "PASSWORD", "SECRET", "TOKEN")
"""A variable whose name ends so holds a secret; of an address, the password, user and host are secrets too."""

SHORTEST = 6
WORDS = frozenset(
    {"127.0.0.1", "dagster", "database", "github.com", "localhost", "ops_pipeline", "postgres", "postgresql"}
)
"""What is never a secret by itself, though it may stand in a DSN."""

# GitHub Actions sets these in every step, and they are public.
PUBLIC_NAMES = frozenset({"GITHUB_API_URL", "GITHUB_GRAPHQL_URL", "GITHUB_SERVER_URL"})

_PARAMETERS = re.compile(
    r"(?:^|[\s?&])(?:user|password|host|hostaddr|passfile|sslpassword)\s*=\s*('[^']*'|[^\s&]+)", re.IGNORECASE
)
# The second is for a password that should have been percent-encoded.
_PLACES = (re.compile(r"://(?:([^/?#]*)@)?([^/?#@]*)"), re.compile(r"://(.*)@([^/?#@]*)"))


def secret_forms(environ: Mapping[str, str] = os.environ) -> list[bytes]:
    """Return every form of every secret value of the environment, sorted."""
    values = {part.strip() for value in _values(environ) for part in (value, *value.splitlines())}
    secret = {value for value in values if len(value) >= SHORTEST and value.lower() not in WORDS}
    return sorted({form for value in secret for form in _forms(value)})


def _values(environ: Mapping[str, str]) -> Iterator[str]:
    for name, value in environ.items():
        if name.upper().endswith(ENDINGS) and name not in PUBLIC_NAMES:
            yield value
            if name.upper().endswith(ADDRESSES):
                for part in _parts(value):
                    yield part
                    yield unquote(part)


def _parts(value: str) -> Iterator[str]:
    """Yield the user, password and hosts of each address in `value`: URLs, or libpq's `host=... password=...`."""
    for found in _PARAMETERS.findall(value):
        yield found.strip("'")
    for address in re.split(r"[\s,;]+(?=[a-z][a-z0-9+.-]*://)", value, flags=re.IGNORECASE):
        yield address
        for user, hosts in (found for place in _PLACES for found in place.findall(address)):
            yield from user.split(":", 1)
            yield from (re.sub(r":[0-9]*$", "", host).strip("[]") for host in hosts.split(","))


def _forms(value: str) -> Iterator[bytes]:
    """Yield `value` as it is, in UTF-16, URL-encoded, as in JSON, and what Base64 makes of it wherever it stands."""
    raw = value.encode("utf-8", "surrogateescape")
    yield raw
    yield value.encode("utf-16-le", "surrogatepass")
    yield json.dumps(value)[1:-1].encode()
    for quoted in (quote(raw), quote(raw, safe=""), quote_plus(raw)):
        yield quoted.encode()
        yield re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), quoted).encode()
    for before in range(3):
        # The first and last characters depend on the neighbours too.
        whole = base64.b64encode(bytes(before) + raw)
        known = whole[-(-before * 8 // 6) : (before + len(raw)) * 8 // 6]
        yield known
        yield known.translate(bytes.maketrans(b"+/", b"-_"))
