select
    events.event_id,
    events.user_id,
    events.item_id,
    events.event_type,
    events.event_timestamp,
    -- The last instant at which the answer was not yet known: features are asked for here, so that
    -- neither this event nor another of the same instant is among them.
    events.event_timestamp - interval '1 microsecond' as asked_at,
    events.loaded_at,
    events.value::double as value
from {{ ref('int_user_events') }} as events
{% if is_incremental() -%}
inner join {{ touched('user_id') }} as touched
    on
        events.user_id = touched.user_id
        and greatest(events.event_timestamp, events.loaded_at) >= touched.since
{% endif -%}
-- Of an event that was told again, the row of who it was known to be.
where events.item_id is not null and not events.is_retold
