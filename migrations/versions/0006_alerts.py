"""What was told to people."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE ops.alerts (
            utc_day date NOT NULL,
            kind text NOT NULL,
            reason text NOT NULL,
            since date,
            sent_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            CONSTRAINT alerts_pkey PRIMARY KEY (utc_day, kind, reason),
            CONSTRAINT alerts_kind_check CHECK (kind IN ('opened', 'worsened', 'recovered', 'failed', 'test')),
            CONSTRAINT alerts_reason_check CHECK (reason ~ '^[a-z][a-z0-9_]{0,39}$')
        )
    """)
    op.execute("COMMENT ON TABLE ops.alerts IS 'What was told to people, so that nothing is told twice.'")


def downgrade() -> None:
    op.execute("DROP TABLE ops.alerts")
