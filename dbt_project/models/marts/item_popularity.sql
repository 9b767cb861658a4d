{#- What this build touches is known when events have their people. -#}
{%- do ref('int_user_events') %}
{%- set windows = {
    '1h': '1 hour', '1d': '1 day', '7d': '7 days', '30d': '30 days', '90d': '90 days', '365d': '365 days',
} -%}
{#- What enters at a full hour leaves at one. -#}
{%- set grains = dict(window_grains(windows), **{'1h': 'hour'}) -%}
with events as (
    select * from {{ ref('int_item_events') }}
    where {{ is_in_group('item_id') }}
),

windowed as (
    {{ exact_windows(
        relation='events',
        entity='item_id',
        windows=windows,
        sums={
            'events': '1',
            'valued': '(value is not null)::integer',
            'value_sum': 'value',
        },
        grains=grains,
        enters_at='hour',
        touched=touched('item_id') if is_incremental() else none,
    ) | indent(4) }}
)

select
    item_id,
    event_timestamp,
    loaded_at,
    {%- for suffix in windows %}
    events_{{ suffix }}::bigint as events_{{ suffix }},
    {%- endfor %}
    events_lifetime::bigint as events_lifetime,
    (value_sum_lifetime / nullif(valued_lifetime, 0))::double as value_mean_lifetime,
    -- Feast keeps timestamps to the second: what is finer is cut here, for all readers alike.
    date_trunc('second', first_event_at) as first_event_at,
    date_trunc('second', last_event_at) as last_event_at
from windowed
