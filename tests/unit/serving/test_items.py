"""Titles of items."""

from __future__ import annotations

import pytest

from serving import items
from serving.items import Item, Items


def test_all_items_come_in_one_read_and_each_once(store, now) -> None:
    found = Items(store).read(["i2", "i1", "i2", "unknown"], now=now)
    assert found == {
        "i2": Item("i2", "Film 2", ("Drama",)),
        "i1": Item("i1", "Film 1", ("Drama",)),
        "unknown": Item("unknown"),
    }
    assert store.asked == [("items_v1", ["i2", "i1", "unknown"])]


def test_an_item_without_a_title_stays_an_item(store, now) -> None:
    store.put("i1", "item_attributes", {"title": None, "categories": None})
    assert Items(store).read(["i1"], now=now) == {"i1": Item("i1")}


def test_no_items_no_read_of_any(store, now) -> None:
    assert Items(store).read([], now=now) == {}
    assert store.asked == []


def test_what_was_read_is_kept_for_a_minute(store, now) -> None:
    at = 10.0
    known = Items(store, clock=lambda: at)
    known.read(["i1", "i2"], now=now)
    store.put("i1", "item_attributes", {"title": "Another", "categories": []})
    at = 69.9
    assert known.read(["i3", "i1"], now=now)["i1"].title == "Film 1"
    at = 70.0
    assert known.read(["i1", "i3"], now=now)["i1"].title == "Another"
    assert [ids for _, ids in store.asked] == [["i1", "i2"], ["i3"], ["i1"]]


def test_other_columns_are_another_read(store, now) -> None:
    known = Items(store)
    assert known.read(["i1"], now=now)["i1"].values.get("item_popularity__events_90d") is None
    found = known.read(["i1"], now=now, columns=["item_popularity__events_90d"])
    assert found["i1"].values["item_popularity__events_90d"] == 99


def test_no_more_are_kept_than_may_be(store, now, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(items, "_MOST_KEPT", 3)
    known = Items(store)
    for ids in (["i1", "i2"], ["i3", "i4"], ["i1", "i2", "i3", "i4", "i5"]):
        assert list(known.read(ids, now=now)) == ids
    assert all(len(kept) <= 5 for kept in known._kept.values())
