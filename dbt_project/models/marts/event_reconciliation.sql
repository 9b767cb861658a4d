with raw as (
    {%- for pack in var('source_packs') %}
    select
        '{{ pack }}' as source,
        count(*) as raw_rows
    from {{ source(pack, var('raw_event_tables')[pack]) }}
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}
),

accepted as (
    select
        source,
        count(*) as accepted_rows,
        min(event_timestamp) as first_event_at,
        max(event_timestamp) as last_event_at
    from {{ ref('int_events_canonical') }}
    group by source
),

quarantined as (
    select
        source,
        count(*) as quarantined_rows
    from {{ ref('quarantined_events') }}
    group by source
)

select
    raw.source,
    raw.raw_rows::bigint as raw_rows,
    coalesce(accepted.accepted_rows, 0)::bigint as accepted_rows,
    coalesce(quarantined.quarantined_rows, 0)::bigint as quarantined_rows,
    accepted.first_event_at,
    accepted.last_event_at
from raw
left join accepted on raw.source = accepted.source
left join quarantined on raw.source = quarantined.source
