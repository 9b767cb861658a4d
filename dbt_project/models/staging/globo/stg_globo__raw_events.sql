select
    raw_file,
    raw_row,
    json_object(
        'session_id', session_id,
        'article_id', article_id,
        'clicked_at', clicked_at,
        'environment', environment,
        'device_group', device_group,
        'os', os,
        'country', country,
        'region', region,
        'referrer_type', referrer_type
    )::varchar as raw_payload,
    'globo' as source
from {{ source('globo', 'clicks') }}
