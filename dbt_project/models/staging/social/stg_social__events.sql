with lines as (
    {{ json_lines('social_events', [
        'id', 'verb', 'created', 'sent_at', 'received_at', 'handle', 'device_id', 'item_id', 'target', 'text',
        'lang', 'geo',
    ]) | indent(4) }}
),

clock as (
    {{ clock_of('logs') }}
),

read as (
    select
        lines.*,
        {{ instant('fields.created') }} as happened_at,
        {{ instant('fields.sent_at') }} as sent_at,
        {{ instant('fields.received_at') }} as received_at
    from lines
)

select
    read.fields.id as event_id,
    -- An account of another place than the shop: a kind of its own.
    {{ pseudonym('read.fields.handle', 'handle') }} as user_id,
    {{ pseudonym('read.fields.device_id', 'device') }} as device_id,
    read.fields.item_id,
    read.fields.verb as event_type,
    {{ corrected_time('read.happened_at', 'read.sent_at', 'read.received_at') }} + clock.shift
        as event_timestamp,
    read.received_at + clock.shift as loaded_at,
    read.fields.geo,
    json_object(
        'target', {{ pseudonym('read.fields.target', 'handle') }}, 'language', read.fields.lang
    )::varchar as context,
    {{ normal_text('read.fields.text') }} as text,
    concat_ws('|', read.fields.target, read.fields.text) as content,
    read.fields is null as is_unreadable,
    'social' as source,
    read.raw_file,
    read.raw_row
from read
cross join clock
