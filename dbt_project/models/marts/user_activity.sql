{%- set windows = {'1d': '1 day', '7d': '7 days', '30d': '30 days', '90d': '90 days'} -%}
with events as (
    select * from {{ ref('int_user_events') }}
    where {{ is_in_group('user_id') }}
),

-- A visit begins with an event before which, as far as was known then, nothing happened for a while.
-- To the second, as last_event_at says it to those who count on from a row.
in_visits as (
    select
        * exclude (event_id),
        coalesce(
            epoch_us(event_timestamp) // 1000000 - max(epoch_us(event_timestamp) // 1000000) over (
                partition by user_id
                order by greatest(event_timestamp, loaded_at), event_timestamp, event_id
                rows between unbounded preceding and 1 preceding
            ) > {{ session_gap_us() }} // 1000000,
            true
        )::integer as begins_visit
    from events
),

windowed as (
    {{ exact_windows(
        relation='in_visits',
        entity='user_id',
        windows=windows,
        sums={
            'events': '1',
            'valued': '(value is not null)::integer',
            'value_sum': 'value',
            'value_square_sum': 'value::decimal(38, 4) * value',
        },
        totals={'visits': 'begins_visit'},
        grains=window_grains(windows),
        touched=touched('user_id') if is_incremental() else none,
    ) | indent(4) }}
)

select
    user_id,
    event_timestamp,
    loaded_at,
    {%- for suffix in windows %}
    events_{{ suffix }}::bigint as events_{{ suffix }},
    {%- endfor %}
    events_lifetime::bigint as events_lifetime,
    visits_lifetime::bigint as visits_lifetime,
    (value_sum_90d / nullif(valued_90d, 0))::double as value_mean_90d,
    -- n Σx² − (Σx)² over n (n − 1), in decimals up to the root: nothing cancels. Where that is more
    -- than a decimal holds (n |x| from 10^15 on), in floating point.
    sqrt(
        coalesce(
            try((valued_90d * value_square_sum_90d - value_sum_90d * value_sum_90d)::double),
            greatest(
                valued_90d::double * value_square_sum_90d::double - pow(value_sum_90d::double, 2), 0
            )
        ) / nullif(valued_90d * (valued_90d - 1), 0)::double
    ) as value_stddev_90d,
    (value_sum_lifetime / nullif(valued_lifetime, 0))::double as value_mean_lifetime,
    -- Feast keeps timestamps to the second: what is finer is cut here, for all readers alike.
    date_trunc('second', first_event_at) as first_event_at,
    date_trunc('second', last_event_at) as last_event_at
from windowed
