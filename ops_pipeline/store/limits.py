"""How long anything may take at the database, in one place."""

CONNECT_TIMEOUT_SECONDS = 10
LOCK_WAIT_SECONDS = 60
"""How long a bootstrap waits for another one to end."""
LOCK_SECONDS = 60
"""How long a statement waits for what another one holds."""
STATEMENT_SECONDS = 30 * 60
"""How long a statement may take: a first count of three months on a small server takes some minutes."""
IDLE_SECONDS = 2 * 60 * 60
"""How long a transaction may wait between two statements: what is counted in one database is stored in another."""
SILENCE_SECONDS = 15
"""So much later than the server must have ended a statement, a server that says nothing is given up."""
DAGSTER_STATEMENT_SECONDS = 300
"""How long a statement of Dagster's storage may take."""

KEEPALIVE = {
    "keepalives": "1",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    # Milliseconds that the other side may leave what was sent without a sign that it has come.
    "tcp_user_timeout": "60000",
}
"""libpq's parameters by which a machine that is gone is noticed within a minute. A DSN may say otherwise."""
