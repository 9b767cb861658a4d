-- Whose an event is. As long as nobody knows that a browser is somebody's, its events are the
-- browser's own; from when it is known, they are that person's too, who then learns of them. So an
-- event can have two rows, and what a person's features were before the login stays as it was.
with events as (
    select * from {{ ref('int_events_canonical') }}
    {% if is_incremental() -%}
    where {{ of_touched_ids() }}
    {%- endif %}
),

told as (
    select
        events.*,
        {{ device_class('events.device') | indent(8) }} as device_class,
        -- An app tells its device; a browser is known by its cookie.
        coalesce(events.device_id, events.anonymous_id) as client_id,
        identities.user_id as person_id,
        identities.since,
        coalesce(
            identities.since > greatest(events.event_timestamp, events.loaded_at), false
        ) as is_learned_later
    from events
    left join {{ ref('int_identities') }} as identities on events.actor_id = identities.id
)

select
    event_id,
    actor_id,
    case when is_learned_later then actor_id else coalesce(person_id, actor_id) end as user_id,
    item_id,
    event_type,
    event_timestamp,
    loaded_at,
    value,
    device_class,
    client_id,
    session_hint,
    text,
    source,
    false as is_retold
from told
union all
select
    event_id,
    actor_id,
    person_id as user_id,
    item_id,
    event_type,
    event_timestamp,
    greatest(loaded_at, since) as loaded_at,
    value,
    device_class,
    client_id,
    session_hint,
    text,
    source,
    true as is_retold
from told
where is_learned_later
