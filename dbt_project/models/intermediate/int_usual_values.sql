{% set packs = var('packs_with_money') | join("', '") %}
-- What a unit of each item costs, in logarithms: items differ by orders of magnitude, an item's own
-- price does not. The spread is of the distances from the items' own middles, event type by event
-- type: the robust standard deviation (1.4826 times the median absolute deviation; Rousseeuw and
-- Croux, 1993), which half of the prices would have to be wrong to move. Nearly all prices of an item
-- are equal, so it has a floor: without one a price that falls by a tenth would be an outlier.
with prices as (
    select
        source,
        event_type,
        item_id,
        ln(price::double) as log_price
    from {{ ref('int_events_read') }}
    where
        fault is null
        and price > 0
        and source in ('{{ packs }}')
),

known_items as (
    select
        item_id,
        median(log_price) as log_median
    from prices
    group by item_id
    having count(*) >= {{ var('outlier_witnesses') }}
),

event_types as (
    select
        prices.source,
        prices.event_type,
        median(prices.log_price - known_items.log_median) as distance,
        1.4826 * mad(prices.log_price - known_items.log_median) as spread
    from prices
    inner join known_items on prices.item_id = known_items.item_id
    group by prices.source, prices.event_type
    having count(*) >= {{ var('outlier_witnesses') }}
),

-- An item with fewer prices than can outvote a wrong one is compared with all other items, if they
-- are enough to say what is usual.
shop as (
    select
        median(log_median) as log_median,
        1.4826 * mad(log_median) as spread
    from known_items
    having count(*) >= {{ var('outlier_items') }}
),

told as (
    select distinct
        source,
        event_type,
        item_id
    from prices
)

select
    told.source,
    told.event_type,
    told.item_id,
    case
        when known_items.item_id is not null then known_items.log_median + coalesce(event_types.distance, 0)
        else shop.log_median
    end as log_median,
    -- `greatest` passes over a null: who is too rare to have a spread has the floor.
    greatest(
        case when known_items.item_id is not null then event_types.spread else shop.spread end,
        {{ var('outlier_least_spread') }}
    ) as log_spread
from told
left join known_items on told.item_id = known_items.item_id
left join event_types on told.source = event_types.source and told.event_type = event_types.event_type
left join shop on true
