-- A text is embedded once: an item's as it is, what people write by its words, of which there are
-- soon no new ones. What nobody says any more stays: it may be said again.
with texts as (
    select {{ item_text('items') }} as text
    from {{ ref('int_items') }} as items
    union
    select unnest({{ words_of('text') }}) as text
    from {{ ref('int_events_canonical') }}
    where text is not null
),

new_texts as (
    select texts.text from texts
    where
        texts.text is not null
        {%- if is_incremental() %}
        and texts.text not in (select embedded.text from {{ this }} as embedded)
        {%- endif %}
)

select
    text,
    embed_text(text) as embedding
from new_texts
