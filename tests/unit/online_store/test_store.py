"""What is pushed, materialised, deleted and torn down, and what is read after it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from feast import Field
from feast.protos.feast.serving.ServingService_pb2 import FieldStatus
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from feast.types import Array, Float32, Float64, Int32, Int64, Map, String

from profilestore.errors import InputError, ProfilestoreError
from profilestore.instants import to_micros
from profilestore.online_store.database import BATCH, ENTITIES, LIVE
from profilestore.online_store.loading import commit
from profilestore.online_store.response import to_proto

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)
TICK = timedelta(microseconds=1)
HOUR = timedelta(hours=1)


def values(clicks=None, score=None, tag=None):
    return {"clicks": clicks, "score": score, "tag": tag}


def user(name):
    return EntityKey(join_keys=["user_id"], entity_values=[Value(string_val=name)])


def stored(online, part=BATCH):
    """Every byte of a part."""
    with online.store._database(online.config).read() as snapshot:
        return {key: bytes(value) for key, value in snapshot.begin_with(part, b"")}


def states(online, view, *users):
    from profilestore.online_store.keys import text_key

    key = text_key("user_id")
    (found,) = online.store.read_records(
        online.config, [(view, ["clicks"])], [key(one) for one in users]
    )
    return list(found.states)


# Reading


def test_nothing_was_ever_written(online):
    view = online.view()
    assert online.read(view, "a", "b") == [(None, None), (None, None)]
    assert not online.folder.exists()
    assert states(online, view, "a") == ["missing"]


@pytest.mark.parametrize("way", ["push", "materialise"])
def test_what_was_written_is_read(online, way):
    view = online.view()
    getattr(online, way)(
        view, ("a", values(1, 0.5, "ü"), NOON, None), ("b", values(), NOON + TICK, NOON)
    )
    assert online.read(view, "b", "nobody", "a", "b") == [
        (NOON + TICK, values()),
        (None, None),
        (NOON, values(1, 0.5, "ü")),
        (NOON + TICK, values()),
    ]


@pytest.mark.parametrize("way", ["push", "materialise"])
def test_only_the_features_asked_for(online, way):
    view = online.view()
    getattr(online, way)(view, ("a", values(1, 0.5, "x"), NOON, None))
    assert online.read(view, "a", features=["tag"]) == [(NOON, {"tag": "x"})]
    assert online.read(view, "a", features=["tag", "clicks"]) == [(NOON, {"tag": "x", "clicks": 1})]
    records = online.store.read_records(online.config, [(view, ["score"])], [])
    assert list(records[0].columns) == ["score"]


def test_asynchronous_methods_are_the_same(online):
    view = online.view()

    async def both_ways():
        await online.store.online_write_batch_async(
            online.config, view, [(user("a"), {"clicks": Value(int64_val=1)}, NOON, None)], None
        )
        return await online.store.online_read_async(online.config, view, [user("a")], ["clicks"])

    assert asyncio.run(both_ways()) == [(NOON, {"clicks": Value(int64_val=1)})]
    assert online.store.async_supported.read
    assert online.store.async_supported.write


@pytest.mark.parametrize("way", ["push", "materialise"])
def test_times_are_kept_to_the_microsecond(online, way):
    from profilestore.online_store.keys import text_key

    view = online.view()
    event = datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
    created = datetime(2024, 2, 29, 1, 2, 3, 456_789, tzinfo=UTC)
    getattr(online, way)(view, ("a", values(1), event, created), ("b", values(2), event, None))
    key = text_key("user_id")
    (found,) = online.store.read_records(online.config, [(view, ["clicks"])], [key("a"), key("b")])
    assert list(found.events) == [to_micros(event)] * 2
    assert list(found.created) == [to_micros(created), None]
    assert online.read(view, "a")[0][0] == event


def test_a_naive_time_is_utc(online):
    view = online.view()
    online.push(view, ("a", values(1), NOON.replace(tzinfo=None), NOON.replace(tzinfo=None)))
    assert online.read(view, "a")[0][0] == NOON


# Time to live


@pytest.mark.parametrize("way", ["push", "materialise"])
@pytest.mark.parametrize("others", [0, 1])
def test_a_value_is_fresh_until_its_ttl_and_not_a_microsecond_longer(online, clock, way, others):
    view = online.view(ttl=HOUR)
    getattr(online, way)(view, ("a", values(1, 0.5, "x"), NOON, None))
    users = ["a", *["nobody"] * others]
    clock(NOON + HOUR)
    assert states(online, view, *users)[0] == "fresh"
    assert online.read(view, *users)[0] == (NOON, values(1, 0.5, "x"))
    clock(NOON + HOUR + TICK)
    assert states(online, view, *users)[0] == "stale"
    # Feast is told when it was true, and nothing else.
    assert online.read(view, *users)[0] == (NOON, None)
    assert online.read(online.view(ttl=HOUR + TICK), "a")[0] == (NOON, values(1, 0.5, "x"))
    for endless in (online.view(), online.view(ttl=timedelta(0))):
        assert online.read(endless, "a") == [(NOON, values(1, 0.5, "x"))]


def test_the_caller_may_say_what_time_it_is(online, clock):
    from profilestore.online_store.keys import text_key

    view = online.view(ttl=HOUR)
    online.push(view, ("a", values(1), NOON, None))
    read = lambda now: online.store.read_records(  # noqa: E731
        online.config, [(view, ["clicks"])], [text_key("user_id")("a")], now=to_micros(now)
    )[0]
    assert read(NOON + HOUR).columns["clicks"][0] == 1
    assert read(NOON + HOUR + TICK).columns["clicks"][0] is None


def test_fresh_and_stale_side_by_side(online, clock):
    view = online.view(ttl=HOUR)
    online.materialise(
        view, ("old", values(1), NOON - TICK, None), ("new", values(2, tag="t"), NOON, None)
    )
    clock(NOON + HOUR)
    assert states(online, view, "old", "new", "none", "old") == [
        "stale",
        "fresh",
        "missing",
        "stale",
    ]
    assert online.read(view, "old", "new", "none") == [
        (NOON - TICK, None),
        (NOON, values(2, tag="t")),
        (None, None),
    ]


def test_values_past_their_ttl_for_those_who_want_them(another, clock):
    """As Feast's own stores have them, but that their state is told."""
    lenient = another(past_ttl="value")
    view = lenient.view(ttl=HOUR)
    lenient.push(view, ("old", values(1), NOON - TICK, None), ("new", values(2), NOON, None))
    clock(NOON + HOUR)
    assert lenient.read(view, "old", "new", "none") == [
        (NOON - TICK, values(1)),
        (NOON, values(2)),
        (None, None),
    ]
    assert states(lenient, view, "old", "new", "none") == ["stale", "fresh", "missing"]


# Pushes


def test_the_newest_push_wins(online):
    view = online.view()
    online.push(view, ("a", values(1), NOON, NOON))
    for event, created, read in [
        (NOON - TICK, NOON + HOUR, 1),
        (NOON, NOON - TICK, 1),
        (NOON, None, 1),
        (NOON, NOON, 5),
        (NOON, NOON + TICK, 6),
        (NOON + TICK, None, 7),
        (NOON, NOON + HOUR, 7),
    ]:
        online.push(
            view,
            (
                "a",
                values(
                    {1: 0, 5: 5, 6: 6, 7: 7}[read] if (event, created) != (NOON, NOON + HOUR) else 0
                ),
                event,
                created,
            ),
        )
        assert online.read(view, "a")[0][1]["clicks"] == read, (event, created)


def test_several_rows_of_one_entity_in_one_push(online):
    view = online.view()
    online.push(
        view,
        ("a", values(1), NOON, None),
        ("a", values(3), NOON + TICK, None),
        ("a", values(2), NOON, NOON),
        ("b", values(4), NOON, None),
        ("b", values(5), NOON, None),
    )
    assert [row[1]["clicks"] for row in online.read(view, "a", "b")] == [3, 5]


def test_a_feature_that_a_push_lacks_keeps_its_value(online):
    view = online.view()
    online.materialise(view, ("a", values(1, 0.5, "x"), NOON, None))
    online.push(view, ("a", {"clicks": 2}, NOON + TICK, None))
    assert online.read(view, "a") == [(NOON + TICK, values(2, 0.5, "x"))]
    online.push(
        view, ("a", {"tag": "y"}, NOON + HOUR, None), ("a", {"score": 1.5}, NOON + HOUR, None)
    )
    assert online.read(view, "a") == [(NOON + HOUR, values(2, 1.5, "y"))]
    # A null is a value.
    online.push(view, ("a", {"tag": None}, NOON + HOUR, None))
    assert online.read(view, "a") == [(NOON + HOUR, values(2, 1.5, None))]


def test_a_push_with_a_wrong_value_writes_nothing(online):
    view = online.view()
    rows = [
        (user("a"), {"clicks": Value(int64_val=1)}, NOON, None),
        (user("b"), {"clicks": Value(string_val="1")}, NOON, None),
    ]
    with pytest.raises(InputError, match=r"'activity': feature 'clicks': found a string where"):
        online.store.online_write_batch(online.config, view, rows, None)
    small = online.view("small", [("rank", Int32), ("score", Float32)])
    for found in ({"rank": Value(int64_val=2**31)}, {"score": Value(double_val=1e39)}):
        with pytest.raises(InputError, match=r"'small': feature .* out of the range"):
            online.store.online_write_batch(
                online.config, small, [(user("a"), found, NOON, None)], None
            )
    assert online.read(view, "a", "b") == [(None, None)] * 2


def test_progress_is_told(online):
    told = []
    online.store.online_write_batch(
        online.config, online.view(), [(user("a"), {}, NOON, None)] * 3, told.append
    )
    assert told == [3]


# Deleting


def test_an_entity_is_deleted_from_every_view_and_both_parts(online):
    first, second = online.view(), online.view("second", [("n", Int64)])
    for name in ("a", "b"):
        online.materialise(first, *[(n, values(1), NOON, None) for n in ("a", "b")])
        online.push(first, (name, values(2), NOON + TICK, None))
        online.push(second, (name, {"n": 3}, NOON, None))
    assert online.store.delete_entities(online.config, [user("a"), user("nobody")]) == 3
    assert online.read(first, "a", "b") == [(None, None), (NOON + TICK, values(2))]
    assert online.read(second, "a", "b") == [(None, None), (NOON, {"n": 3})]
    for part in (BATCH, LIVE):
        assert not any(b"\x01\x00\x00\x00a" in key for key in stored(online, part))
    assert online.store.delete_entities(online.config, [user("a")]) == 0


def test_an_entity_is_not_the_beginning_of_another(online):
    view = online.view()
    online.push(view, *[(name, values(1), NOON, None) for name in ("a", "ab", "", "a\x00")])
    online.store.delete_entities(online.config, [user("a"), user("")])
    assert [row[0] for row in online.read(view, "a", "ab", "", "a\x00")] == [None, NOON, None, NOON]


def test_entities_deleted_while_a_load_runs_do_not_come_back_with_it(online):
    view = online.view()
    online.materialise(view, ("a", values(1), NOON, None))
    with online.load(view, ("a", values(2), NOON, None)) as load:
        online.store.delete_entities(online.config, [user("a")])
        with pytest.raises(ProfilestoreError, match=r"'activity': entities were deleted while"):
            commit([(load, 0)])
    assert online.read(view, "a") == [(None, None)]
    online.materialise(view, ("b", values(2), NOON, None))
    assert online.read(view, "b") == [(NOON, values(2))]


def test_keys_that_are_too_long_are_like_any_other(online, another):
    view = online.view()
    long, longer = "x" * 600, "x" * 6000
    online.materialise(view, (long, values(1), NOON, None))
    online.push(view, (longer, values(2), NOON, None))
    other = another(project="other")
    other.push(view, (long, values(3), NOON, None))
    assert [row[1]["clicks"] for row in online.read(view, long, longer)] == [1, 2]
    assert len(stored(online, ENTITIES)) == 2
    assert online.store.delete_entities(online.config, [user(long), user(longer)]) == 2
    assert online.read(view, long, longer) == [(None, None)] * 2
    # The other project's still stands, so its whole key does.
    assert other.read(view, long) == [(NOON, values(3))]
    assert next(iter(stored(online, ENTITIES).values())).endswith(long.encode())
    assert len(stored(online, ENTITIES)) == 1
    other.store.update(other.config, [view], [], [], [], False)
    assert stored(online, ENTITIES) == {}


# Views and projects


def test_a_view_that_is_removed_takes_its_records_along(online):
    kept, gone = online.view("kept"), online.view("gone")
    for view in (kept, gone):
        online.materialise(view, ("a", values(0), NOON, None))
        online.push(view, ("a", values(1), NOON, None))
    online.store.update(online.config, [gone], [kept], [], [], True)
    assert online.read(kept, "a") == [(NOON, values(1))]
    assert online.read(gone, "a") == [(None, None)]
    assert len(stored(online)) + len(stored(online, LIVE)) == 2
    # Again, it is another view.
    online.push(gone, ("b", values(2), NOON, None))
    assert online.read(gone, "a", "b") == [(None, None), (NOON, values(2))]


def test_removing_a_view_of_which_nothing_was_written(online):
    online.store.update(online.config, [online.view()], [], [], [], True)
    assert not online.folder.exists()


def test_projects_in_one_folder_do_not_see_each_other(online, another):
    other = another(project="unit2")
    view = online.view()
    online.push(view, ("a", values(1), NOON, None))
    other.materialise(view, ("a", values(2), NOON, None))
    assert online.read(view, "a") == [(NOON, values(1))]
    assert other.read(view, "a") == [(NOON, values(2))]
    online.store.delete_entities(online.config, [user("a")])
    assert online.read(view, "a") == [(None, None)]
    assert other.read(view, "a") == [(NOON, values(2))]
    online.store.teardown(online.config, [view], [])
    assert other.read(view, "a") == [(NOON, values(2))]
    assert online.folder.exists()
    other.store.teardown(other.config, [view], [])
    assert not online.folder.exists()


def test_torn_down_and_filled_again(online):
    view = online.view()
    online.materialise(view, ("a", values(0), NOON, None))
    online.push(view, ("a", values(1), NOON, None))
    online.store.teardown(online.config, [view], [])
    assert not online.folder.exists()
    assert online.read(view, "a") == [(None, None)]
    online.store.teardown(online.config, [view], [])
    online.materialise(view, ("b", values(2), NOON, None))
    assert online.read(view, "a", "b") == [(None, None), (NOON, values(2))]


def test_teardown_keeps_a_folders_other_things(online):
    view = online.view()
    online.push(view, ("a", values(1), NOON, None))
    (online.folder / "notes.txt").write_text("mine")
    online.store.teardown(online.config, [view], [])
    assert online.files() == ["notes.txt"]


def test_one_folder_spelled_in_two_ways_is_one_store(online, another):
    view = online.view()
    online.push(view, ("a", values(1), NOON, None))
    (online.folder.parent / "deep").mkdir()
    spelled = another(path="deep/../online")
    assert spelled.read(view, "a") == [(NOON, values(1))]
    linked = another(path="link")
    (online.folder.parent / "link").symlink_to(online.folder)
    linked.push(view, ("a", values(2), NOON + TICK, None))
    assert online.read(view, "a") == [(NOON + TICK, values(2))]


# Schemas


CHANGES = {
    "added": (
        [("clicks", Int64), ("more", Float64), ("score", Float32), ("tag", String)],
        {"clicks": 1, "more": None, "score": 0.5, "tag": "x"},
    ),
    "removed": ([("tag", String)], {"tag": "x"}),
    "in another order": (
        [("tag", String), ("clicks", Int64), ("score", Float32)],
        {"tag": "x", "clicks": 1, "score": 0.5},
    ),
    "renamed": ([("klicks", Int64), ("tag", String)], {"klicks": None, "tag": "x"}),
    "all others": ([("a", Array(Int64)), ("b", Map)], {"a": None, "b": None}),
}


@pytest.mark.parametrize("way", ["push", "materialise"])
@pytest.mark.parametrize("change", CHANGES)
def test_a_view_that_changes_is_not_rewritten(online, way, change):
    features, read = CHANGES[change]
    before, after = online.view(), online.view(features=features)
    getattr(online, way)(before, ("a", values(1, 0.5, "x"), NOON, None))
    part = LIVE if way == "push" else BATCH
    bytes_before = stored(online, part)
    online.store.update(online.config, [], [after], [], [], True)
    assert online.read(after, "a") == [(NOON, read)]
    assert stored(online, part) == bytes_before
    # Beside records that are written after it.
    online.push(after, ("b", dict.fromkeys(read), NOON, None))
    assert online.read(after, "a", "b", "a") == [
        (NOON, read),
        (NOON, dict.fromkeys(read)),
        (NOON, read),
    ]
    assert bytes_before.items() <= stored(online, part).items()
    # And when it changes back.
    assert online.read(before, "a")[0] == (NOON, values(1, 0.5, "x"))


@pytest.mark.parametrize(
    ("to", "read"),
    [(String, None), (Float64, None), (Int32, None), (Array(Int64), None), (Int64, 1)],
    ids=str,
)
def test_a_feature_of_another_type_is_null_until_it_is_written(online, to, read):
    """Its old bytes are of another type: better no value than a wrong one."""
    before = online.view(features=[("clicks", Int64), ("tag", String)])
    after = online.view(features=[("clicks", to), ("tag", String)])
    online.materialise(before, ("a", {"clicks": 1, "tag": "x"}, NOON, None))
    online.push(before, ("b", {"clicks": 1, "tag": "x"}, NOON, None))
    bytes_before = stored(online)
    for name in ("a", "b"):
        ((event, found),) = online.read(after, name)
        assert (event, found) == (NOON, {"clicks": read, "tag": "x"})
    assert stored(online) == bytes_before


def test_a_push_to_a_view_that_has_changed_takes_along_what_it_lacks(online):
    before = online.view(features=[("clicks", Int64), ("tag", String)])
    after = online.view(features=[("tag", String), ("n", Int64), ("clicks", String)])
    online.materialise(before, ("a", {"clicks": 1, "tag": "x"}, NOON, None))
    online.push(after, ("a", {"n": 2}, NOON + TICK, None))
    assert online.read(after, "a") == [(NOON + TICK, {"tag": "x", "n": 2, "clicks": None})]


# What Feast is told


def test_statuses(online, clock):
    from profilestore.online_store import response
    from profilestore.online_store.keys import text_key

    view = online.view(ttl=HOUR)
    online.push(view, ("a", values(1), NOON, None), ("b", values(None), NOON + TICK, None))
    clock(NOON + HOUR + TICK)
    key = text_key("user_id")
    entities = [key(name) for name in ("a", "b", "c")]
    (found,) = online.store.read_records(online.config, [(view, ["clicks"])], entities)
    message = response.begin({"user_id": ("STRING", ["a", "b", "c"])})
    response.add(message, view, ["clicks"], found, False)
    assert list(message.results[1].statuses) == [
        FieldStatus.OUTSIDE_MAX_AGE,
        FieldStatus.PRESENT,
        FieldStatus.NOT_FOUND,
    ]
    assert list(message.results[1].values) == [Value(), Value(), Value()]
    assert to_proto("INT64", None) == Value()


def test_the_configuration_is_feasts(online):
    assert online.config.online_store.path == "online"
    assert online.config.online_store.type == "profilestore.online_store.LMDBOnlineStore"
    assert SimpleNamespace(**dict(online.config.online_store)).sync is False
    assert isinstance(online.view().features[0], Field)


def test_what_was_materialised_can_be_read_below_a_push(online):
    from profilestore.online_store.keys import text_key

    view, entity = online.view(), text_key("user_id")("ann")

    def below():
        return online.store.read_materialised(online.config, view, [entity])

    assert below() == [None]
    online.materialise(view, ("ann", values(1, 0.5, "a"), NOON, NOON))
    (first,) = below()
    assert first == (values(1, 0.5, "a"), to_micros(NOON), to_micros(NOON))
    pushed = (values(2, None, "a"), to_micros(NOON), to_micros(NOON) + 1)
    online.store.push(online.config, view, {"ann": pushed})
    assert below() == [first]
    assert online.read(view, "ann") == [(NOON, values(2, None, "a"))]
    # A run that has not confirmed it: it is gone, and so is nothing that was pushed.
    online.materialise(view, ("bob", values(1), NOON, NOON))
    assert below() == [None]
