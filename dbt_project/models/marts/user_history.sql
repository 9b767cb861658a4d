{%- set kept = 50 -%}
{%- set touched_people = touched('user_id') if is_incremental() else none -%}
with events as (
    select
        events.user_id,
        events.item_id,
        events.event_type,
        epoch_us(events.event_timestamp) as happened,
        -- An event is in the list from when it has happened and is known.
        epoch_us(greatest(events.event_timestamp, events.loaded_at)) as entered,
        epoch_us(events.loaded_at) as learned,
        {{ since_when(touched_people) }} as since,
        row_number() over (
            partition by events.user_id
            order by events.event_timestamp, events.event_id, events.item_id, events.event_type
        ) as place
    from {{ ref('int_user_events') }} as events
    {% if touched_people -%}
    inner join {{ touched_people }} as touched on events.user_id = touched.user_id
    {% endif -%}
    where
        events.item_id is not null
        and {{ is_in_group('events.user_id') }}
),

arrivals as (
    select
        *,
        max(learned) over (
            partition by user_id
            order by entered, place
            rows between unbounded preceding and current row
        ) as latest_learned
    from events
),

people as (
    select
        user_id,
        since,
        list_sort(list(struct_pack(
            entered := entered,
            place := place,
            latest_learned := latest_learned,
            happened := happened,
            item_id := item_id,
            event_type := event_type
        ))) as events
    from arrivals
    group by user_id, since
),

lists as (
    select
        user_id,
        [event.item_id for event in events] as item_ids,
        [event.event_type for event in events] as event_types,
        [event.happened for event in events] as happened,
        [event.place for event in events] as places,
        [event.entered for event in events] as entered,
        [event.latest_learned for event in events] as latest_learned,
        len(list_filter(events, lambda event: event.entered < since)) as before
    from people
),

-- A row for each event, in the order in which they were learned.
states as (
    select
        user_id,
        item_ids,
        event_types,
        happened,
        unnest(entered[before + 1:]) as entered,
        unnest(list_append(entered[before + 2:], null)) as next_entered,
        unnest(latest_learned[before + 1:]) as latest_learned,
        unnest(running_latest(places, {{ kept }}::bigint, before::bigint)) as latest
    from lists
)

select
    user_id,
    make_timestamptz(entered) as event_timestamp,
    make_timestamptz(latest_learned) as loaded_at,
    list_select(item_ids, latest) as item_ids,
    list_select(event_types, latest) as event_types,
    -- Feast keeps arrays of timestamps to the second only: microseconds as integers lose nothing.
    list_select(happened, latest) as event_at_us
from states
-- Of events that enter at one instant only the last one's list is complete.
where next_entered is distinct from entered
