with log_start as (
    select min(event_timestamp) as event_timestamp from {{ ref('int_item_events') }}
),

items as (
    select * from {{ ref('int_items') }}
)

select
    items.item_id,
    -- Catalogues without dates are taken to have stood since the log began.
    log_start.event_timestamp,
    log_start.event_timestamp as loaded_at,
    items.title,
    items.brand,
    items.categories,
    items.release_year
from items
cross join log_start
