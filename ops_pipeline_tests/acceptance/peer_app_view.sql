CREATE VIEW peer_app.delivery_events AS
SELECT
    received_at AS occurred_at,
    'first' AS touch,
    'delivered' AS outcome,
    NULL AS reason,
    NULLIF(theme, '') AS segment
FROM peer_app.inbox_items
UNION ALL
SELECT
    created_at,
    'first',
    'acknowledged',
    CASE reaction
        WHEN 'helpful' THEN 'positive'
        WHEN 'thanks' THEN 'positive'
        WHEN 'relate' THEN 'positive'
        WHEN 'seen' THEN 'neutral'
        WHEN 'not_helpful' THEN 'negative'
    END,
    NULL
FROM peer_app.acknowledgements
UNION ALL
SELECT
    (event_day_utc + time '12:00') AT TIME ZONE 'UTC',
    'second',
    CASE event_type
        WHEN 'offer_generated' THEN 'offered'
        WHEN 'offer_suppressed' THEN 'suppressed'
        WHEN 'send_attempted' THEN 'attempted'
        WHEN 'send_held' THEN 'held'
        WHEN 'send_queued' THEN 'queued'
        WHEN 'disable_negative_ack' THEN 'disabled'
        WHEN 'disable_identity_leak' THEN 'disabled'
    END,
    CASE event_type
        WHEN 'disable_negative_ack' THEN 'negative_ack'
        WHEN 'disable_identity_leak' THEN 'identity_leak'
        ELSE NULLIF(reason, '')
    END,
    NULL
FROM peer_app.second_touch_events;
