{%- set kept = 50 -%}
with events as (
    select
        events.user_id,
        events.event_timestamp,
        events.event_id,
        events.loaded_at,
        -- An event is in the list from when it has happened and is known.
        greatest(events.event_timestamp, events.loaded_at) as entered_at,
        struct_pack(
            happened_at := events.event_timestamp,
            event_id := events.event_id,
            item_id := events.item_id,
            event_type := events.event_type
        ) as event,
        {{ 'touched.since' if is_incremental() else "timestamptz '-infinity'" }} as since
    from {{ ref('int_user_events') }} as events
    {% if is_incremental() -%}
    inner join {{ touched('user_id') }} as touched on events.user_id = touched.user_id
    {% endif -%}
    where events.item_id is not null
),

arrivals as (
    select
        *,
        max(loaded_at) over arrived as learned_at,
        lead(entered_at) over arrived as next_entered_at,
        event < max(event) over earlier as is_overtaken
    from events
    window
        arrived as (partition by user_id order by entered_at, event_timestamp, event_id),
        earlier as (
            partition by user_id order by entered_at, event_timestamp, event_id
            rows between unbounded preceding and 1 preceding
        )
),

people as (
    select
        user_id,
        bool_or(coalesce(is_overtaken, false)) as has_overtaken
    from arrivals
    group by user_id
),

-- Nearly everybody's events are learned in the order in which they happen, and the last that came
-- are the last that happened.
in_order as (
    select
        arrivals.user_id,
        arrivals.entered_at,
        arrivals.learned_at,
        arrivals.next_entered_at,
        arrivals.since,
        list_reverse(list(arrivals.event) over last_ones) as events
    from arrivals
    inner join people on arrivals.user_id = people.user_id
    where not people.has_overtaken
    window last_ones as (
        partition by arrivals.user_id
        order by arrivals.entered_at, arrivals.event_timestamp, arrivals.event_id
        rows between {{ kept - 1 }} preceding and current row
    )
),

overtaken as (
    select
        arrivals.user_id,
        arrivals.entered_at,
        arrivals.learned_at,
        arrivals.next_entered_at,
        arrivals.since,
        max(arrivals.event, {{ kept }}) over so_far as events
    from arrivals
    inner join people on arrivals.user_id = people.user_id
    where people.has_overtaken
    window so_far as (
        partition by arrivals.user_id
        order by arrivals.entered_at, arrivals.event_timestamp, arrivals.event_id
        rows between unbounded preceding and current row
    )
)

select
    user_id,
    entered_at as event_timestamp,
    learned_at as loaded_at,
    [event.item_id for event in events] as item_ids,
    [event.event_type for event in events] as event_types,
    -- Feast keeps arrays of timestamps to the second only: microseconds as integers lose nothing.
    [epoch_us(event.happened_at) for event in events] as event_at_us
from (
    select * from in_order
    union all
    select * from overtaken
) as lists
-- Of events that enter at one instant only the last one's list is complete.
where next_entered_at is distinct from entered_at and entered_at >= since
