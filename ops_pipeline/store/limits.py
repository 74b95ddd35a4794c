"""How long anything may take at the database, in one place."""

CONNECT_TIMEOUT_SECONDS = 10
LOCK_WAIT_SECONDS = 60
"""How long a bootstrap waits for another one to end."""
LOCK_TIMEOUT = "60s"
"""How long a statement waits for what another one holds."""
STATEMENT_TIMEOUT = "30min"
"""How long a statement may take: a first count of three months on a small server takes some minutes."""
