with events as (
    select
        item_id,
        {{ shown_at('event_timestamp', 'loaded_at', 'day') }} as shown
    from {{ ref('int_item_events') }}
),

tags as (
    select
        item_id,
        'category' as tag_kind,
        unnest(list_distinct(categories)) as tag
    from {{ ref('int_items') }}
    union all
    select
        item_id,
        'keyword' as tag_kind,
        unnest(keywords) as tag
    from {{ ref('item_keywords') }}
    union all
    select
        item_id,
        'brand' as tag_kind,
        brand as tag
    from {{ ref('int_items') }}
    where brand is not null
),

item_days as (
    select
        item_id,
        shown,
        count(*) as events
    from events
    group by item_id, shown
),

tag_days as (
    select
        tags.tag_kind,
        tags.tag,
        item_days.shown,
        sum(item_days.events) as events
    from item_days
    inner join tags on item_days.item_id = tags.item_id
    group by tags.tag_kind, tags.tag, item_days.shown
),

kind_days as (
    select
        tag_kind,
        shown,
        sum(sum(events)) over (partition by tag_kind order by shown) as events
    from tag_days
    group by tag_kind, shown
)

select
    tag_days.tag_kind,
    tag_days.tag,
    make_timestamptz(tag_days.shown) as event_timestamp,
    (
        sum(tag_days.events) over (partition by tag_days.tag_kind, tag_days.tag order by tag_days.shown)
    )::bigint as events,
    kind_days.events::bigint as kind_events
from tag_days
inner join kind_days on tag_days.tag_kind = kind_days.tag_kind and tag_days.shown = kind_days.shown
