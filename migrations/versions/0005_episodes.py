"""When the present trouble began, what changed, and what was said before; two more signals."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_SIGNALS = (
    "'watchdog', 'identity_leak', 'delivered', 'hold_rate', 'suppression_rate', 'failure_rate', 'positive_rate'"
)


def upgrade() -> None:
    # The table has a dozen rows a day, so that looking at them all takes no time.
    op.execute("""
        ALTER TABLE ops.verdicts
            ADD COLUMN critical double precision,
            ADD COLUMN since date,
            ADD COLUMN change text,
            ADD COLUMN was text,
            -- squawk-ignore constraint-missing-not-valid
            ADD CONSTRAINT verdicts_change_check CHECK (change IN ('none', 'opened', 'worsened', 'recovered')),
            -- squawk-ignore constraint-missing-not-valid
            ADD CONSTRAINT verdicts_was_check CHECK (was IN ('healthy', 'insufficient_data', 'unhealthy'))
    """)
    _allow(f"{_SIGNALS}, 'funnel', 'labels'")


def downgrade() -> None:
    op.execute("DELETE FROM ops.verdicts WHERE signal IN ('funnel', 'labels')")
    _allow(_SIGNALS)
    op.execute("""
        ALTER TABLE ops.verdicts
            DROP COLUMN critical,
            DROP COLUMN since,
            DROP COLUMN change,
            DROP COLUMN was
    """)


def _allow(signals: str) -> None:
    op.execute(f"""
        ALTER TABLE ops.verdicts
            -- squawk-ignore ban-drop-constraint
            DROP CONSTRAINT verdicts_signal_check,
            -- squawk-ignore constraint-missing-not-valid
            ADD CONSTRAINT verdicts_signal_check CHECK (signal IN ({signals}))
    """)
