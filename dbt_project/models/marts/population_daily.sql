with orders as (
    select * from {{ ref('int_orders_windowed') }}
),

-- Who has bought nothing for a year is not counted.
measured as (
    select
        user_id,
        event_timestamp,
        case when orders_365d > 0 then epoch_us(last_event_at) // 86400000000 end as recency,
        case when orders_365d > 0 then orders_365d::bigint end as frequency,
        case when orders_365d > 0 then {{ amount_bar('value_sum_365d') }} end as spend
    from orders
),

states as (
    select
        user_id as entity,
        event_timestamp,
        unnest(['recency', 'frequency', 'spend']) as measure,
        unnest([recency, frequency, spend]) as bar
    from measured
),

spread as (
    {{ daily_percentiles('states') | indent(4) }}
)

select
    day_at,
    max(population_n) as buyers_n,
    max(percentiles) filter (where measure = 'recency') as last_purchase_day_percentiles,
    max(percentiles) filter (where measure = 'frequency') as orders_365d_percentiles,
    max(percentiles) filter (where measure = 'spend') as spend_365d_percentiles
from spread
group by day_at
