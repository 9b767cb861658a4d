{%- set touched_people = touched('user_id') if is_incremental() else none -%}
with events as (
    {{ people_events(var('content_grain'), touched_people) | indent(4) }}
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
