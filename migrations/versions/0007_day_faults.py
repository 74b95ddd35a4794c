"""Days whose counts are not what the source has, and alerts of what became known late."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_BEFORE = "'opened', 'spread', 'worsened', 'failed', 'blind', 'reminder', 'eased', 'recovered', 'test'"
_KINDS = _BEFORE.replace("'reminder'", "'late', 'reminder'")


def upgrade() -> None:
    op.execute("""
        CREATE TABLE ops.day_faults (
            utc_day date NOT NULL,
            reason text NOT NULL,
            events bigint NOT NULL,
            computed_at timestamptz NOT NULL DEFAULT now(),
            CONSTRAINT day_faults_pkey PRIMARY KEY (utc_day, reason),
            CONSTRAINT day_faults_reason_check CHECK (reason ~ '^[a-z][a-z0-9_]{0,39}$'),
            CONSTRAINT day_faults_events_check CHECK (events >= 0)
        )
    """)
    op.execute("""
        COMMENT ON TABLE ops.day_faults IS 'Days whose stored counts are not what the source has, and why.'
    """)
    _let_kinds_be(_KINDS)


def downgrade() -> None:
    op.execute("DELETE FROM ops.alert_messages WHERE kind = 'late'")
    _let_kinds_be(_BEFORE)
    op.execute("DROP TABLE ops.day_faults")


def _let_kinds_be(kinds: str) -> None:
    op.execute("""
        -- squawk-ignore ban-drop-constraint
        ALTER TABLE ops.alert_messages DROP CONSTRAINT alert_messages_kind_check
    """)
    # The table holds the messages of some weeks, and nobody else writes it.
    op.execute(f"""
        -- squawk-ignore constraint-missing-not-valid
        ALTER TABLE ops.alert_messages ADD CONSTRAINT alert_messages_kind_check CHECK (kind IN ({kinds}))
    """)
