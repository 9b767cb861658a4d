select
    raw_file,
    raw_row,
    json_object(
        'transaction_date', transaction_date,
        'product_id', product_id,
        'product_subclass', product_subclass,
        'amount', amount,
        'sales_price', sales_price
    )::varchar as raw_payload,
    'tafeng' as source
from {{ source('tafeng', 'purchases') }}
