"""Deliveries by segment, as they were published."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE ops.delivered_segments (
            utc_day date NOT NULL,
            touch text NOT NULL,
            delivered bigint NOT NULL,
            by_segment jsonb NOT NULL,
            min_cell smallint NOT NULL,
            computed_at timestamptz NOT NULL DEFAULT now(),
            CONSTRAINT delivered_segments_pkey PRIMARY KEY (utc_day, touch),
            CONSTRAINT delivered_segments_touch_check CHECK (touch IN ('first', 'second')),
            CONSTRAINT delivered_segments_delivered_check CHECK (delivered >= 0)
        )
    """)
    op.execute("""
        COMMENT ON TABLE ops.delivered_segments IS
            'Deliveries of the day by segment, as they were published: no small cell can be computed from them.'
    """)


def downgrade() -> None:
    op.execute("DROP TABLE ops.delivered_segments")
