select
    event_id,
    user_id,
    anonymous_id,
    device_id,
    actor_id,
    item_id,
    event_type,
    event_timestamp,
    loaded_at,
    value,
    currency,
    session_hint,
    device,
    geo,
    context,
    text,
    source
from {{ ref('int_events_checked') }}
where rejected_because is null
