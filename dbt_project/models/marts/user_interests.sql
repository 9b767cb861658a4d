with events as (
    select
        user_id,
        item_id,
        epoch_us(event_timestamp) as happened,
        epoch_us(loaded_at) as learned,
        {{ shown_at('event_timestamp', 'loaded_at', var('interest_grain')) }} as shown
    from {{ ref('int_user_events') }}
    where item_id is not null
),

items as (
    select
        item_id,
        -- A catalogue that names a category twice does not make two events of one.
        list_distinct(categories) as tags
    from {{ ref('int_items') }}
),

heaviest as (
    {{ tags_of_evidence('events', 'items', kind='category', kept=10, tags='categories') | indent(4) }}
)

select * from heaviest
