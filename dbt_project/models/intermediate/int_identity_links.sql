-- Two identifiers that stood in one event, and since when we know that they do.
with events as (
    select
        user_id,
        anonymous_id,
        device_id,
        case when json_valid(context) then json_extract_string(context, '$.login_with') end as login_with,
        min(greatest(event_timestamp, loaded_at)) as known_at
    from {{ ref('int_events_canonical') }}
    group by all
),

pairs as (
    {%- for one, other in [
        ('user_id', 'anonymous_id'), ('user_id', 'device_id'), ('user_id', 'login_with'),
        ('anonymous_id', 'device_id'),
    ] %}
    select
        {{ one }} as one,
        {{ other }} as other,
        known_at
    from events
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}
),

links as (
    select
        one,
        other,
        min(known_at) as since
    from pairs
    where one is not null and other is not null
    group by one, other
),

-- A browser or a device on which several accounts of one place log in belongs to a household, not to
-- a person: it joins nobody.
accounts as (
    select
        one as account_id,
        other as shared_id
    from links
    where left(one, 1) in ('u', 'h')
    union
    select
        other as account_id,
        one as shared_id
    from links
    where left(other, 1) in ('u', 'h')
),

accounts_of_a_place as (
    select
        shared_id,
        count(*) as accounts_n
    from accounts
    group by shared_id, left(account_id, 1)
),

shared as (
    select distinct shared_id from accounts_of_a_place
    where accounts_n > {{ var('identity_most_accounts') }}
)

select
    links.one,
    links.other,
    links.since,
    one_shared.shared_id is not null or other_shared.shared_id is not null as is_shared
from links
left join shared as one_shared on links.one = one_shared.shared_id
left join shared as other_shared on links.other = other_shared.shared_id
