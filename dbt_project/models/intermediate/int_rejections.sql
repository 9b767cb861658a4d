{% set exact_packs = var('packs_without_near_copies') | join("', '") %}
-- What other events say against an event that is sound by itself. A verdict depends on none of the order
-- in which events were read, and not on when that was; see docs/cleaning.md.
-- Each reason is looked for in a few narrow columns and leaves only the rows that it rejects: what is
-- joined to all events is small. All is looked through in every build: one late event can speak
-- against any other.

-- Copies are looked for among the sound events only: a faulty copy must not take a sound one's place.
with copies as (
    select
        source,
        raw_file,
        raw_row,
        actor_id
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
        events.raw_row,
        events.actor_id
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
        events.raw_row,
        events.actor_id
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

told_by_orders as (
    select
        events.source,
        events.raw_file,
        events.raw_row,
        events.actor_id
    from {{ ref('int_events_read') }} as events
    inner join ordered on events.order_line = ordered.order_line
    where
        events.source = 'web'
        and events.event_type = 'purchase'
        and events.fault is null
)

{% for reason, rows in [
    ('duplicate_event_id', 'copies'), ('near_duplicate', 'told_again'), ('value_outlier', 'outliers'),
    ('told_by_orders', 'told_by_orders'),
] -%}
select
    *,
    '{{ reason }}' as reason
from {{ rows }}
{{ 'union all' if not loop.last }}
{% endfor %}
