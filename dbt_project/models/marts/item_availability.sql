with log_start as (
    select min(event_timestamp) as event_timestamp from {{ ref('int_item_events') }}
),

items as (
    select * from {{ ref('int_items') }}
)

select
    items.item_id,
    -- As item_attributes: what a catalogue says is taken to have been said since the log began.
    log_start.event_timestamp,
    log_start.event_timestamp as loaded_at,
    date_trunc('second', items.available_from) as available_from,
    date_trunc('second', items.available_until) as available_until
from items
cross join log_start
where items.available_from is not null or items.available_until is not null
