{%- set touched_people = touched('user_id') if is_incremental() else none -%}
with events as (
    {{ people_events(var('content_grain'), touched_people) | indent(4) }}
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
