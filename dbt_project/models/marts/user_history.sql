{%- set kept = 50 -%}
with recent as (
    select
        user_id,
        event_timestamp,
        max(loaded_at) over up_to as loaded_at,
        list_reverse(
            list(struct_pack(item_id := item_id, event_type := event_type, happened_at := event_timestamp))
                over last_ones
        ) as events,
        lead(event_timestamp) over up_to as next_event_timestamp
    from {{ ref('int_events_canonical') }}
    window
        up_to as (partition by user_id order by event_timestamp, event_id),
        last_ones as (
            partition by user_id order by event_timestamp, event_id
            rows between {{ kept - 1 }} preceding and current row
        )
)

select
    user_id,
    event_timestamp,
    loaded_at,
    [event.item_id for event in events] as item_ids,
    [event.event_type for event in events] as event_types,
    -- Feast keeps arrays of timestamps to the second only: microseconds as integers lose nothing.
    [epoch_us(event.happened_at) for event in events] as event_at_us
from recent
-- Of events at one instant only the last one's list is complete.
where next_event_timestamp is distinct from event_timestamp
