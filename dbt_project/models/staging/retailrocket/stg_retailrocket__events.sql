with visits as (
    select
        raw_file,
        raw_row,
        {{ pseudonym('visitor_id') }} as user_id,
        item_id,
        transaction_id,
        case event
            when 'view' then 'page_view'
            when 'addtocart' then 'add_to_cart'
            when 'cart' then 'add_to_cart'
            when 'transaction' then 'purchase'
            when 'buy' then 'purchase'
        end as event_type,
        -- In milliseconds as it was published, in seconds in the subset of the papers.
        make_timestamptz(
            try_cast(happened as bigint)
            * case when try_cast(happened as bigint) > 100000000000 then 1000 else 1000000 end
        ) as happened_at
    from {{ source('retailrocket', 'visits') }}
),

clock as (
    {{ clock_of('retailrocket') }}
)

select
    concat_ws(
        ':', visits.user_id, visits.item_id, visits.event_type, epoch_us(visits.happened_at)
    ) as event_id,
    visits.user_id,
    visits.item_id,
    visits.event_type,
    visits.happened_at + clock.shift as event_timestamp,
    visits.happened_at + clock.shift as loaded_at,
    json_object('transaction_id', visits.transaction_id)::varchar as context,
    'retailrocket' as source,
    visits.raw_file,
    visits.raw_row
from visits
cross join clock
