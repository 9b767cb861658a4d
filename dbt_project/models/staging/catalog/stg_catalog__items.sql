with lines as (
    {{ csv_lines('catalog_items', ever=true) | indent(4) }}
),

read as (
    select
        raw_file,
        raw_row,
        {{ csv_cell('item_id') }} as item_id,
        {{ normal_text(csv_cell('title')) }} as title,
        {{ csv_cell('category') }} as category,
        {{ normal_text(csv_cell('brand')) }} as brand,
        {{ normal_text(csv_cell('description')) }} as description,
        {{ instant(csv_cell('available_from')) }} as available_from,
        {{ instant(csv_cell('updated_at')) }} as updated_at
    from lines
    where len(cells) = len(names)
)

-- A catalogue is exported again when something changes: the last word counts.
select
    item_id,
    title,
    brand,
    case when category is null then []::varchar[] else [category] end as categories,
    description,
    year(available_from)::integer as release_year
from read
where item_id is not null
qualify
    row_number() over (partition by item_id order by updated_at desc nulls last, raw_file desc, raw_row desc)
    = 1
