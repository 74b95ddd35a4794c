"""Events, partitioned by day, and the files they were imported from."""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE ops.delivery_events (
            occurred_at timestamptz NOT NULL,
            touch text NOT NULL,
            outcome text NOT NULL,
            reason text,
            segment text,
            CONSTRAINT delivery_events_touch_check CHECK (touch IN ('first', 'second')),
            CONSTRAINT delivery_events_outcome_check CHECK (outcome IN (
                'offered', 'suppressed', 'attempted', 'held', 'queued', 'delivered', 'failed', 'acknowledged',
                'disabled')),
            CONSTRAINT delivery_events_reason_check CHECK (reason ~ '^[a-z][a-z0-9_]{0,39}$'),
            CONSTRAINT delivery_events_segment_check CHECK (segment ~ '^[a-z][a-z0-9_]{0,39}$'),
            CONSTRAINT delivery_events_reason_required_check CHECK (
                (outcome IN ('suppressed', 'held', 'failed', 'disabled', 'acknowledged')) = (reason IS NOT NULL)),
            CONSTRAINT delivery_events_acknowledged_reason_check CHECK (
                outcome <> 'acknowledged' OR reason IN ('positive', 'neutral', 'negative'))
        ) PARTITION BY RANGE (occurred_at)
    """)
    op.execute("""
        COMMENT ON TABLE ops.delivery_events IS 'One event; no identifiers. Partitioned by UTC day.'
    """)
    # Catches what no day's partition takes, so that an application's own transaction never fails here.
    op.execute("CREATE TABLE ops.delivery_events_default PARTITION OF ops.delivery_events DEFAULT")
    op.execute("""
        CREATE TABLE ops.intake_batches (
            digest bytea NOT NULL,
            imported_at timestamptz NOT NULL DEFAULT now(),
            accepted bigint NOT NULL,
            rejected bigint NOT NULL,
            duplicates bigint NOT NULL,
            CONSTRAINT intake_batches_pkey PRIMARY KEY (digest),
            CONSTRAINT intake_batches_digest_check CHECK (octet_length(digest) = 32),
            CONSTRAINT intake_batches_accepted_check CHECK (accepted >= 0),
            CONSTRAINT intake_batches_rejected_check CHECK (rejected >= 0),
            CONSTRAINT intake_batches_duplicates_check CHECK (duplicates >= 0)
        )
    """)
    op.execute("COMMENT ON TABLE ops.intake_batches IS 'One imported file.'")
    op.execute("COMMENT ON COLUMN ops.intake_batches.digest IS 'SHA-256 of the file'")


def downgrade() -> None:
    op.execute("DROP TABLE ops.intake_batches")
    op.execute("DROP TABLE ops.delivery_events")
