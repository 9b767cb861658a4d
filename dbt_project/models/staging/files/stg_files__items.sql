select
    item_id,
    title,
    brand,
    categories,
    description,
    released_year::integer as release_year
from {{ source('files', 'items') }}
