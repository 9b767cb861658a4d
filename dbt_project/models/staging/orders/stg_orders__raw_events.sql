select
    raw_file,
    raw_row,
    {{ redacted_csv('line', 'header', 'customer_id') }} as raw_payload,
    'orders' as source
from {{ landed_of_touched_files('orders', 'order_lines') }}
