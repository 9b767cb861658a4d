{{ union_packs(
    'raw_events',
    {'source': 'varchar', 'raw_file': 'varchar', 'raw_row': 'bigint', 'raw_payload': 'varchar'},
    without=var('packs_without_events'),
) }}
