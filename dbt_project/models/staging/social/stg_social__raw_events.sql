select
    raw_file,
    raw_row,
    {{ redacted_json('line', ['handle', 'device_id', 'target']) }} as raw_payload,
    'social' as source
from {{ landed_of_touched_files('social', 'social_events') }}
