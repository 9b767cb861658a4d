with raw as (
    select
        source,
        raw_file,
        count(*) as raw_rows
    from {{ ref('int_raw_events') }}
    {% if is_incremental() -%}
    where {{ of_touched_files() }}
    {% endif -%}
    group by source, raw_file
),

judged as (
    select
        source,
        raw_file,
        count(*) filter (where rejected_because is null) as accepted_rows,
        min(event_timestamp) filter (where rejected_because is null) as first_event_at,
        max(event_timestamp) filter (where rejected_because is null) as last_event_at
    from {{ ref('int_events_checked') }}
    {% if is_incremental() -%}
    where {{ of_touched_files() }}
    {% endif -%}
    group by source, raw_file
),

quarantined as (
    select
        source,
        raw_file,
        count(*) as quarantined_rows
    from {{ ref('quarantined_events') }}
    group by source, raw_file
)

select
    raw.source,
    raw.raw_file,
    raw.raw_rows::bigint as raw_rows,
    coalesce(judged.accepted_rows, 0)::bigint as accepted_rows,
    coalesce(quarantined.quarantined_rows, 0)::bigint as quarantined_rows,
    judged.first_event_at,
    judged.last_event_at
from raw
left join judged on raw.source = judged.source and raw.raw_file = judged.raw_file
left join quarantined on raw.source = quarantined.source and raw.raw_file = quarantined.raw_file
