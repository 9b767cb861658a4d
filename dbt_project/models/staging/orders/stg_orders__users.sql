with lines as (
    {{ csv_lines('customers', ever=true) | indent(4) }}
),

clock as (
    {{ clock_of('logs') }}
),

read as (
    select
        {{ pseudonym(csv_cell('customer_id')) }} as user_id,
        try_cast({{ csv_cell('birth_year') }} as integer) as birth_year,
        {{ csv_cell('country') }} as country,
        {{ instant(csv_cell('signed_up_at')) }} as signed_up_at,
        {{ instant(csv_cell('exported_at')) }} as exported_at
    from lines
    where len(cells) = len(names) and {{ csv_cell('customer_id') }} is not null
)

-- Who is exported again with another word is another row; the same word again is none.
select
    read.user_id,
    {{ age_band('(year(read.exported_at) - read.birth_year)') }} as age_band,
    read.country as region,
    read.signed_up_at + clock.shift as valid_from,
    min(read.exported_at) + any_value(clock.shift) as loaded_at,
    'orders' as source
from read
cross join clock
where read.signed_up_at is not null and read.exported_at is not null
group by all
