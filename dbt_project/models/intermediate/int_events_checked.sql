{% set exact_packs = var('packs_without_near_copies') | join("', '") %}
-- The first reason to reject each event. A verdict depends on the other events, on none of the order
-- in which they were read, and not on when that was; see docs/cleaning.md.
-- Each reason is looked for in a few narrow columns and leaves only the rows that it rejects: what is
-- joined to all events is small.

-- Copies are looked for among the sound events only: a faulty copy must not take a sound one's place.
with copies as (
    select
        source,
        raw_file,
        raw_row
    from {{ ref('int_events_read') }}
    where fault is null
    qualify row_number() over (partition by source, event_id order by loaded_at, raw_file, raw_row) > 1
),

-- The same thing told again under another id: all that it says is equal, and it happened within the
-- tolerance of the one before.
told_again as (
    select
        events.source,
        events.raw_file,
        events.raw_row
    from {{ ref('int_events_read') }} as events
    anti join copies
        on
            events.source = copies.source
            and events.raw_file = copies.raw_file
            and events.raw_row = copies.raw_row
    where
        events.fault is null
        and events.source not in ('{{ exact_packs }}')
    qualify
        events.event_timestamp - lag(events.event_timestamp) over (
            partition by
                events.source, events.actor_id, events.device_id, events.event_type, events.item_id,
                events.session_hint, events.content
            order by events.event_timestamp, events.loaded_at, events.event_id
        ) <= interval '{{ var("near_copy_tolerance") }}'
),

outliers as (
    select
        events.source,
        events.raw_file,
        events.raw_row
    from {{ ref('int_events_read') }} as events
    inner join {{ ref('int_usual_values') }} as usual
        on
            events.source = usual.source
            and events.event_type = usual.event_type
            and events.item_id = usual.item_id
    where
        events.fault is null
        and events.price > 0
        and abs(ln(events.price::double) - usual.log_median)
        > {{ var('outlier_deviations') }} * usual.log_spread
),

-- Order lines that will be accepted: what a rejected one says must not go for the event's word.
ordered as (
    select distinct events.order_line
    from {{ ref('int_events_read') }} as events
    anti join outliers
        on
            events.source = outliers.source
            and events.raw_file = outliers.raw_file
            and events.raw_row = outliers.raw_row
    where
        events.source = 'orders'
        and events.fault is null
        and events.order_line is not null
),

rejections as (
    select
        source,
        raw_file,
        raw_row,
        list(reason) as reasons
    from (
        select
            *,
            'duplicate_event_id' as reason
        from copies
        union all
        select
            *,
            'near_duplicate' as reason
        from told_again
        union all
        select
            *,
            'value_outlier' as reason
        from outliers
    ) as found
    group by source, raw_file, raw_row
)

select
    events.* exclude (events.fault, events.content, events.price),
    case
        when events.fault is not null then events.fault
        when list_contains(rejections.reasons, 'duplicate_event_id') then 'duplicate_event_id'
        when bots.reason is not null then bots.reason
        when list_contains(rejections.reasons, 'near_duplicate') then 'near_duplicate'
        when list_contains(rejections.reasons, 'value_outlier') then 'value_outlier'
        when events.source = 'web' and events.event_type = 'purchase' and ordered.order_line is not null
            then 'told_by_orders'
    end as rejected_because
from {{ ref('int_events_read') }} as events
left join rejections
    on
        events.source = rejections.source
        and events.raw_file = rejections.raw_file
        and events.raw_row = rejections.raw_row
left join {{ ref('int_bots') }} as bots on events.source = bots.source and events.actor_id = bots.actor_id
left join ordered on events.order_line = ordered.order_line
