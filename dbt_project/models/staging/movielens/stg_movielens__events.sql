with ratings as (
    select * from {{ source('movielens', 'ratings') }}
),

clock as (
    {{ clock_of('movielens') }}
),

named as (
    select
        {{ pseudonym('ratings.user_id') }} as user_id,
        ratings.movie_id::varchar as item_id,
        to_timestamp(ratings.timestamp) + clock.shift as event_timestamp,
        ratings.rating,
        ratings.file_row_number
    from ratings
    cross join clock
)

select
    -- A person rates a film once, so person and film name the event.
    user_id || ':' || item_id as event_id,
    user_id,
    item_id,
    'rating' as event_type,
    event_timestamp,
    -- The log does not say when it was learned: as it happened is the only reading that lets a
    -- training row of 2010 see what was there in 2010.
    event_timestamp as loaded_at,
    rating::decimal(18, 4) as value,
    'movielens' as source,
    'ratings.parquet' as raw_file,
    file_row_number::bigint + 1 as raw_row
from named
