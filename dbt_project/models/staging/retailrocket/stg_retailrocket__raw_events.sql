select
    raw_file,
    raw_row,
    json_object(
        'item_id', item_id,
        'event', event,
        'happened', happened,
        'transaction_id', transaction_id,
        'split', split
    )::varchar as raw_payload,
    'retailrocket' as source
from {{ source('retailrocket', 'visits') }}
