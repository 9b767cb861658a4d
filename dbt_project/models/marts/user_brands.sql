with events as (
    select
        user_id,
        item_id,
        epoch_us(event_timestamp) as happened,
        epoch_us(loaded_at) as learned,
        {{ shown_at('event_timestamp', 'loaded_at', var('content_grain')) }} as shown,
        -9223372036854775807 as since
    from {{ ref('int_user_events') }}
    where item_id is not null
),

items as (
    select
        item_id,
        [brand] as tags
    from {{ ref('int_items') }}
    where brand is not null
),

heaviest as (
    {{ tags_of_evidence('events', 'items', kind='brand', kept=10, tags='brands') | indent(4) }}
)

select * from heaviest
