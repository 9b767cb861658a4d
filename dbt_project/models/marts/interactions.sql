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
-- Of an event that was told again, the row of who it was known to be.
where item_id is not null and not is_retold
