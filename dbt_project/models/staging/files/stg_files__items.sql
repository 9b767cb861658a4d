select
    item_id,
    title,
    categories,
    released_year::integer as release_year
from {{ source('files', 'items') }}
