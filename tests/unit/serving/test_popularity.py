"""The ranking that cold start answers with."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta

import pytest

from profilestore.errors import MissingStageError
from serving.people import People
from serving.popularity import Popularity


def test_recent_events_then_all_events_then_id(deploy, store) -> None:
    for item_id, recent, ever in (("i3", 500, 1), ("i2", 500, 9), ("i9", 500, 9)):
        store.put(item_id, "item_popularity", {"events_90d": recent, "events_lifetime": ever})
    store.put("i1", "item_popularity", None, state="stale")
    items = Popularity(deploy()).ranking().items
    assert items[:4] == [("i2", 500), ("i9", 500), ("i3", 500), ("i4", 96)]
    assert "i1" not in dict(items)


def test_it_is_read_once_until_the_online_store_is_filled_again(
    deploy, store, settings, materialized, bundle
) -> None:
    fills = [materialized]
    deployment = deploy()
    deployment._people._load = lambda: People(fills[-1])
    popularity = Popularity(deployment)
    popularity.ranking()
    popularity.ranking()
    assert len(store.asked) == 1
    fills.append(replace(materialized, at=materialized.at + timedelta(hours=1)))
    (settings.online / "materialized.json").write_text("filled again")
    popularity.ranking()
    assert len(store.asked) == 2


def test_warming_fails_in_silence_and_the_first_who_asks_is_told(deploy) -> None:
    popularity = Popularity(deploy("bundle"))
    before = threading.active_count()
    popularity.warm()
    for thread in threading.enumerate():
        if thread.name == "popularity":
            thread.join(10)
    assert threading.active_count() == before
    with pytest.raises(MissingStageError, match="make train"):
        popularity.ranking()
