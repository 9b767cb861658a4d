select
    raw_file,
    raw_row,
    json_object(
        'invoice_no', invoice_no,
        'stock_code', stock_code,
        'description', description,
        'quantity', quantity,
        'invoice_date', invoice_date,
        'unit_price', unit_price,
        'country', country
    )::varchar as raw_payload,
    'online_retail' as source
from {{ source('online_retail', 'invoice_lines') }}
