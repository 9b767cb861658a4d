select
    'ratings.parquet' as raw_file,
    file_row_number::bigint + 1 as raw_row,
    json_object('movie_id', movie_id, 'rating', rating, 'timestamp', timestamp)::varchar as raw_payload,
    'movielens' as source
from {{ source('movielens', 'ratings') }}
