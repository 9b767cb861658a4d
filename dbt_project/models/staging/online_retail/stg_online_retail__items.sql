with texts as (
    select
        upper(trim(stock_code)) as item_id,
        {{ normal_text('description') }} as title,
        count(*) as lines_n
    from {{ source('online_retail', 'invoice_lines') }}
    where
        stock_code is not null
        -- Goods are described in capitals; what the stock clerks noted ("damaged", "ebay") is not.
        and description = upper(description)
    group by all
)

select
    item_id,
    title,
    []::varchar[] as categories,
    null::integer as release_year
from texts
where title is not null
-- What it was called most often; of several the first by the alphabet.
qualify row_number() over (partition by item_id order by lines_n desc, title asc) = 1
