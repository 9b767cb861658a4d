-- The first reason to reject each event, by itself or by the others.
with rejections as (
    select
        source,
        raw_file,
        raw_row,
        list(reason) as reasons
    from {{ ref('int_rejections') }}
    group by source, raw_file, raw_row
)

select
    events.* exclude (events.build, events.fault, events.content, events.price),
    case
        when events.fault is not null then events.fault
        when list_contains(rejections.reasons, 'duplicate_event_id') then 'duplicate_event_id'
        when bots.reason is not null then bots.reason
        when list_contains(rejections.reasons, 'near_duplicate') then 'near_duplicate'
        when list_contains(rejections.reasons, 'value_outlier') then 'value_outlier'
        when list_contains(rejections.reasons, 'told_by_orders') then 'told_by_orders'
    end as rejected_because
from {{ ref('int_events_read') }} as events
left join rejections
    on
        events.source = rejections.source
        and events.raw_file = rejections.raw_file
        and events.raw_row = rejections.raw_row
left join {{ ref('int_bots') }} as bots on events.source = bots.source and events.actor_id = bots.actor_id
