with windowed as (
    select windowed.*
    from {{ ref('int_orders_windowed') }} as windowed
    {% if is_incremental() -%}
    inner join {{ touched('user_id') }} as touched
        on windowed.user_id = touched.user_id and windowed.event_timestamp >= touched.since
    {%- endif %}
),

orders as (
    select
        *,
        epoch_us(last_event_at) // 86400000000 as last_day_n,
        {{ amount_bar('value_sum_365d') }} as spend_bar,
        date_trunc('day', event_timestamp) as day_at
    from windowed
),

population as (
    select * from {{ ref('population_daily') }}
),

compared as (
    select
        orders.*,
        population.last_purchase_day_percentiles as recency_population,
        population.orders_365d_percentiles as frequency_population,
        population.spend_365d_percentiles as spend_population
    from orders
    asof left join population on orders.day_at >= population.day_at
)

select
    user_id,
    event_timestamp,
    loaded_at,
    -- Feast keeps timestamps to the second: what is finer is cut here, for all readers alike.
    date_trunc('second', last_event_at) as last_purchase_at,
    orders_30d::bigint as orders_30d,
    orders_90d::bigint as orders_90d,
    orders_365d::bigint as orders_365d,
    value_sum_90d::double as order_value_sum_90d,
    value_sum_365d::double as order_value_sum_365d,
    (value_sum_365d / nullif(valued_365d, 0))::double as order_value_mean_365d,
    -- As in user_activity: exact while decimals hold it.
    sqrt(
        coalesce(
            try((valued_365d * value_square_sum_365d - value_sum_365d * value_sum_365d)::double),
            greatest(
                valued_365d::double * value_square_sum_365d::double - pow(value_sum_365d::double, 2), 0
            )
        ) / nullif(valued_365d * (valued_365d - 1), 0)::double
    ) as order_value_stddev_365d,
    quartiles[1] as order_value_quartile_1,
    quartiles[2] as order_value_median,
    quartiles[3] as order_value_quartile_3,
    {{ fifth('last_day_n', 'recency_population') }}::integer as recency_score,
    {{ percentile('last_day_n', 'recency_population') }}::integer as recency_percentile,
    {{ fifth('orders_365d', 'frequency_population') }}::integer as frequency_score,
    {{ percentile('orders_365d', 'frequency_population') }}::integer as frequency_percentile,
    {{ fifth('spend_bar', 'spend_population') }}::integer as spend_score,
    {{ percentile('spend_bar', 'spend_population') }}::integer as spend_percentile
from compared
