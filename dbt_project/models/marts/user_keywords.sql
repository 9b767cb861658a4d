with events as (
    select
        user_id,
        item_id,
        epoch_us(event_timestamp) as happened,
        epoch_us(loaded_at) as learned,
        {{ shown_at('event_timestamp', 'loaded_at', var('content_grain')) }} as shown
    from {{ ref('int_user_events') }}
    where item_id is not null
),

items as (
    select
        item_id,
        keywords as tags
    from {{ ref('item_keywords') }}
),

heaviest as (
    {{ tags_of_evidence('events', 'items', kind='keyword', kept=20, tags='keywords') | indent(4) }}
)

select * from heaviest
