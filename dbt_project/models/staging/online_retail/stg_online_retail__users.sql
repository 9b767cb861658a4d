with told as (
    select
        {{ pseudonym(retail_customer('customer_id')) }} as user_id,
        {{ retail_time('invoice_date') }} as valid_from,
        max(country) as region
    from {{ source('online_retail', 'invoice_lines') }}
    where customer_id is not null
    group by customer_id, invoice_date
),

changes as (
    {{ attribute_changes('online_retail', 'told', ['region']) | indent(4) }}
)

select * from changes
