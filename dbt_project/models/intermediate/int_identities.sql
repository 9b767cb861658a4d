-- A shop's account stands for its person before an account elsewhere, that before a browser or a
-- device; of several the one seen first.
with ids as (
    select
        id,
        struct_pack(
            kind := case left(id, 1) when 'u' then 0 when 'h' then 1 when 'c' then 2 else 3 end,
            first_seen := min(since),
            id := id
        ) as rank
    from (
        select
            one as id,
            since
        from {{ ref('int_identity_links') }}
        where not is_shared
        union all
        select
            other as id,
            since
        from {{ ref('int_identity_links') }}
        where not is_shared
    ) as linked
    group by id
)

select
    id,
    user_id,
    since
from (
    {{ identities(
        links="(select one, other, since from " ~ ref('int_identity_links') ~ " where not is_shared)",
        ids='ids',
    ) | indent(4) }}
) as people
