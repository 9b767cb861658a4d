{%- set windows = {'30d': '30 days', '90d': '90 days', '365d': '365 days'} -%}
{%- set kept = 20 -%}
-- What a person buys at one instant, and is learned at one, is one order.
with events as (
    select * from {{ ref('int_user_events') }}
    where
        {{ event_kind('event_type') }} = 'buy'
        {%- if is_incremental() %}
        and {{ of_touched('user_id') }}
        {%- endif %}
),

orders as (
    select
        user_id,
        event_timestamp,
        greatest(event_timestamp, loaded_at) as entered_at,
        max(loaded_at) as loaded_at,
        sum(value)::decimal(18, 4) as value
    from events
    group by user_id, event_timestamp, greatest(event_timestamp, loaded_at)
),

windowed as (
    {{ exact_windows(
        relation='orders',
        entity='user_id',
        windows=windows,
        sums={
            'orders': '1',
            'valued': '(value is not null)::integer',
            'value_sum': 'value',
            'value_square_sum': 'value::decimal(38, 4) * value',
        },
        touched=touched('user_id') if is_incremental() else none,
    ) | indent(4) }}
),

-- Quartiles cannot be added up and taken away again: they are of the latest orders that were learned.
latest as (
    select
        user_id,
        entered_at,
        quantile_cont(value::double, [0.25, 0.5, 0.75]) over (
            partition by user_id order by entered_at, event_timestamp
            rows between {{ kept - 1 }} preceding and current row
        ) as quartiles
    from orders
    qualify
        lead(entered_at) over (partition by user_id order by entered_at, event_timestamp)
        is distinct from entered_at
)

select
    windowed.*,
    latest.quartiles
from windowed
asof inner join latest
    on windowed.user_id = latest.user_id and windowed.event_timestamp >= latest.entered_at
