with catalogue as (
    {{ union_packs(
        'items',
        {
            'item_id': 'varchar', 'title': 'varchar', 'brand': 'varchar', 'categories': 'varchar[]',
            'description': 'varchar', 'release_year': 'integer',
            'available_from': 'timestamptz', 'available_until': 'timestamptz',
        },
        without=var('packs_without_items'),
    ) }}
),

one_row_each as (
    select * from catalogue
    where item_id is not null
    qualify row_number() over (partition by item_id order by title nulls last) = 1
),

-- An item that people touch is an item, whether the catalogue knows it or not.
seen as (
    select distinct item_id from {{ ref('int_item_events') }}
)

select
    coalesce(one_row_each.item_id, seen.item_id) as item_id,
    one_row_each.title,
    one_row_each.brand,
    coalesce(one_row_each.categories, []) as categories,
    one_row_each.description,
    one_row_each.release_year,
    one_row_each.available_from,
    one_row_each.available_until
from one_row_each
full outer join seen on one_row_each.item_id = seen.item_id
