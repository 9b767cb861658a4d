select
    file_name as raw_file,
    row_number::bigint as raw_row,
    json_object(
        'event_id', event_id,
        'item', item_id,
        'event_type', event_type,
        'time', event_at,
        'loaded_at', loaded_at,
        'value', value,
        'session', session_hint,
        'context', context,
        'text', text
    )::varchar as raw_payload,
    'files' as source
from {{ source('files', 'events') }}
