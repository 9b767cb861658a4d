with lines as (
    {{ csv_lines('catalog_items', ever=true) | indent(4) }}
),

clock as (
    {{ clock_of('logs') }}
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
    read.item_id,
    read.title,
    read.brand,
    case when read.category is null then []::varchar[] else [read.category] end as categories,
    read.description,
    year(read.available_from)::integer as release_year,
    read.available_from + clock.shift as available_from
from read
cross join clock
where read.item_id is not null
qualify
    row_number()
        over (
            partition by read.item_id
            order by read.updated_at desc nulls last, read.raw_file desc, read.raw_row desc
        )
    = 1
