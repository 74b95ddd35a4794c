"""The way out to people and monitors: messages by Apprise, and the ping that a dead scheduler leaves out.

What is sent is made of declared words. Addresses hold secrets: nothing that a library says of them gets any further.
"""

from __future__ import annotations

import urllib.request
from urllib.parse import urlsplit

from ops_pipeline.contract.environment import EnvPart, Name, invalid_env, value
from ops_pipeline.contract.errors import OpsError
from ops_pipeline.contract.reasons import Reason

_SECONDS = 10


def alert_addresses() -> tuple[str, ...]:
    """Return the addresses that OPS_ALERT_URLS lists, apart by spaces or commas."""
    return tuple((value(Name.OPS_ALERT_URLS) or "").replace(",", " ").split())


def send(title: str, body: str) -> int:
    """Send a message to every address and return how many there are.

    Raises OpsError `invalid_env` for an address that Apprise cannot use, `alert_not_sent` where one of them failed.
    """
    import apprise

    addresses = alert_addresses()
    notifier = apprise.Apprise()
    if not all([notifier.add(address) for address in addresses]):  # noqa: C419 - each is to be looked at
        raise invalid_env({Name.OPS_ALERT_URLS: EnvPart.ADDRESS})
    try:
        is_sent = not addresses or bool(
            notifier.notify(title=title, body=body, body_format=apprise.NotifyFormat.TEXT)
        )
    except Exception:  # noqa: BLE001 - seventy services' libraries raise what they like
        is_sent = False
    if not is_sent:
        raise OpsError(Reason.ALERT_NOT_SENT)
    return len(addresses)


def ping(exit_code: int) -> bool:
    """Tell the monitor that OPS_HEARTBEAT_URL names that a day was finished, and how; return whether there is one.

    The exit code is the last part of the path (healthchecks.io's convention); there is no body. Raises OpsError
    `invalid_env` for an address that is none, `heartbeat_not_sent` where nobody took it.
    """
    address = value(Name.OPS_HEARTBEAT_URL)
    if address is None:
        return False
    if urlsplit(address).scheme not in ("http", "https"):
        raise invalid_env({Name.OPS_HEARTBEAT_URL: EnvPart.SCHEME})
    try:
        with urllib.request.urlopen(f"{address.rstrip('/')}/{exit_code}", timeout=_SECONDS):  # noqa: S310 - checked
            return True
    except (OSError, ValueError):
        pass
    raise OpsError(Reason.HEARTBEAT_NOT_SENT)
