{# What is no product: postage, fees, discounts, corrections. #}
{%- set service_codes = [
    'POST', 'DOT', 'C2', 'M', 'D', 'S', 'B', 'CRUK', 'AMAZONFEE', 'BANK CHARGES',
] -%}
with lines as (
    select
        raw_file,
        raw_row,
        {{ pseudonym(retail_customer('customer_id')) }} as user_id,
        invoice_no,
        upper(trim(stock_code)) as stock_code,
        description,
        country,
        quantity as quantity_text,
        unit_price as unit_price_text,
        try_cast(quantity as decimal(18, 4)) as quantity,
        try_cast(unit_price as decimal(18, 4)) as unit_price,
        {{ retail_time('invoice_date') }} as invoiced_at,
        case when starts_with(invoice_no, 'C') then 'cancellation' else 'purchase' end as event_type
    from {{ source('online_retail', 'invoice_lines') }}
),

clock as (
    {{ clock_of('online_retail') }}
)

select
    -- Lines have no number: two that are equal in everything are one that was written twice.
    concat_ws(
        ':',
        lines.invoice_no,
        lines.stock_code,
        lines.quantity_text,
        lines.unit_price_text,
        lines.description
    ) as event_id,
    lines.user_id,
    lines.stock_code as item_id,
    lines.event_type,
    lines.invoiced_at + clock.shift as event_timestamp,
    lines.invoiced_at + clock.shift as loaded_at,
    case
        when lines.event_type = 'purchase'
            then {{ us_dollars('lines.unit_price', 'lines.quantity', 'rates.usd') }}
    end as value,
    case when lines.event_type = 'purchase' then 'USD' end as currency,
    {{ us_dollars('lines.unit_price', '1', 'rates.usd') }} as price,
    lines.invoice_no as session_hint,
    json_object('country', lines.country)::varchar as geo,
    case
        when lines.unit_price < 0 then 'negative_price'
        when
            lines.stock_code in (
                {%- for code in service_codes %}
                '{{ code }}'{{ ',' if not loop.last }}
                {%- endfor %}
            )
            then 'service_code'
    end as pack_fault,
    -- What is cancelled has a quantity below 0.
    lines.event_type = 'purchase' and lines.quantity <= 0 as is_impossible,
    'online_retail' as source,
    lines.raw_file,
    lines.raw_row
from lines
cross join clock
left join {{ ref('currency_rates') }} as rates on rates.currency = 'GBP'
