"""What people are told: what they know, what is to be sent, and how far each address has been told."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE ops.alert_states (
            touch text NOT NULL,
            subject text NOT NULL,
            reason text NOT NULL,
            since date NOT NULL,
            worst integer NOT NULL,
            told_on date NOT NULL,
            seen_on date NOT NULL,
            is_muted boolean NOT NULL,
            CONSTRAINT alert_states_pkey PRIMARY KEY (touch, subject),
            CONSTRAINT alert_states_touch_check CHECK (touch IN ('first', 'second', 'both')),
            CONSTRAINT alert_states_subject_check CHECK (subject ~ '^[a-z][a-z0-9_]{0,39}$'),
            CONSTRAINT alert_states_reason_check CHECK (reason ~ '^[a-z][a-z0-9_]{0,39}$')
        )
    """)
    op.execute("COMMENT ON TABLE ops.alert_states IS 'What people know of all that has not ended.'")
    op.execute("""
        CREATE TABLE ops.alert_messages (
            message bigint GENERATED ALWAYS AS IDENTITY,
            utc_day date NOT NULL,
            kind text NOT NULL,
            reason text NOT NULL,
            since date NOT NULL,
            title text NOT NULL,
            body text NOT NULL,
            created_at timestamptz NOT NULL,
            CONSTRAINT alert_messages_pkey PRIMARY KEY (message),
            CONSTRAINT alert_messages_kind_check CHECK (kind IN (
                'opened', 'spread', 'worsened', 'failed', 'blind', 'reminder', 'eased', 'recovered', 'test'
            )),
            CONSTRAINT alert_messages_reason_check CHECK (reason ~ '^[a-z][a-z0-9_]{0,39}$')
        )
    """)
    op.execute("""
        COMMENT ON TABLE ops.alert_messages IS 'What is told to people, in the order in which it was written.'
    """)
    op.execute("""
        CREATE TABLE ops.alert_addresses (
            digest bytea NOT NULL,
            last_message bigint NOT NULL,
            tries integer NOT NULL,
            next_try_at timestamptz,
            claimed_until timestamptz,
            seen_at timestamptz NOT NULL,
            CONSTRAINT alert_addresses_pkey PRIMARY KEY (digest),
            CONSTRAINT alert_addresses_digest_check CHECK (octet_length(digest) = 4)
        )
    """)
    op.execute("COMMENT ON TABLE ops.alert_addresses IS 'How far each address has been told.'")
    op.execute("""
        COMMENT ON COLUMN ops.alert_addresses.digest IS 'The first 4 bytes of the SHA-256 of the address'
    """)


def downgrade() -> None:
    op.execute("DROP TABLE ops.alert_addresses")
    op.execute("DROP TABLE ops.alert_messages")
    op.execute("DROP TABLE ops.alert_states")
