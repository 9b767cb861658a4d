select
    event_id,
    user_id,
    item_id,
    event_type,
    event_timestamp,
    loaded_at,
    value,
    session_hint,
    context,
    text,
    source
from {{ ref('int_events_checked') }}
where rejected_because is null
