with told as (
    select
        {{ pseudonym('customer_id') }} as user_id,
        timezone('UTC', try_strptime(transaction_date, '%m/%d/%Y')) as valid_from,
        max(age_group) as age_band,
        max(nullif(pin_code, 'Unknown')) as region
    from {{ source('tafeng', 'purchases') }}
    where customer_id is not null
    group by customer_id, transaction_date
),

changes as (
    {{ attribute_changes('tafeng', 'told', ['age_band', 'region']) | indent(4) }}
)

select * from changes
