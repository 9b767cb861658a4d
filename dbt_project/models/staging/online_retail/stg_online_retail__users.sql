with told as (
    select
        {{ pseudonym(retail_customer('customer_id')) }} as user_id,
        {{ retail_time('invoice_date') }} as valid_from,
        max(country) as region
    from {{ source('online_retail', 'invoice_lines') }}
    where customer_id is not null
    group by customer_id, invoice_date
),

clock as (
    {{ clock_of('online_retail') }}
),

changes as (
    {{ attribute_changes('told', ['region']) | indent(4) }}
)

select
    changes.user_id,
    null::varchar as age_band,
    changes.region,
    changes.valid_from + clock.shift as valid_from,
    changes.valid_from + clock.shift as loaded_at,
    'online_retail' as source
from changes
cross join clock
