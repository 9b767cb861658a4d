with clicks as (
    select
        *,
        {{ pseudonym('user_id') }} as clicked_by,
        make_timestamptz(try_cast(clicked_at as bigint) * 1000) as happened_at
    from {{ source('globo', 'clicks') }}
),

clock as (
    {{ clock_of('globo') }}
)

select
    concat_ws(':', clicks.session_id, clicks.article_id, clicks.clicked_at) as event_id,
    clicks.clicked_by as user_id,
    clicks.article_id as item_id,
    'click' as event_type,
    clicks.happened_at + clock.shift as event_timestamp,
    clicks.happened_at + clock.shift as loaded_at,
    clicks.session_id as session_hint,
    -- Codes: what they stand for was not published.
    json_object('environment', clicks.environment, 'group', clicks.device_group, 'os', clicks.os)::varchar
        as device,
    json_object('country', clicks.country, 'region', clicks.region)::varchar as geo,
    json_object('referrer_type', clicks.referrer_type)::varchar as context,
    'globo' as source,
    clicks.raw_file,
    clicks.raw_row
from clicks
cross join clock
