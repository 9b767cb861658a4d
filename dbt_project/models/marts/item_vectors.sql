select
    item_id,
    event_timestamp,
    loaded_at,
    vector,
    model
from {{ source('trained', 'trained_item_vectors') }}
