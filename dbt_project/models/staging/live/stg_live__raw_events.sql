select
    raw_file,
    raw_row,
    line as raw_payload,
    'live' as source
from {{ landed_of_touched_files('live', 'live_events', log='live') }}
