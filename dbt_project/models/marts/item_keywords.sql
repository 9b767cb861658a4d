{#- Of BM25 (Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009):
    how soon a word that comes again counts less, and how far a long text counts less. -#}
{%- set k1, b, kept = 1.2, 0.75, 10 -%}
with log_start as (
    select min(event_timestamp) as event_timestamp from {{ ref('int_item_events') }}
),

items as (
    select
        item_id,
        coalesce({{ words_of('title') }}, []) as words
    from {{ ref('int_items') }}
),

titled as (
    select
        count(*) as items_n,
        avg(len(words)) as words_mean
    from items
    where len(words) > 0
),

counted as (
    select
        item_id,
        word,
        count(*) as times,
        any_value(words_n) as words_n
    from (
        select
            item_id,
            unnest(words) as word,
            len(words) as words_n
        from items
    ) as each_word
    group by item_id, word
),

-- A word of very many items says nothing, one of a single item is no taste that another could have.
vocabulary as (
    select
        counted.word,
        ln(1 + (titled.items_n - count(*) + 0.5) / (count(*) + 0.5)) as rarity
    from counted
    cross join titled
    group by counted.word, titled.items_n
    having
        count(*) >= {{ var('keyword_least_items') }}
        and count(*) <= {{ var('keyword_most_share') }} * titled.items_n
),

scored as (
    select
        counted.item_id,
        counted.word,
        vocabulary.rarity * counted.times * {{ k1 + 1 }}
        / (
            counted.times
            + {{ k1 }} * ({{ 1 - b }} + {{ b }} * counted.words_n / titled.words_mean)
        ) as score
    from counted
    inner join vocabulary on counted.word = vocabulary.word
    cross join titled
),

listed as (
    select
        item_id,
        list(word order by place) as keywords,
        list(score order by place) as scores
    from (
        select
            *,
            row_number() over (partition by item_id order by round(score, 9) desc, word asc) as place
        from scored
    ) as placed
    where place <= {{ kept }}
    group by item_id
)

select
    items.item_id,
    log_start.event_timestamp,
    log_start.event_timestamp as loaded_at,
    coalesce(listed.keywords, []) as keywords,
    coalesce(listed.scores, []) as scores
from items
left join listed on items.item_id = listed.item_id
cross join log_start
