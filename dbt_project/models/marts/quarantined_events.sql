select
    checked.source,
    checked.rejected_because,
    checked.event_id,
    checked.user_id,
    checked.item_id,
    checked.event_type,
    checked.event_timestamp,
    checked.loaded_at,
    checked.value,
    checked.raw_file,
    checked.raw_row,
    raw.raw_payload
from {{ ref('int_events_checked') }} as checked
left join {{ ref('int_raw_events') }} as raw
    on checked.source = raw.source and checked.raw_file = raw.raw_file and checked.raw_row = raw.raw_row
where
    checked.rejected_because is not null
    {% if is_incremental() -%}
    and {{ of_touched_files('checked.') }}
    {%- endif %}
