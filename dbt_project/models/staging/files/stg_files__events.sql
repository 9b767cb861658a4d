with events as (
    select * from {{ source('files', 'events') }}
),

clock as (
    {{ clock_of('files') }}
)

select
    events.event_id,
    {{ pseudonym('events.user_id') }} as user_id,
    events.item_id,
    events.event_type,
    events.event_at + clock.shift as event_timestamp,
    -- Files that do not say when they were learned are taken to have been learned as it happened; so
    -- are rows that say that they were learned before, as a mere date does.
    greatest(coalesce(events.loaded_at, events.event_at), events.event_at) + clock.shift as loaded_at,
    events.value::decimal(18, 4) as value,
    events.session_hint,
    events.context,
    events.text,
    'files' as source,
    events.file_name as raw_file,
    events.row_number::bigint as raw_row
from events
cross join clock
