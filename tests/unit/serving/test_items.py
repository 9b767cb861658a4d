"""Titles of items."""

from __future__ import annotations

from serving.items import Item, read_items


def test_all_items_come_in_one_read_and_each_once(store, now) -> None:
    found = read_items(store, ["i2", "i1", "i2", "unknown"], now=now)
    assert found == {
        "i2": Item("i2", "Film 2", ("Drama",)),
        "i1": Item("i1", "Film 1", ("Drama",)),
        "unknown": Item("unknown"),
    }
    assert store.asked == [("items_v1", ["i2", "i1", "unknown"])]


def test_an_item_without_a_title_stays_an_item(store, now) -> None:
    store.put("i1", "item_attributes", {"title": None, "categories": None})
    assert read_items(store, ["i1"], now=now) == {"i1": Item("i1")}


def test_no_items_no_read_of_any(store, now) -> None:
    assert read_items(store, [], now=now) == {}
