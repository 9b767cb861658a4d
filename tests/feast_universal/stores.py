"""The engine and the online store of our repo configurations."""

BATCH_ENGINE = {"type": "feast_universal.engine.UncheckedComputeEngine"}

# `sqlite` is only the name under which the tests of online types ask for a store. The path is
# relative to the feature repo, of which each test has its own.
ONLINE_STORES = {
    "sqlite": ({"type": "profilestore.online_store.LMDBOnlineStore", "path": "online"}, None)
}
