select
    product_id as item_id,
    null::varchar as title,
    list_sort(list(distinct product_subclass) filter (where product_subclass is not null)) as categories,
    null::integer as release_year
from {{ source('tafeng', 'purchases') }}
where product_id is not null
group by product_id
