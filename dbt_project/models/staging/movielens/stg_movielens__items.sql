with films as (
    select * from {{ source('movielens', 'films') }}
)

select
    movie_id::varchar as item_id,
    title::varchar as title,
    case
        when genres is null or genres = '(no genres listed)' then []::varchar[]
        else string_split(genres, '|')
    end as categories,
    year::integer as release_year
from films
