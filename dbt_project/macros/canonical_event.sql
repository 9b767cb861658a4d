{# The columns of a staged event, once. A pack's stg_<pack>__events gives those that it has. #}
{% macro canonical_event_columns() -%}
{{ return({
    'event_id': 'varchar',
    'user_id': 'varchar',
    'anonymous_id': 'varchar',
    'device_id': 'varchar',
    'item_id': 'varchar',
    'event_type': 'varchar',
    'event_timestamp': 'timestamp with time zone',
    'loaded_at': 'timestamp with time zone',
    'value': 'decimal(18, 4)',
    'price': 'decimal(18, 4)',
    'currency': 'varchar',
    'session_hint': 'varchar',
    'device': 'varchar',
    'geo': 'varchar',
    'context': 'varchar',
    'text': 'varchar',
    'order_line': 'varchar',
    'content': 'varchar',
    'is_unreadable': 'boolean',
    'pack_fault': 'varchar',
    'is_impossible': 'boolean',
    'source': 'varchar',
    'raw_file': 'varchar',
    'raw_row': 'bigint',
}) }}
{%- endmacro %}
