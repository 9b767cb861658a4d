select
    event_id,
    item_id,
    event_type,
    event_timestamp,
    loaded_at,
    value,
    source
from {{ ref('int_events_canonical') }}
where item_id is not null
