select
    raw_file,
    raw_row,
    {{ redacted_json('line', ['user_id', 'anonymous_id', 'device_id', 'login_with']) }} as raw_payload,
    'web' as source
from {{ landed_of_touched_files('web', 'web_events') }}
