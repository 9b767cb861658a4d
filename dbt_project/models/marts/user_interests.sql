{%- set touched_people = touched('user_id') if is_incremental() else none -%}
with events as (
    {{ people_events(var('interest_grain'), touched_people) | indent(4) }}
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
