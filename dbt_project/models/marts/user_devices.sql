{%- set suffixes = ['30d', 'lifetime'] -%}
{%- set classes = ['mobile', 'tablet', 'desktop', 'other'] -%}
{%- set totals = windowed_totals(classes + ['told'], suffixes) -%}
{%- set shares = {} -%}
{%- for suffix in suffixes -%}
{%- do totals.update({'devices_' ~ suffix: 'devices_' ~ suffix}) -%}
{%- for class in classes -%}
{%- do shares.update({
    class ~ '_share_' ~ suffix: class ~ '_' ~ suffix ~ '::double / nullif(told_' ~ suffix ~ ', 0)'
}) -%}
{%- endfor -%}
{%- endfor -%}
with events as (
    select
        *,
        epoch_us(event_timestamp) as happened
    from {{ ref('int_user_events') }}
    where
        (device_class is not null or client_id is not null)
        and {{ is_in_group('user_id') }}
        {%- if is_incremental() %}
        and {{ of_touched('user_id') }}
        {%- endif %}
),

people as (
    {{ numbered('events', 'user_id', touched=touched('user_id') if is_incremental() else none) | indent(4) }}
),

entries as (
    select
        people.nth,
        events.client_id as thing,
        epoch_us(events.loaded_at) as learned,
        epoch_us(greatest(events.event_timestamp, events.loaded_at)) as entered,
        {%- for class in classes %}
        coalesce(events.device_class = '{{ class }}', false)::integer as {{ class }},
        {%- endfor %}
        (events.device_class is not null)::integer as told,
        {{ leaving_time('events.happened', '30 days', window_grain('30d')) }} as left_30d,
        {{ never() }} as left_lifetime
    from events
    inner join people on events.user_id = people.user_id
),

of_clients as (
    select * from entries
    where thing is not null
),

moves as (
    select * from (
        {{ windowed_moves('entries', suffixes, classes + ['told']) | indent(8) }}
    )
    union all by name
    select * from (
        {{ distinct_windows('of_clients', suffixes, 'devices') | indent(8) }}
    )
),

windowed as (
    {{ running_totals(
        'moves', 'people', 'user_id', totals,
        tail=is_incremental(),
    ) | indent(4) }}
)

select
    user_id,
    event_timestamp,
    loaded_at,
    {%- for name, share in shares.items() %}
    {{ share }} as {{ name }},
    {%- endfor %}
    devices_30d::bigint as devices_30d,
    devices_lifetime::bigint as devices_lifetime
from windowed
