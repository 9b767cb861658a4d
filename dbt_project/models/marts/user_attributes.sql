-- What is said of an account is said of its person from when it is known whose the account is; the
-- account, which had a profile of its own until then, keeps its rows.
with told as (
    select
        user_id,
        valid_from,
        greatest(valid_from, loaded_at) as known_at,
        age_band,
        region,
        source
    from {{ ref('int_users') }}
    union all
    select
        identities.user_id,
        users.valid_from,
        greatest(users.valid_from, users.loaded_at, identities.since) as known_at,
        users.age_band,
        users.region,
        users.source
    from {{ ref('int_users') }} as users
    inner join {{ ref('int_identities') }} as identities on users.user_id = identities.id
    where identities.id <> identities.user_id
),

-- What is learned late of an earlier time does not take the place of what came after it.
known as (
    select * from told
    qualify
        row_number() over (partition by user_id, known_at order by valid_from desc, source asc) = 1
        and valid_from >= max(valid_from) over (partition by user_id order by known_at)
),

seen as (
    select
        user_id,
        min(greatest(event_timestamp, loaded_at)) as known_at
    from {{ ref('int_user_events') }}
    group by user_id
),

first_known as (
    select
        user_id,
        min(known_at) as known_at
    from known
    group by user_id
),

stated as (
    select
        user_id,
        known_at,
        age_band,
        region,
        source
    from known
    union all
    -- Somebody who acts before anything else is said of them, or without.
    select
        seen.user_id,
        seen.known_at,
        null as age_band,
        null as region,
        null as source
    from seen
    left join first_known on seen.user_id = first_known.user_id
    where first_known.known_at is null or seen.known_at < first_known.known_at
)

select
    user_id,
    known_at as event_timestamp,
    known_at as loaded_at,
    age_band,
    region,
    source,
    date_trunc('second', min(known_at) over (partition by user_id)) as first_seen_at
from stated
