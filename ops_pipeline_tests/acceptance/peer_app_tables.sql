CREATE SCHEMA peer_app;

-- A message that reached a recipient.
CREATE TABLE peer_app.inbox_items (
    message_id uuid PRIMARY KEY,
    recipient_id text NOT NULL,
    theme text,
    received_at timestamptz NOT NULL
);

-- A recipient's reaction: helpful, thanks, relate, seen or not_helpful.
CREATE TABLE peer_app.acknowledgements (
    message_id uuid NOT NULL,
    recipient_id text NOT NULL,
    reaction text NOT NULL,
    created_at timestamptz NOT NULL
);

-- What the second-touch follow-up did, and on which day that counts.
CREATE TABLE peer_app.second_touch_events (
    event_day_utc date NOT NULL,
    event_type text NOT NULL,
    reason text,
    created_at timestamptz NOT NULL
);
