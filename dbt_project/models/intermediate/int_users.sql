-- One word of a pack for an account and an instant; two at once are settled by the alphabet.
with told as (
    {{ union_packs('users', user_columns(), without=var('packs_without_users')) }}
)

select * from told
where user_id is not null and valid_from is not null
qualify row_number() over (partition by source, user_id, valid_from order by loaded_at, age_band, region) = 1
