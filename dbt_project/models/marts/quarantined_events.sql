select
    source,
    rejected_because,
    event_id,
    user_id,
    item_id,
    event_type,
    event_timestamp,
    loaded_at,
    value,
    raw_file,
    raw_row
from {{ ref('int_events_checked') }}
where rejected_because is not null
