"""What the watchdog decided: the verdict of each day, signal by signal, and where the day stands in an episode."""

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
            count bigint,
            total bigint,
            rate double precision,
            expected double precision,
            critical double precision,
            limit_value double precision,
            bound double precision,
            min_detectable double precision,
            history_days integer,
            computed_at timestamptz NOT NULL DEFAULT now(),
            since date,
            change text NOT NULL,
            previous_status text,
            worst integer,
            healthy_days integer,
            quiet_days integer,
            muted_until date,
            CONSTRAINT verdicts_pkey PRIMARY KEY (utc_day, position),
            CONSTRAINT verdicts_utc_day_signal_touch_key UNIQUE (utc_day, signal, touch),
            CONSTRAINT verdicts_signal_check CHECK (signal ~ '^[a-z][a-z0-9_]{0,39}$'),
            CONSTRAINT verdicts_touch_check CHECK (touch IN ('first', 'second', 'both')),
            CONSTRAINT verdicts_status_check CHECK (status IN ('healthy', 'insufficient_data', 'unhealthy')),
            CONSTRAINT verdicts_reason_check CHECK (reason ~ '^[a-z][a-z0-9_]{0,39}$'),
            CONSTRAINT verdicts_change_check
                CHECK (change IN ('none', 'opened', 'spread', 'worsened', 'eased', 'recovered')),
            CONSTRAINT verdicts_previous_status_check
                CHECK (previous_status IN ('healthy', 'insufficient_data', 'unhealthy'))
        )
    """)
    op.execute("""
        COMMENT ON TABLE ops.verdicts IS 'What the watchdog said of a day: the whole, then signal by signal.'
    """)
    op.execute("COMMENT ON COLUMN ops.verdicts.worst IS 'null: no episode is open'")
    op.execute("""
        COMMENT ON COLUMN ops.verdicts.position IS '0: the whole; 1 and up: the signals in their order'
    """)


def downgrade() -> None:
    op.execute("DROP TABLE ops.verdicts")
