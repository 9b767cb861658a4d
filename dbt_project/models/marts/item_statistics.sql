{%- set windows = {'1d': '1 day', '7d': '7 days', '30d': '30 days', '90d': '90 days'} -%}
{%- set long_windows = ['7d', '30d', '90d'] -%}
{%- set suffixes = ['1d', '7d', '30d', '90d', 'lifetime'] -%}
{%- set kinds = {'views': 'view', 'carts': 'cart', 'buys': 'buy', 'engagements': 'engage'} -%}
{%- set hour = 3600000000 -%}
{%- set totals = windowed_totals(kinds, suffixes, among=windows) -%}
{%- do totals.update({
    'priced': windowed_total('priced', 'lifetime', suffixes),
    'paid': windowed_total('paid', 'lifetime', suffixes),
}) -%}
{%- for name in ['people', 'buyers'] -%}
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
        item_id is not null
        -- Of an event that was told again, the row of who it was known to be.
        and not is_retold
        and {{ event_kind('event_type') }} in ('view', 'cart', 'buy', 'engage')
        and {{ is_in_group('item_id') }}
        {%- if is_incremental() %}
        and {{ of_touched('item_id') }}
        {%- endif %}
),

items as (
    {{ numbered('events', 'item_id', touched=touched('item_id') if is_incremental() else none) | indent(4) }}
),

people as (
    {{ numbered('events', 'user_id') | indent(4) }}
),

-- An item has many events in an hour: they enter together, at the full hour after.
entries as (
    select
        items.nth,
        people.nth as thing,
        events.kind,
        epoch_us(events.loaded_at) as learned,
        (
            (greatest(events.happened, epoch_us(events.loaded_at)) + {{ hour - 1 }}) // {{ hour }}
        ) * {{ hour }} as entered,
        {%- for name, kind in kinds.items() %}
        (events.kind = '{{ kind }}')::integer as {{ name }},
        {%- endfor %}
        {%- for suffix, interval in windows.items() %}
        {{ leaving_time('events.happened', interval, window_grain(suffix)) }} as left_{{ suffix }},
        {%- endfor %}
        {{ never() }} as left_lifetime,
        (events.kind = 'buy' and events.value > 0)::integer as priced,
        case when events.kind = 'buy' and events.value > 0 then events.value else 0 end as paid
    from events
    inner join items on events.item_id = items.item_id
    inner join people on events.user_id = people.user_id
),

buying as (
    select * from entries
    where kind = 'buy'
),

-- What enters at one hour, and leaves together, is one move.
together as (
    select
        nth,
        entered,
        max(learned) as learned,
        {%- for suffix in suffixes %}
        left_{{ suffix }},
        {%- endfor %}
        {%- for name in kinds %}
        sum({{ name }})::integer as {{ name }},
        {%- endfor %}
        sum(priced)::integer as priced,
        sum(paid) as paid
    from entries
    group by all
),

moves as (
    select * from (
        {{ windowed_moves('together', suffixes, (kinds | list) + ['priced', 'paid']) | indent(8) }}
    )
    union all by name
    select * from (
        {{ distinct_windows('entries', long_windows, 'people') | indent(8) }}
    )
    union all by name
    select * from (
        {{ distinct_windows('buying', long_windows, 'buyers') | indent(8) }}
    )
),

windowed as (
    {{ running_totals(
        'moves', 'items', 'item_id', totals,
        tail=is_incremental(),
    ) | indent(4) }}
),

-- Its price among those of the other items that were bought before the day.
population as (
    select * from {{ ref('int_prices_daily') }}
),

compared as (
    select
        windowed.*,
        population.percentiles
    from windowed
    asof left join population on date_trunc('day', windowed.event_timestamp) >= population.day_at
)

select
    item_id,
    event_timestamp,
    loaded_at,
    {%- for name in totals if name not in ('priced', 'paid') %}
    {{ name }}::bigint as {{ name }},
    {%- endfor %}
    {{ rate_with_prior('carts_30d', 'views_30d') }} as cart_rate_30d,
    {{ rate_with_prior('buys_30d', 'views_30d') }} as buy_rate_30d,
    {{ rate_with_prior('buyers_30d', 'people_30d') }} as buyer_rate_30d,
    {{ trend(
        'views_7d + carts_7d + buys_7d + engagements_7d', 'views_30d + carts_30d + buys_30d + engagements_30d'
    ) }} as trend_7d,
    (paid / nullif(priced, 0))::double as price_mean_lifetime,
    case
        when priced > 0
            then 1 + {{ percentile(
                amount_bar('paid / greatest(priced, 1)'), 'list_select(percentiles, [25, 50, 75])'
            ) }}
    end::integer as price_band
from compared
