"""The rollup that everything else is computed from."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE ops.daily_counts (
            utc_day date NOT NULL,
            touch text NOT NULL,
            outcome text NOT NULL,
            reason text,
            segment text,
            events bigint NOT NULL,
            CONSTRAINT daily_counts_utc_day_touch_outcome_reason_segment_key
                UNIQUE NULLS NOT DISTINCT (utc_day, touch, outcome, reason, segment),
            CONSTRAINT daily_counts_touch_check CHECK (touch IN ('first', 'second')),
            CONSTRAINT daily_counts_outcome_check CHECK (outcome IN (
                'offered', 'suppressed', 'attempted', 'held', 'queued', 'delivered', 'failed', 'acknowledged',
                'disabled')),
            CONSTRAINT daily_counts_reason_check CHECK (reason ~ '^[a-z][a-z0-9_]{0,39}$'),
            CONSTRAINT daily_counts_segment_check CHECK (segment ~ '^[a-z][a-z0-9_]{0,39}$'),
            CONSTRAINT daily_counts_events_check CHECK (events >= 0)
        )
    """)
    op.execute("""
        COMMENT ON TABLE ops.daily_counts IS
        'Events of one (UTC day, touch, outcome, reason, segment). '
        'A day that was rolled up has rows for delivered.'
    """)


def downgrade() -> None:
    op.execute("DROP TABLE ops.daily_counts")
