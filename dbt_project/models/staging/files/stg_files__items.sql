with items as (
    select * from {{ source('files', 'items') }}
),

clock as (
    {{ clock_of('files') }}
)

select
    items.item_id,
    items.title,
    items.brand,
    items.categories,
    items.description,
    items.released_year::integer as release_year,
    items.available_from + clock.shift as available_from,
    items.available_until + clock.shift as available_until
from items
cross join clock
