{%- set touched_people = touched('user_id') if is_incremental() else none -%}
with events as (
    {{ people_events(var('content_grain'), touched_people) | indent(4) }}
),

texts as (
    select
        text,
        embedding,
        row_number() over (order by text) - 1 as number
    from {{ ref('int_text_embeddings') }}
),

held as (
    select hold_vectors(coalesce(list(embedding order by number), [])) as vectors
    from texts
),

items as (
    select
        items.item_id,
        texts.number
    from {{ ref('int_items') }} as items
    inner join texts on {{ item_text('items') }} = texts.text
),

written as (
    select
        *,
        {{ words_of('text') }} as words
    from events
    where text is not null
),

written_words as (
    select
        * exclude (words),
        unnest(words) as word,
        1 / len(words) as amount
    from written
),

-- What a person touched counts once, and so does what they wrote: by the mean of its words.
evidence as (
    select
        events.user_id,
        events.since,
        events.shown,
        events.happened,
        events.learned,
        items.number,
        1.0::double as amount
    from events
    inner join items on events.item_id = items.item_id
    union all
    select
        written_words.user_id,
        written_words.since,
        written_words.shown,
        written_words.happened,
        written_words.learned,
        texts.number,
        written_words.amount
    from written_words
    inner join texts on written_words.word = texts.text
),

people as (
    select
        user_id,
        since,
        list_sort(list(struct_pack(
            shown := shown,
            entered := greatest(happened, learned),
            happened := happened,
            number := number,
            amount := amount
        ))) as pieces
    from evidence
    group by user_id, since
),

steps as (
    {{ instants_of_evidence('evidence') | indent(4) }}
),

lists as (
    select
        user_id,
        since,
        [piece.number for piece in pieces] as which,
        [piece.amount for piece in pieces] as amounts,
        [piece.happened for piece in pieces] as happened,
        [piece.shown for piece in pieces] as shown
    from people
),

states as (
    select
        lists.user_id,
        unnest(steps.shown) as shown,
        unnest(steps.learned) as learned,
        unnest(running_means(
            held.vectors,
            lists.which,
            lists.amounts,
            lists.happened,
            lists.shown,
            lists.since,
            {{ interest_half_life() }}::bigint
        )) as state
    from lists
    inner join steps on lists.user_id = steps.user_id
    cross join held
)

select
    user_id,
    make_timestamptz(shown) as event_timestamp,
    make_timestamptz(learned) as loaded_at,
    state.mean as content_vector_mean,
    state.recent as content_vector_recent
from states
