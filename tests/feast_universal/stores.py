"""The engine and the online store of our repo configurations, as lenient as Feast's."""

# Feast's tests declare narrower types than their sources have in nearly every view (Int32 for
# 64-bit integers, Float32 for doubles, Map for structs), and mean to test other things.
BATCH_ENGINE = {
    "type": "profilestore.compute_engine.NativeDuckDBComputeEngine",
    "check_types": False,
}

# `sqlite` is only the name under which the tests of online types ask for a store. The path is
# relative to the feature repo, of which each test has its own. One test reads a value past its ttl,
# as Feast's own stores let it.
ONLINE_STORES = {
    "sqlite": (
        {
            "type": "profilestore.online_store.LMDBOnlineStore",
            "path": "online",
            "past_ttl": "value",
        },
        None,
    )
}
