{%- set kept = 10 -%}
with events as (
    select * from {{ ref('int_user_events') }}
    where item_id is not null
),

items as (
    select * from {{ ref('int_items') }}
),

first_events as (
    select
        user_id,
        min(event_timestamp) as first_event_at
    from events
    group by user_id
),

evidence as (
    select
        events.user_id,
        -- A catalogue that names a category twice does not make two events of one.
        unnest(list_distinct(items.categories)) as category,
        events.event_timestamp,
        -- Evidence counts from when it has happened and is known.
        greatest(events.event_timestamp, events.loaded_at) as entered_at,
        events.loaded_at
    from events
    inner join items on events.item_id = items.item_id
),

-- A decayed sum changes at every moment, but the share of one category in the total does not: all
-- of them fade at one rate. So weights are kept on the scale of the person's first event, where
-- they only grow, and shares are exact between events.
running as (
    select
        evidence.user_id,
        evidence.category,
        evidence.entered_at,
        max(max(evidence.event_timestamp)) over up_to as last_event_at,
        sum(
            sum(pow(
                2,
                (epoch(evidence.event_timestamp) - epoch(first_events.first_event_at))
                / ({{ var('interest_half_life_days') }} * 86400)
            ))
        ) over up_to as weight,
        sum(count(*)) over up_to as events_n
    from evidence
    inner join first_events on evidence.user_id = first_events.user_id
    group by evidence.user_id, evidence.category, evidence.entered_at, first_events.first_event_at
    window up_to as (partition by evidence.user_id, evidence.category order by evidence.entered_at)
),

instants as (
    select
        user_id,
        entered_at as event_timestamp,
        max(max(loaded_at)) over (partition by user_id order by entered_at) as loaded_at
    from evidence
    group by user_id, entered_at
),

user_categories as (
    select distinct
        user_id,
        category
    from evidence
),

states as (
    select
        instants.user_id,
        instants.event_timestamp,
        instants.loaded_at,
        running.category,
        running.weight,
        running.events_n,
        running.last_event_at
    from instants
    inner join user_categories on instants.user_id = user_categories.user_id
    asof inner join running
        on
            instants.user_id = running.user_id
            and user_categories.category = running.category
            and instants.event_timestamp >= running.entered_at
),

shares as (
    select
        *,
        weight / sum(weight) over (partition by user_id, event_timestamp) as share,
        -- Equal evidence may add up to another last digit, in another order of learning.
        row_number() over (
            partition by user_id, event_timestamp order by round(log2(weight), 9) desc, category asc
        ) as position
    from states
)

select
    user_id,
    event_timestamp,
    any_value(loaded_at) as loaded_at,
    list(category order by position) as categories,
    list(share order by position) as shares,
    list(events_n::bigint order by position) as event_counts,
    list(epoch_us(last_event_at) order by position) as last_event_at_us
from shares
where position <= {{ kept }}
group by user_id, event_timestamp
