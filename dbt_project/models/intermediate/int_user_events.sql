-- Whose an event is: the account's, or of somebody who did not say, the cookie's or the device's.
select
    event_id,
    coalesce(user_id, anonymous_id, device_id) as user_id,
    item_id,
    event_type,
    event_timestamp,
    loaded_at,
    value,
    session_hint,
    source
from {{ ref('int_events_canonical') }}
