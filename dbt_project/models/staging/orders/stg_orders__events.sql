with lines as (
    {{ csv_lines('order_lines') | indent(4) }}
),

clock as (
    {{ clock_of('logs') }}
),

read as (
    select
        raw_file,
        raw_row,
        len(cells) <> len(names) as is_unreadable,
        {{ csv_cell('order_id') }} as order_id,
        {{ csv_cell('line') }} as line,
        {{ instant(csv_cell('ordered_at')) }} as ordered_at,
        {{ instant(csv_cell('exported_at')) }} as exported_at,
        {{ csv_cell('customer_id') }} as customer_id,
        {{ csv_cell('item_id') }} as item_id,
        try_cast({{ csv_cell('quantity') }} as decimal(18, 4)) as quantity,
        try_cast({{ csv_cell('unit_price') }} as decimal(18, 4)) as unit_price,
        {{ csv_cell('currency') }} as currency,
        {{ csv_cell('status') }} as status
    from lines
)

select
    read.order_id || ':' || read.line as event_id,
    {{ pseudonym('read.customer_id') }} as user_id,
    read.item_id,
    case read.status when 'paid' then 'purchase' when 'cancelled' then 'cancellation' end as event_type,
    read.ordered_at + clock.shift as event_timestamp,
    read.exported_at + clock.shift as loaded_at,
    case
        when read.status = 'paid' then {{ us_dollars('read.unit_price', 'read.quantity', 'rates.usd') }}
    end as value,
    case when read.status = 'paid' then 'USD' end as currency,
    {{ us_dollars('read.unit_price', '1', 'rates.usd') }} as price,
    read.order_id as session_hint,
    read.order_id || ':' || read.item_id as order_line,
    read.line as content,
    read.is_unreadable,
    read.unit_price < 0 or read.quantity <= 0 as is_impossible,
    'orders' as source,
    read.raw_file,
    read.raw_row
from read
cross join clock
left join {{ ref('currency_rates') }} as rates on read.currency = rates.currency
