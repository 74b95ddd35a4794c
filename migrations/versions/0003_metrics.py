"""What the assets compute from the daily counts."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE ops.delivered_totals (
            utc_day date NOT NULL,
            touch text NOT NULL,
            window_days smallint NOT NULL,
            delivered bigint NOT NULL,
            positive bigint NOT NULL,
            positive_rate double precision,
            computed_at timestamptz NOT NULL DEFAULT now(),
            CONSTRAINT delivered_totals_pkey PRIMARY KEY (utc_day, window_days, touch),
            CONSTRAINT delivered_totals_touch_check CHECK (touch IN ('first', 'second', 'both')),
            CONSTRAINT delivered_totals_delivered_check CHECK (delivered >= 0),
            CONSTRAINT delivered_totals_positive_check CHECK (positive >= 0)
        )
    """)
    op.execute("""
        COMMENT ON TABLE ops.delivered_totals IS
        'Deliveries in the window of window_days days that ends with utc_day.'
    """)
    op.execute("""
        CREATE TABLE ops.hold_suppression_rates (
            utc_day date NOT NULL,
            touch text NOT NULL,
            window_days smallint NOT NULL,
            rate text NOT NULL,
            count bigint NOT NULL,
            total bigint NOT NULL,
            attempts_source text,
            value double precision,
            computed_at timestamptz NOT NULL DEFAULT now(),
            CONSTRAINT hold_suppression_rates_pkey PRIMARY KEY (utc_day, window_days, touch, rate),
            CONSTRAINT hold_suppression_rates_touch_check CHECK (touch IN ('first', 'second')),
            CONSTRAINT hold_suppression_rates_rate_check CHECK (rate ~ '^[a-z][a-z0-9_]{0,39}$'),
            CONSTRAINT hold_suppression_rates_count_check CHECK (count >= 0),
            CONSTRAINT hold_suppression_rates_total_check CHECK (total >= 0),
            CONSTRAINT hold_suppression_rates_attempts_source_check
                CHECK (attempts_source IN ('logged', 'derived', 'mixed'))
        )
    """)
    op.execute("""
        COMMENT ON TABLE ops.hold_suppression_rates IS
        'Every rate in the window of window_days days that ends with utc_day, with what it is made of.'
    """)
    op.execute("""
        CREATE TABLE ops.second_touch_summaries (
            utc_day date NOT NULL,
            window_days smallint NOT NULL,
            offered bigint NOT NULL,
            suppressed bigint NOT NULL,
            suppressed_by jsonb NOT NULL,
            attempts bigint NOT NULL,
            attempts_source text NOT NULL,
            queued bigint NOT NULL,
            held bigint NOT NULL,
            held_by jsonb NOT NULL,
            delivered bigint NOT NULL,
            failed bigint NOT NULL,
            acknowledged bigint NOT NULL,
            acknowledged_by jsonb NOT NULL,
            disabled bigint NOT NULL,
            disabled_by jsonb NOT NULL,
            suppression_rate double precision,
            hold_rate double precision,
            computed_at timestamptz NOT NULL DEFAULT now(),
            CONSTRAINT second_touch_summaries_pkey PRIMARY KEY (utc_day, window_days),
            CONSTRAINT second_touch_summaries_offered_check CHECK (offered >= 0),
            CONSTRAINT second_touch_summaries_suppressed_check CHECK (suppressed >= 0),
            CONSTRAINT second_touch_summaries_attempts_check CHECK (attempts >= 0),
            CONSTRAINT second_touch_summaries_attempts_source_check
                CHECK (attempts_source IN ('logged', 'derived', 'mixed')),
            CONSTRAINT second_touch_summaries_queued_check CHECK (queued >= 0),
            CONSTRAINT second_touch_summaries_held_check CHECK (held >= 0),
            CONSTRAINT second_touch_summaries_delivered_check CHECK (delivered >= 0),
            CONSTRAINT second_touch_summaries_failed_check CHECK (failed >= 0),
            CONSTRAINT second_touch_summaries_acknowledged_check CHECK (acknowledged >= 0),
            CONSTRAINT second_touch_summaries_disabled_check CHECK (disabled >= 0)
        )
    """)
    op.execute("""
        COMMENT ON TABLE ops.second_touch_summaries IS
        'The second touch''s funnel in the window of window_days days that ends with utc_day.'
    """)


def downgrade() -> None:
    op.execute("DROP TABLE ops.second_touch_summaries")
    op.execute("DROP TABLE ops.hold_suppression_rates")
    op.execute("DROP TABLE ops.delivered_totals")
