"""What the watchdog said."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE ops.verdicts (
            utc_day date NOT NULL,
            position smallint NOT NULL,
            signal text NOT NULL,
            touch text NOT NULL,
            status text NOT NULL,
            reason text NOT NULL,
            window_days integer NOT NULL,
            n bigint,
            x bigint,
            rate double precision,
            expected double precision,
            limit_value double precision,
            bound double precision,
            sees double precision,
            computed_at timestamptz NOT NULL DEFAULT now(),
            CONSTRAINT verdicts_pkey PRIMARY KEY (utc_day, position),
            CONSTRAINT verdicts_utc_day_signal_touch_key UNIQUE (utc_day, signal, touch),
            CONSTRAINT verdicts_signal_check CHECK (signal IN (
                'watchdog', 'identity_leak', 'delivered', 'hold_rate', 'suppression_rate', 'failure_rate',
                'positive_rate')),
            CONSTRAINT verdicts_touch_check CHECK (touch IN ('first', 'second', 'both')),
            CONSTRAINT verdicts_status_check CHECK (status IN ('healthy', 'insufficient_data', 'unhealthy')),
            CONSTRAINT verdicts_reason_check CHECK (reason ~ '^[a-z][a-z0-9_]{0,39}$')
        )
    """)
    op.execute("""
        COMMENT ON TABLE ops.verdicts IS 'What the watchdog said of a day: the whole, then signal by signal.'
    """)
    op.execute("""
        COMMENT ON COLUMN ops.verdicts.position IS '0: the whole; 1 and up: the signals in their order'
    """)


def downgrade() -> None:
    op.execute("DROP TABLE ops.verdicts")
