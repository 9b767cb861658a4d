with lines as (
    {{ json_lines('web_events', [
        'event_id', 'type', 'ts', 'sent_at', 'received_at', 'anonymous_id', 'device_id', 'user_id',
        'session_id', 'item_id', 'query', 'order_id', 'quantity', 'price', 'currency', 'device', 'geo',
        'login_with',
    ]) | indent(4) }}
),

clock as (
    {{ clock_of('logs') }}
),

read as (
    select
        lines.*,
        {{ instant('fields.ts') }} as happened_at,
        {{ instant('fields.sent_at') }} as sent_at,
        {{ instant('fields.received_at') }} as received_at,
        try_cast(fields.price as decimal(18, 4)) as price,
        try_cast(fields.quantity as decimal(18, 4)) as quantity
    from lines
)

select
    read.fields.event_id,
    {{ pseudonym('read.fields.user_id') }} as user_id,
    {{ pseudonym('read.fields.anonymous_id', 'cookie') }} as anonymous_id,
    {{ pseudonym('read.fields.device_id', 'device') }} as device_id,
    read.fields.item_id,
    read.fields.type as event_type,
    {{ corrected_time('read.happened_at', 'read.sent_at', 'read.received_at') }} + clock.shift
        as event_timestamp,
    read.received_at + clock.shift as loaded_at,
    -- What was looked at was not spent.
    case
        when read.fields.type = 'purchase' then {{ us_dollars('read.price', 'read.quantity', 'rates.usd') }}
    end as value,
    case when read.fields.type = 'purchase' then 'USD' end as currency,
    -- Of one, also where nothing was spent.
    {{ us_dollars('read.price', '1', 'rates.usd') }} as price,
    read.fields.session_id as session_hint,
    read.fields.device,
    read.fields.geo,
    json_object(
        'login_with', {{ pseudonym('read.fields.login_with', 'handle') }},
        'order_id', read.fields.order_id
    )::varchar as context,
    {{ normal_text('read.fields.query') }} as text,
    read.fields.order_id || ':' || read.fields.item_id as order_line,
    concat_ws(
        '|', read.fields.price, read.fields.quantity, read.fields.order_id, read.fields.query
    ) as content,
    read.fields is null as is_unreadable,
    read.price < 0 or read.quantity <= 0 as is_impossible,
    'web' as source,
    read.raw_file,
    read.raw_row
from read
cross join clock
left join {{ ref('currency_rates') }} as rates on read.fields.currency = rates.currency
