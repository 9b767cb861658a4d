with lines as (
    {{ json_lines('live_events', [
        'event_id', 'user_id', 'event_type', 'item_id', 'event_timestamp', 'received_at', 'value',
        'session_hint', 'geo',
    ], log='live') | indent(4) }}
)

select
    fields.event_id,
    -- A pseudonym since it was received: the live log has nothing else.
    fields.user_id,
    fields.item_id,
    fields.event_type,
    -- The service's clock is ours: nothing is moved.
    {{ instant('fields.event_timestamp') }} as event_timestamp,
    {{ instant('fields.received_at') }} as loaded_at,
    try_cast(fields.value as decimal(18, 4)) as value,
    fields.session_hint,
    fields.geo,
    fields is null as is_unreadable,
    'live' as source,
    raw_file,
    raw_row
from lines
