{% set packs = var('packs_with_bots') | join("', '") %}
-- Who is no person, by all that it did. Each rule is something that nobody can do, however keen:
--   bot_too_fast      much of what it does comes so densely that nobody could look at it: so many acts
--                     in the minute around each (one burst of a page gone wrong is forgiven);
--   bot_too_regular   its pauses are all but equal, nights included: the robust standard deviation of
--                     the gaps (1.4826 times the median absolute deviation) is a small part of their
--                     median. People come in visits, with seconds within and days between;
--   bot_never_sleeps  for days on end there is no pause long enough to sleep.
-- Whoever did too little to tell is taken for a person.
with acts as (
    -- What happens at one instant is one act: a full basket is bought with one click, and a copy of
    -- an event says nothing about who sent it.
    select distinct
        source,
        actor_id,
        epoch_us(event_timestamp) as instant
    from {{ ref('int_events_read') }}
    where
        fault is null
        and source in ('{{ packs }}')
        {% if is_incremental() -%}
        and {{ of_actors_with_new_events() }}
        {%- endif %}
),

spaced as (
    select
        source,
        actor_id,
        instant,
        instant - lag(instant) over (partition by source, actor_id order by instant) as gap,
        count(*) over (
            partition by source, actor_id
            order by instant
            range between
            {{ var('bot_burst_seconds') | int * 500000 }} preceding
            and {{ var('bot_burst_seconds') | int * 500000 }} following
        ) as acts_around
    from acts
),

habits as (
    select
        source,
        actor_id,
        count(*) as acts_n,
        max(instant) as last_instant,
        count(*) filter (where acts_around >= {{ var('bot_burst_events') }}) as hasty_n,
        1.4826 * mad(gap) / median(gap) as gap_variation
    from spaced
    group by source, actor_id
),

-- From the end of one long pause to the beginning of the next.
stretches as (
    select
        source,
        actor_id,
        instant as woke_at,
        lead(instant - gap) over (partition by source, actor_id order by instant) as slept_at
    from spaced
    where gap is null or gap >= {{ var('bot_sleep_hours') }} * 3600000000
),

awake as (
    select
        stretches.source,
        stretches.actor_id,
        max(coalesce(stretches.slept_at, habits.last_instant) - stretches.woke_at) as longest
    from stretches
    inner join habits on stretches.source = habits.source and stretches.actor_id = habits.actor_id
    group by stretches.source, stretches.actor_id
),

judged as (
    select
        habits.source,
        habits.actor_id,
        case
            when habits.hasty_n > {{ var('bot_burst_share') }} * habits.acts_n then 'bot_too_fast'
            when
                habits.acts_n > {{ var('bot_gaps') }}
                and habits.gap_variation < {{ var('bot_gap_variation') }}
                then 'bot_too_regular'
            when awake.longest >= {{ var('bot_hours_awake') }} * 3600000000 then 'bot_never_sleeps'
        end as reason
    from habits
    inner join awake on habits.source = awake.source and habits.actor_id = awake.actor_id
)

select
    source,
    actor_id,
    reason
from judged
where reason is not null
