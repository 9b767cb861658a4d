with purchases as (
    select
        raw_file,
        raw_row,
        {{ pseudonym('customer_id') }} as user_id,
        product_id,
        transaction_date,
        -- A day is all that is known; it is kept as one, whatever the zone.
        timezone('UTC', try_strptime(transaction_date, '%m/%d/%Y')) as bought_at,
        try_cast(amount as decimal(18, 4)) as amount,
        try_cast(sales_price as decimal(18, 4)) as sales_price
    from {{ source('tafeng', 'purchases') }}
),

clock as (
    {{ clock_of('tafeng') }}
)

select
    -- A product stands once in a day of a customer.
    purchases.transaction_date || ':' || purchases.user_id || ':' || purchases.product_id as event_id,
    purchases.user_id,
    purchases.product_id as item_id,
    'purchase' as event_type,
    purchases.bought_at + clock.shift as event_timestamp,
    -- The log does not say when it was learned.
    purchases.bought_at + clock.shift as loaded_at,
    {{ us_dollars('purchases.sales_price', '1', 'rates.usd') }} as value,
    'USD' as currency,
    {{ us_dollars('(purchases.sales_price / nullif(purchases.amount, 0))', '1', 'rates.usd') }} as price,
    -- What somebody bought on one day is one basket.
    purchases.transaction_date || ':' || purchases.user_id as session_hint,
    purchases.sales_price < 0 or purchases.amount <= 0 as is_impossible,
    'tafeng' as source,
    purchases.raw_file,
    purchases.raw_row
from purchases
cross join clock
left join {{ ref('currency_rates') }} as rates on rates.currency = 'TWD'
