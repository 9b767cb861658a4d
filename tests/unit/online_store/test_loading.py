"""A materialisation takes the place of what was there: whole, or not at all."""

from __future__ import annotations

import os
import random
import signal
import time
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from feast.types import Int64
from feast.value_type import ValueType

from profilestore.errors import ProfilestoreError
from profilestore.online_store import loading
from profilestore.online_store.columns import entities, records
from profilestore.online_store.database import BATCH, LIVE
from profilestore.online_store.layout import read_layout
from profilestore.online_store.loading import commit

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)
TICK = timedelta(microseconds=1)


def row(name, clicks, event=NOON, created=None):
    return name, {"clicks": clicks, "score": None, "tag": None}, event, created


def clicks(online, view, *users):
    return [None if v is None else v["clicks"] for _, v in online.read(view, *users)]


def count(online, part):
    with online.store._database(online.config).read() as snapshot:
        return sum(1 for _ in snapshot.begin_with(part, b""))


def leftovers(online):
    return [name for name in online.files() if name.startswith("generation-load-")]


# What a load replaces


def test_a_whole_load_takes_the_place_of_all_that_was_materialised(online):
    view = online.view()
    online.materialise(view, row("a", 1), row("b", 1), row("c", 1))
    # Corrected to an earlier time, removed, added.
    online.materialise(view, row("a", 2, NOON - TICK), row("c", 3), row("d", 4))
    assert clicks(online, view, "a", "b", "c", "d") == [2, None, 3, 4]
    assert online.read(view, "b") == [(None, None)]


def test_a_load_of_nothing_leaves_nothing(online):
    view = online.view()
    online.materialise(view, row("a", 1))
    online.materialise(view)
    assert clicks(online, view, "a") == [None]


def test_a_part_takes_the_place_of_nothing_that_is_newer(online):
    view = online.view()
    online.materialise(view, row("a", 1), row("b", 1, created=NOON), row("c", 1), row("d", 1))
    online.materialise(
        view,
        row("a", 2, NOON - TICK),
        row("b", 2, created=NOON - TICK),
        row("c", 2),
        row("e", 2, NOON - TICK),
        whole_since=None,
    )
    assert clicks(online, view, "a", "b", "c", "d", "e") == [1, 1, 2, 1, 2]


def test_what_is_gone_is_not_newer_than_a_part(online):
    """It lies in the file until it is compacted."""
    view = online.view()
    online.materialise(view, row("a", 1))
    online.materialise(view)
    assert count(online, BATCH) == 1
    online.materialise(view, row("a", 2, NOON - TICK), whole_since=None)
    assert clicks(online, view, "a") == [2]


def test_from_when_on_it_was_asked_is_remembered(online):
    view = online.view()
    with online.load(view) as load:
        assert load.since is None
        commit([(load, 77)])
    with online.load(view) as load:
        assert load.since == 77
        commit([(load, None)])
    with online.load(view) as load:
        assert load.since == 77


# Beside pushes


def test_a_push_newer_than_the_batch_stays(online):
    view = online.view()
    online.push(view, row("a", 1, NOON + TICK))
    online.materialise(view, row("a", 2), row("b", 2))
    assert clicks(online, view, "a", "b") == [1, 2]
    assert count(online, LIVE) == 1


@pytest.mark.parametrize("whole_since", [0, None])
def test_a_push_older_than_the_batch_is_superseded_and_its_bytes_dropped(online, whole_since):
    view, other = online.view(), online.view("other")
    online.push(view, row("a", 1, NOON - TICK), row("b", 1, NOON + TICK), row("c", 1))
    online.push(other, row("a", 1, NOON - TICK))
    online.materialise(
        view, row("a", 2), row("b", 2), row("c", 2, created=NOON), whole_since=whole_since
    )
    assert clicks(online, view, "a", "b", "c") == [2, 1, 2]
    assert clicks(online, other, "a") == [1]
    assert count(online, LIVE) == 2
    online.materialise(view, row("b", 3, NOON + TICK), whole_since=whole_since)
    assert clicks(online, view, "b") == [3]
    assert count(online, LIVE) == 1
    with online.store._database(online.config).read() as snapshot:
        assert not read_layout(snapshot, "unit", "activity").pushed


def test_a_push_that_the_load_has_not_seen_is_the_newer(online):
    """Of the same times, what was written last: the load read the source before the push."""
    view = online.view()
    with online.load(view, row("a", 1), row("b", 1)) as load:
        online.push(view, row("a", 2))
        commit([(load, 0)])
    assert clicks(online, view, "a", "b") == [2, 1]
    online.materialise(view, row("a", 3), row("b", 3))
    assert clicks(online, view, "a", "b") == [3, 3]


def test_a_push_for_an_entity_that_the_source_no_longer_has_stays(online):
    view = online.view()
    online.materialise(view, row("a", 1))
    online.materialise(view)
    # Older than what is gone, which still lies in the file.
    online.push(view, row("a", 2, NOON - TICK))
    assert clicks(online, view, "a") == [2]
    online.materialise(view, row("b", 1))
    assert clicks(online, view, "a", "b") == [2, 1]


# All or nothing


def test_before_the_commit_nothing_is_seen(online):
    view = online.view()
    online.materialise(view, row("a", 1))
    with online.load(view, row("a", 2), row("b", 2)):
        assert clicks(online, view, "a", "b") == [1, None]
        assert len(leftovers(online)) == 1
    assert clicks(online, view, "a", "b") == [1, None]
    assert leftovers(online) == []


def test_several_views_go_online_together(online, monkeypatch):
    first, second = online.view("first"), online.view("second")
    for view in (first, second):
        online.materialise(view, row("a", 1))
    with online.load(first, row("a", 2)) as one, online.load(second, row("a", 2)) as two:
        with monkeypatch.context() as patched:

            def fail(*_):
                raise RuntimeError("the second failed")

            patched.setattr(two, "write", fail)
            with pytest.raises(RuntimeError, match="the second failed"):
                commit([(one, 0), (two, 0)])
        assert clicks(online, first, "a") + clicks(online, second, "a") == [1, 1]
    with online.load(first, row("a", 3)) as one, online.load(second, row("a", 3)) as two:
        commit([(one, 0), (two, 0)])
    assert clicks(online, first, "a") + clicks(online, second, "a") == [3, 3]


def test_a_load_that_was_overtaken_writes_nothing(online):
    view = online.view()
    with online.load(view, row("a", 1)) as slow:
        online.materialise(view, row("a", 2))
        with pytest.raises(ProfilestoreError, match=r"'activity': .*materialised by another"):
            commit([(slow, 0)])
    assert clicks(online, view, "a") == [2]


@pytest.mark.parametrize("again", [True, False])
def test_a_load_of_a_view_that_was_removed_writes_nothing(online, again):
    view = online.view()
    with online.load(view, row("a", 1)) as load:
        online.store.update(online.config, [view], [], [], [], True)
        if again:
            online.push(online.view(features=[("other", Int64)]), ("b", {"other": 1}, NOON, None))
        with pytest.raises(ProfilestoreError, match=r"'activity': it was deleted"):
            commit([(load, 0)])
    assert clicks(online, view, "a") == [None]


def test_committing_nothing(online):
    commit([])
    assert not online.folder.exists()


def test_more_rows_than_are_sorted_at_a_time(online, monkeypatch):
    monkeypatch.setattr(loading, "_SORTED_ROWS", 3)
    view = online.view()
    names = [f"{n:03}" for n in range(20)]
    random.Random(7).shuffle(names)
    with online.load(view, *[row(name, int(name)) for name in names[:10]]) as load:
        columns = {"user_id": pa.array(names[10:])}
        packed = records(
            load.schema,
            load.position,
            {
                "clicks": pa.array([int(name) for name in names[10:]]),
                "score": pa.nulls(10, pa.float32()),
                "tag": pa.nulls(10, pa.string()),
            },
            event=np.zeros(10, np.int64),
            created=None,
            written=load.written,
            run=load.run,
        )
        load.add(entities([("user_id", ValueType.STRING)], columns), packed)
        commit([(load, 0)])
    assert clicks(online, view, *names) == [int(name) for name in names]


# Crashes

SUM = [("run", Int64), ("twice", Int64)]
USERS = [f"user-{n:04}" for n in range(1000)]


def run_of(online, views):
    """The run that all records of all views carry; fails on a mix."""
    found = set()
    for view in views:
        for event, values in online.read(view, *USERS):
            found.add(None if event is None else (values["run"], values["twice"]))
    assert len(found) == 1, f"a mix: {found}"
    (one,) = found
    assert one is None or one[1] == 2 * one[0]
    return None if one is None else one[0]


def load_run(online, views, run):
    def rows(view):
        return [(name, {"run": run, "twice": 2 * run}, NOON, None) for name in USERS]

    with (
        online.load(views[0], *rows(views[0])) as first,
        online.load(views[1], *rows(views[1])) as second,
    ):
        commit([(first, 0), (second, 0)])


def test_a_load_that_is_killed_leaves_the_old_state_or_the_new(online, child):
    views = [online.view("first", SUM), online.view("second", SUM)]

    def work(pipe, run):
        from profilestore.online_store.database import Snapshot

        put = Snapshot.put_whole

        def slowly(self, items):
            # Long enough to be hit in the middle.
            items = list(items)
            for first in range(0, len(items), 50):
                put(self, items[first : first + 50])
                time.sleep(0.001)

        Snapshot.put_whole = slowly
        pipe.send("begins")
        load_run(online, views, run)
        return "ends"

    pick = random.Random(11)
    load_run(online, views, 1)
    last, killed = 1, 0
    for run in range(2, 13):
        process = child(work, run)
        assert process.receive() == "begins"
        time.sleep(pick.uniform(0, 0.08))
        os.kill(process.process.pid, signal.SIGKILL)
        process.process.join()
        killed += process.process.exitcode == -signal.SIGKILL
        found = run_of(online, views)
        assert found in (last, run)
        last = found
    assert killed >= 5
    # The next one finishes the job, and tidies up.
    load_run(online, views, 100)
    assert run_of(online, views) == 100
    assert leftovers(online) == []


def test_what_a_killed_load_has_left_is_swept(online, child):
    view = online.view()

    def begin(pipe):
        load = online.load(view, row("a", 1))
        load.__enter__()
        pipe.send(leftovers(online))
        time.sleep(60)

    online.materialise(view, row("a", 0))
    process = child(begin)
    (left,) = process.receive()
    # It is still at work: another load leaves its file alone.
    online.materialise(view, row("a", 2))
    assert leftovers(online) == [left]
    process.process.kill()
    process.process.join()
    online.materialise(view, row("a", 3))
    assert leftovers(online) == []
    assert clicks(online, view, "a") == [3]


def test_a_file_that_is_swept_before_it_is_locked_is_made_again(online, monkeypatch):
    """Between a file's making and its lock another load may begin."""
    view = online.view()
    online.push(view, row("a", 0))
    lock = loading.fcntl.flock
    taken = []

    def meddle(file, how):
        if not taken:
            taken.append(file.name)
            os.unlink(file.name)  # noqa: PTH108 (its name is all there is)
        lock(file, how)

    monkeypatch.setattr(loading.fcntl, "flock", meddle)
    online.materialise(view, row("a", 1, NOON + TICK))
    assert clicks(online, view, "a") == [1]
    assert taken
