select
    event_id,
    user_id,
    item_id,
    event_type,
    event_timestamp,
    -- The last instant at which the answer was not yet known: features are asked for here, so that
    -- neither this event nor another of the same instant is among them.
    event_timestamp - interval '1 microsecond' as asked_at,
    loaded_at,
    value::double as value
from {{ ref('int_user_events') }}
where item_id is not null
