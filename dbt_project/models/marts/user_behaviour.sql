{%- set windows = {'1h': '1 hour', '1d': '1 day', '7d': '7 days', '30d': '30 days', '90d': '90 days'} -%}
{%- set long_windows = {'7d': '7 days', '30d': '30 days', '90d': '90 days'} -%}
{%- set kinds = {
    'views': 'view', 'searches': 'search', 'carts': 'cart', 'buys': 'buy', 'engagements': 'engage',
} -%}
{%- set totals = windowed_totals(kinds, windows) -%}
{%- do totals.update(windowed_totals(['spend'], windows, among=windows | reject('eq', '1h') | list)) -%}
{%- do totals.update(windowed_totals(['clicks'], windows, among=['30d', '90d'])) -%}
{%- for name in ['items', 'categories'] -%}
{%- for suffix in long_windows -%}
{%- do totals.update({name ~ '_' ~ suffix: name ~ '_' ~ suffix}) -%}
{%- endfor -%}
{%- endfor -%}
with events as (
    select
        *,
        {{ event_kind('event_type') }} as kind,
        epoch_us(event_timestamp) as happened
    from {{ ref('int_user_events') }}
    where
        {{ event_kind('event_type') }} <> 'other'
        and {{ is_in_group('user_id') }}
        {%- if is_incremental() %}
        and {{ of_touched('user_id') }}
        {%- endif %}
),

items as (
    select * from {{ ref('int_items') }}
),

people as (
    {{ numbered('events', 'user_id', touched=touched('user_id') if is_incremental() else none) | indent(4) }}
),

entries as (
    select
        people.nth,
        events.item_id,
        epoch_us(events.loaded_at) as learned,
        epoch_us(greatest(events.event_timestamp, events.loaded_at)) as entered,
        {%- for name, kind in kinds.items() %}
        (events.kind = '{{ kind }}')::integer as {{ name }},
        {%- endfor %}
        (events.event_type = 'click')::integer as clicks,
        {%- for suffix, interval in windows.items() %}
        {{ leaving_time('events.happened', interval, window_grain(suffix)) }} as left_{{ suffix }},
        {%- endfor %}
        case when events.kind = 'buy' then coalesce(events.value, 0) else 0 end as spend
    from events
    inner join people on events.user_id = people.user_id
),

of_items as (
    select
        *,
        item_id as thing
    from entries
    where item_id is not null
),

of_categories as (
    select
        entries.*,
        unnest(list_distinct(items.categories)) as thing
    from entries
    inner join items on entries.item_id = items.item_id
),

moves as (
    select * from (
        {{ windowed_moves('entries', windows, (kinds | list) + ['clicks', 'spend']) | indent(8) }}
    )
    union all by name
    select * from (
        {{ distinct_windows('of_items', long_windows, 'items') | indent(8) }}
    )
    union all by name
    select * from (
        {{ distinct_windows('of_categories', long_windows, 'categories') | indent(8) }}
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
    {%- for name in totals if not name.startswith('clicks') %}
    {{ name }}::{{ 'double' if name.startswith('spend') else 'bigint' }} as {{ name }},
    {%- endfor %}
    {%- for suffix in ['30d', '90d'] %}
    {{ rate_with_prior('clicks_' ~ suffix, 'views_' ~ suffix ~ ' - clicks_' ~ suffix) | indent(4) }}
        as click_rate_{{ suffix }},
    {{ rate_with_prior('carts_' ~ suffix, 'views_' ~ suffix) | indent(4) }} as cart_rate_{{ suffix }},
    {{ rate_with_prior('buys_' ~ suffix, 'views_' ~ suffix) | indent(4) }} as buy_rate_{{ suffix }},
    {%- endfor %}
    {{ trend(
        'views_7d + searches_7d + carts_7d + buys_7d + engagements_7d',
        'views_30d + searches_30d + carts_30d + buys_30d + engagements_30d',
    ) | indent(4) }} as trend_7d
from windowed
