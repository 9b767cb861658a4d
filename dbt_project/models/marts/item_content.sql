with log_start as (
    select min(event_timestamp) as event_timestamp from {{ ref('int_item_events') }}
),

items as (
    select * from {{ ref('int_items') }}
)

select
    items.item_id,
    -- As item_attributes: catalogues without dates are taken to have stood since the log began.
    log_start.event_timestamp,
    log_start.event_timestamp as loaded_at,
    texts.embedding as content_vector
from items
inner join {{ ref('int_text_embeddings') }} as texts
    on {{ item_text('items') }} = texts.text
cross join log_start
