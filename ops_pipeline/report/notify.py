"""The way out to people and monitors: messages by Apprise, and the ping that a dead scheduler leaves out.

What is sent is made of declared words. Addresses hold secrets: nothing that a library says of them gets any further.
"""

from __future__ import annotations

import functools
import http.client
import re
import sys
import threading
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ops_pipeline.contract.environment import EnvPart, Name, invalid_env, value
from ops_pipeline.contract.errors import OpsError
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.vocabulary import Severity
from ops_pipeline.contract.within import within

_SEND_SECONDS = 30
_PING_SECONDS = 10
"""In all, however slowly an answer comes."""
_INCIDENT_SCHEMES = frozenset({"pagerduty", "opsgenie", "jira"})
"""Receivers that keep an incident open until it is resolved, and wake nobody when it is."""
_LOCAL_SCHEMES = frozenset({"dbus", "glib", "gnome", "kde", "macosx", "qt", "syslog", "windows"})
"""Receivers on this machine, which are reached without a connection."""


def addresses(name: Name) -> tuple[str, ...]:
    """Return the addresses that a variable lists, apart by spaces, or by commas before a scheme, each once."""
    words = (value(name) or "").split()
    found = [one.strip(",") for word in words for one in re.split(r",(?=[A-Za-z][A-Za-z0-9+.-]*://)", word)]
    return tuple(dict.fromkeys(filter(None, found)))


def resolves(address: str) -> bool:
    """Return whether the receiver keeps an incident that a later message resolves."""
    return urlsplit(address).scheme.lower() in _INCIDENT_SCHEMES


def check_addresses(name: Name) -> None:
    """Raise OpsError `invalid_env` where Apprise cannot use an address that the variable lists."""
    for address in addresses(name):
        if _receiver(address) is None:
            raise invalid_env({name: EnvPart.ADDRESS})


def send(address: str, title: str, body: str, *, severity: Severity, key: str) -> None:
    """Send a message. Receivers that keep incidents find the one that `key` opened by it, and resolve it on success.

    Raises OpsError `alert_not_sent` where it was refused, where nothing has left this machine, or where it took long.
    """
    within(_SEND_SECONDS, lambda: _send(address, title, body, severity, key), Reason.ALERT_NOT_SENT)


def _send(address: str, title: str, body: str, severity: Severity, key: str) -> None:
    import apprise

    receiver = _receiver(address)
    if receiver is None:
        raise OpsError(Reason.ALERT_NOT_SENT)
    _use_key(receiver, key)
    words = {"title": title, "body": body, "body_format": apprise.NotifyFormat.TEXT}
    is_local = urlsplit(address).scheme.lower() in _LOCAL_SCHEMES
    try:
        has_left, is_sent = _notify(receiver, notify_type=apprise.NotifyType(severity.value), **words)
        if is_sent and not has_left and resolves(address):
            # Apprise lost the number of the incident: what is said of it joins it by its key.
            receiver.action = "new"
            has_left, is_sent = _notify(receiver, notify_type=apprise.NotifyType(severity.value), **words)
    except Exception:  # noqa: BLE001 - seventy services' libraries raise what they like
        has_left, is_sent = False, False
    if not is_sent or not (has_left or is_local):
        raise OpsError(Reason.ALERT_NOT_SENT)


def _receiver(address: str) -> Any:
    """Return Apprise's object for an address; None: it cannot use the address."""
    import apprise

    # The numbers of open incidents, which Opsgenie and Jira are resolved by.
    folder = Path.home() / ".cache" / "ops_pipeline"
    asset = apprise.AppriseAsset(app_id="ops_pipeline", storage_path=str(folder), storage_mode="flush")
    try:
        return apprise.Apprise.instantiate(address, asset=asset, suppress_exceptions=True)
    except Exception:  # noqa: BLE001 - an address is anything
        return None


def _use_key(receiver: Any, key: str) -> None:
    """Let the receiver know messages of the same key as belonging together, unless the address says how."""
    if hasattr(receiver, "dedup"):
        receiver.dedup = receiver.dedup or key
        if receiver.action == "trigger":
            receiver.action = "map"
    elif hasattr(receiver, "alias") and hasattr(receiver, "mapping"):
        receiver.alias = receiver.alias or key
    elif hasattr(receiver, "payload_extras"):
        receiver.payload_extras.setdefault("key", key)


def _notify(receiver: Any, **words: Any) -> tuple[bool, bool]:
    """Return whether anything has left this thread for another program, and whether Apprise calls it sent."""
    _watch_departures()
    _departures.has_left = False
    is_sent = bool(receiver.notify(**words))
    return _departures.has_left, is_sent


_departures = threading.local()


@functools.cache
def _watch_departures() -> None:
    """Note from now on, in each thread, when a connection is made: some receivers say "sent" and send nothing."""

    def note(event: str, _arguments: object) -> None:
        if event in ("socket.connect", "socket.sendto"):
            _departures.has_left = True

    sys.addaudithook(note)


def ping(exit_code: int) -> bool:
    """Tell the monitor that OPS_HEARTBEAT_URL names how the newest day is; return whether there is one.

    The exit code is the last part of the path (healthchecks.io's convention); there is no body. Raises OpsError
    `invalid_env` for an address that is none, `heartbeat_not_sent` where nobody took it.
    """
    address = value(Name.OPS_HEARTBEAT_URL)
    if address is None:
        return False
    if urlsplit(address).scheme not in ("http", "https"):
        raise invalid_env({Name.OPS_HEARTBEAT_URL: EnvPart.SCHEME})
    within(_PING_SECONDS, lambda: _ask(f"{address.rstrip('/')}/{exit_code}"), Reason.HEARTBEAT_NOT_SENT)
    return True


def _ask(address: str) -> None:
    try:
        urllib.request.urlopen(address, timeout=_PING_SECONDS).close()  # noqa: S310 - checked
    except (OSError, ValueError, http.client.HTTPException):
        pass
    else:
        return
    raise OpsError(Reason.HEARTBEAT_NOT_SENT)
