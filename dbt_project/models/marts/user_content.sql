with events as (
    select
        user_id,
        source,
        event_id,
        item_id,
        epoch_us(event_timestamp) as happened,
        epoch_us(loaded_at) as learned,
        {{ shown_at('event_timestamp', 'loaded_at', var('content_grain')) }} as shown
    from {{ ref('int_user_events') }}
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
        source,
        event_id,
        {{ words_of('text') }} as words
    from {{ ref('int_events_canonical') }}
    where text is not null
),

written_words as (
    select
        source,
        event_id,
        unnest(words) as word,
        1 / len(words) as amount
    from written
),

-- What a person touched counts once, and so does what they wrote: by the mean of its words.
evidence as (
    select
        events.user_id,
        events.shown,
        events.happened,
        events.learned,
        items.number,
        1.0::double as amount
    from events
    inner join items on events.item_id = items.item_id
    union all
    select
        events.user_id,
        events.shown,
        events.happened,
        events.learned,
        texts.number,
        written_words.amount
    from events
    inner join written_words
        on events.source = written_words.source and events.event_id = written_words.event_id
    inner join texts on written_words.word = texts.text
),

people as (
    select
        user_id,
        list_sort(list(struct_pack(
            shown := shown,
            entered := greatest(happened, learned),
            happened := happened,
            number := number,
            amount := amount
        ))) as pieces
    from evidence
    group by user_id
),

steps as (
    {{ instants_of_evidence('evidence') | indent(4) }}
),

lists as (
    select
        user_id,
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
