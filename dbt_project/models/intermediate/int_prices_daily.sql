-- What an item costs, in bars of 2 %: the mean of what was paid for it, by the full hours at which
-- `item_statistics` changes.
with sold as (
    select
        item_id,
        event_timestamp,
        loaded_at,
        value
    from {{ ref('int_user_events') }}
    where
        item_id is not null
        and not is_retold
        and {{ event_kind('event_type') }} = 'buy'
        and value > 0
),

paid as (
    {{ exact_windows(
        relation='sold',
        entity='item_id',
        windows={},
        sums={'priced': '1', 'paid': 'value'},
        enters_at='hour',
    ) | indent(4) }}
),

prices as (
    select
        item_id as entity,
        event_timestamp,
        'price' as measure,
        {{ amount_bar('paid_lifetime / priced_lifetime') }} as bar
    from paid
),

price_changes as (
    select * from prices
    qualify bar is distinct from lag(bar) over (partition by entity order by event_timestamp)
),

spread as (
    {{ daily_percentiles('price_changes') | indent(4) }}
)

select
    day_at,
    population_n as items_n,
    percentiles
from spread
