"""The files: many processes at once, compaction, and everything that may be wrong with them."""

from __future__ import annotations

import errno
import os
import random
import resource
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import lmdb
import pytest
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from feast.types import Int64, String

from profilestore.errors import InputError, ProfilestoreError
from profilestore.online_store import database as module
from profilestore.online_store.database import Database
from profilestore.online_store.loading import commit

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)
TICK = timedelta(microseconds=1)
CHECKED = [("run", Int64), ("twice", Int64), ("text", String)]


def row(name, run=1, event=NOON):
    return name, {"run": run, "twice": 2 * run, "text": f"{run}" * 20}, event, None


def user(name):
    return EntityKey(join_keys=["user_id"], entity_values=[Value(string_val=name)])


def runs(online, view, *users):
    return [None if v is None else v["run"] for _, v in online.read(view, *users)]


@pytest.fixture
def view(online):
    return online.view("checked", CHECKED)


# Processes and threads


def test_readers_never_see_a_mix_of_two_loads(online, view, child):
    names = [f"u{n}" for n in range(40)]
    online.materialise(view, *[row(name, 0) for name in names])

    def read(pipe, seed):
        pick = random.Random(seed)
        reads, last = 0, 0
        while not pipe.poll():
            found = online.read(view, *pick.sample(names, 12))
            seen = {(v["run"], v["twice"], v["text"]) for _, v in found}
            assert len(seen) == 1, seen
            ((run, twice, text),) = seen
            assert (twice, text) == (2 * run, f"{run}" * 20)
            assert run >= last
            last = run
            reads += 1
        return reads, last

    readers = [child(read, seed) for seed in range(3)]
    started = time.monotonic()
    run = 0
    while time.monotonic() - started < 1.5:
        run += 1
        online.materialise(view, *[row(name, run) for name in names])
    for reader in readers:
        reader.send()
    results = [reader.result() for reader in readers]

    assert sum(reads for reads, _ in results) > 2_000
    assert all(last > 0 for _, last in results)
    assert run > 20


def test_the_parent_and_the_child_of_a_fork(online, view, child):
    online.materialise(view, row("a", 1))
    assert runs(online, view, "a") == [1]
    mine = online.store._database(online.config)

    def use(pipe):
        assert online.store._database(online.config) is not mine
        first = runs(online, view, "a")
        online.push(view, row("a", 2, NOON + TICK))
        pipe.recv()
        return first, runs(online, view, "a")

    # While a reader's transaction is open here.
    with mine.read():
        process = child(use)
        time.sleep(0.05)
    while runs(online, view, "a") == [1]:
        time.sleep(0.01)
    online.push(view, row("a", 3, NOON + 2 * TICK))
    process.send()
    assert process.result() == ([1], [3])
    online.push(view, row("a", 4, NOON + 3 * TICK))
    assert runs(online, view, "a") == [4]


def test_eight_threads_read_what_is_right(online, view):
    names = [f"u{n}" for n in range(200)]
    online.materialise(view, *[row(name, n) for n, name in enumerate(names)])

    def read(seed):
        chosen = random.Random(seed).sample(range(200), 10)
        return runs(online, view, *[names[n] for n in chosen]) == chosen

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(read, range(800)))


def test_threads_that_push_lose_nothing(online, view):
    def push(n):
        for turn in range(20):
            online.push(view, row(f"u{n}-{turn}", n))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(push, range(4)))
    names = [f"u{n}-{turn}" for n in range(4) for turn in range(20)]
    assert runs(online, view, *names) == [n for n in range(4) for _ in range(20)]


def test_processes_that_are_first_at_once(online, view, child):
    def first(pipe, n):
        pipe.recv()
        online.push(view, row(f"u{n}", n))
        return True

    children = [child(first, n) for n in range(6)]
    for one in children:
        one.send()
    assert all(one.result() for one in children)
    assert runs(online, view, *[f"u{n}" for n in range(6)]) == list(range(6))


def test_another_process_is_first_while_this_one_looks_around(online, view, another, monkeypatch):
    """It finds `current`, which was not there a moment before."""
    other = another(path="other")
    other.push(view, row("a", 1))
    named = Database._named
    answers = [None]
    monkeypatch.setattr(Database, "_named", lambda self: answers.pop() if answers else named(self))
    module._databases.clear()
    other.push(view, row("b", 2))
    assert runs(other, view, "a", "b") == [1, 2]
    assert len([p for p in (online.folder.parent / "other").iterdir() if p.is_dir()]) == 1


# Compaction

SECRET = "Ada-Lovelace-1815"


def everything(folder):
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_compaction_makes_the_file_smaller_and_deleted_bytes_go(online, view):
    names = [f"u{n}" for n in range(3000)]
    online.materialise(view, *[row(name) for name in names], row(SECRET))
    online.push(view, row(SECRET, 2, NOON + TICK), ("b", {"text": SECRET}, NOON, None))
    online.store.delete_entities(online.config, [user(SECRET), user("b")])
    online.store.delete_entities(online.config, [user(name) for name in names[100:]])
    assert SECRET.encode() in everything(online.folder)
    before, after = online.store.compact(online.config)
    assert after < before / 2
    assert (next(online.folder.glob("generation-*/data.mdb"))).stat().st_size == after
    assert SECRET.encode() not in everything(online.folder)
    assert runs(online, view, *names[:100]) == [1] * 100
    assert runs(online, view, SECRET, names[200]) == [None, None]
    assert len(online.files()) == 2


def test_compaction_drops_what_its_source_no_longer_has(online, view):
    online.materialise(view, row(SECRET), row("x" * 600 + SECRET), row("a"))
    online.materialise(view, row("a", 2))
    assert SECRET.encode() in everything(online.folder)
    online.store.compact(online.config)
    assert SECRET.encode() not in everything(online.folder)
    assert runs(online, view, "a", SECRET) == [2, None]


def test_compaction_sweeps_what_was_killed_before_it(online, view, monkeypatch):
    """A compaction that is killed leaves a copy in which what is deleted later stays."""
    online.push(view, row(SECRET), row("a"))
    with monkeypatch.context() as patched:
        patched.setattr(module.shutil, "rmtree", lambda *_, **__: None)
        patched.setattr(Database, "_point", _killed)
        with pytest.raises(KeyboardInterrupt):
            online.store.compact(online.config)
    (online.folder / "generation-load-0").write_text(SECRET)
    assert len(list(online.folder.glob("generation-*/data.mdb"))) == 2
    assert runs(online, view, "a", SECRET) == [1, 1]
    online.store.delete_entities(online.config, [user(SECRET)])
    online.store.compact(online.config)
    assert SECRET.encode() not in everything(online.folder)
    assert len(online.files()) == 2
    assert runs(online, view, "a", SECRET) == [1, None]


def _killed(*_):
    raise KeyboardInterrupt


def test_compaction_that_fails_leaves_the_store_as_it_was(online, view, monkeypatch):
    online.push(view, row("a"))
    files = online.files()

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(Database, "_point", full)
        with pytest.raises(ProfilestoreError, match="the disk is full"):
            online.store.compact(online.config)
    assert online.files() == files
    online.push(view, row("a", 2, NOON + TICK))
    assert runs(online, view, "a") == [2]


def test_compacting_nothing(online):
    assert online.store.compact(online.config) == (0, 0)
    assert not online.folder.exists()


def test_other_processes_go_on_while_the_store_is_compacted(online, view, child):
    """They write before, during and after; nothing is lost."""
    online.push(view, row("a", 0))

    def work(pipe, n):
        written = 0
        pipe.send("ready")
        while not pipe.poll():
            online.push(view, row(f"u{n}-{written}", written))
            assert runs(online, view, f"u{n}-{written}", "a") == [written, 0]
            written += 1
        return written

    children = [child(work, n) for n in range(2)]
    for one in children:
        assert one.receive() == "ready"
    for _ in range(8):
        online.store.compact(online.config)
        time.sleep(0.05)
    for one in children:
        one.send()
    for n, one in enumerate(children):
        written = one.result()
        assert written > 10
        names = [f"u{n}-{turn}" for turn in range(written)]
        assert runs(online, view, *names) == list(range(written))
    assert len(online.files()) == 2


def test_the_store_is_compacted_while_another_process_opens_it(online, view, another, monkeypatch):
    """Between the name of a generation and its files."""
    online.push(view, row("a", 1))
    other = fresh(another)
    entered = Database._entered
    names = []

    def meddle(self, name):
        names.append(name)
        if len(names) == 1:
            new = self.path / "generation-new"
            (self.path / name).rename(new)
            (self.path / "current").write_text(new.name)
        return entered(self, name)

    monkeypatch.setattr(Database, "_entered", meddle)
    assert runs(other, view, "a") == [1]
    assert len(names) == 2


def test_two_compactions_at_once(online, view, child):
    online.push(view, *[row(f"u{n}", n) for n in range(50)])

    def compact(pipe):
        pipe.recv()
        for _ in range(5):
            online.store.compact(online.config)
        return True

    children = [child(compact) for _ in range(2)]
    for one in children:
        one.send()
    assert all(one.result() for one in children)
    assert runs(online, view, *[f"u{n}" for n in range(50)]) == list(range(50))
    assert len(online.files()) == 2


def test_a_load_goes_on_over_a_compaction(online, view):
    with online.load(view, row("a", 1)) as load:
        online.store.compact(online.config)
        commit([(load, 0)])
    assert runs(online, view, "a") == [1]


def test_another_process_tears_the_store_down(online, view, child):
    online.push(view, row("a", 1))

    def destroy(pipe):
        online.store.teardown(online.config, [view], [])

    child(destroy).result()
    assert runs(online, view, "a") == [None]
    online.push(view, row("a", 2))
    assert runs(online, view, "a") == [2]


def test_a_writer_that_waited_while_the_store_was_replaced(online, view):
    """It has the old file's lock at last, and must not write there."""
    online.push(view, row("a", 1))
    store = online.store._database(online.config)
    old = store._open(create=False)
    waiting = threading.Thread(target=lambda: online.push(view, row("b", 2)))
    with old.begin(write=True):
        waiting.start()
        time.sleep(0.1)
        new = online.folder / "generation-other"
        new.mkdir()
        old.copy(str(new), compact=True)
        store._point(new.name)
    waiting.join()
    assert runs(online, view, "a", "b") == [1, 2]
    assert Path(store._open(create=False).path()) == new


# What may be wrong


def fresh(another, **options):
    """As another process would see the folder."""
    for opened in module._databases.values():
        opened.close()
    module._databases.clear()
    return another(**options)


def test_the_path_is_a_file(online, view):
    online.folder.write_text("mine")
    for use in (lambda: online.read(view, "a"), lambda: online.push(view, row("a"))):
        with pytest.raises(InputError, match=r"online store .*/online: a folder is wanted"):
            use()
    assert online.folder.read_text() == "mine"


def test_the_folder_is_below_a_file(online, another, view):
    (online.folder.parent / "file").write_text("mine")
    below = another(path="file/online")
    for use in (lambda: below.read(view, "a"), lambda: below.push(view, row("a"))):
        with pytest.raises(InputError, match="a folder is wanted"):
            use()


def test_the_folder_holds_other_things(online, view):
    online.folder.mkdir()
    (online.folder / "thesis.tex").write_text("mine")
    assert runs(online, view, "a") == [None]
    with pytest.raises(InputError, match=r"holds other things \(thesis.tex\)\. Give it a folder"):
        online.push(view, row("a"))
    assert online.files() == ["thesis.tex"]


@pytest.mark.parametrize("damage", [b"\x00" * 8192, b"not a database" * 1000, b""])
def test_damaged_files(online, another, view, damage):
    online.push(view, row("a"))
    (data,) = online.folder.glob("*/data.mdb")
    data.write_bytes(damage)
    again = fresh(another)
    for use in (lambda: again.read(view, "a"), lambda: again.push(view, row("a"))):
        with pytest.raises(
            InputError, match=r"/online: .*Delete the folder and materialise|version"
        ):
            use()
    assert data.read_bytes()[: len(damage)] == damage


def test_another_version_of_the_format(online, another, view):
    online.push(view, row("a"))
    (folder,) = online.folder.glob("generation-*")
    fresh(another)
    with lmdb.open(str(folder)) as found, found.begin(write=True) as transaction:
        transaction.put(b"\x00format", b"99")
    with pytest.raises(InputError, match=r"its format is version 99, and this is for version 1\."):
        fresh(another).read(view, "a")


@pytest.mark.parametrize(
    ("named", "said"),
    [
        (b"generation-0", "names generation-0, which is not there"),
        (b"", "names no generation"),
        (b"../elsewhere", "names no generation"),
        (b"generation-/../..", "names no generation"),
        (b"\xff\xfe", "names no generation"),
    ],
)
def test_current_names_nothing(online, view, named, said):
    """Also for a process that has the store open already."""
    online.push(view, row("a"))
    (online.folder / "current").write_bytes(named)
    for use in (lambda: online.read(view, "a"), lambda: online.push(view, row("a"))):
        with pytest.raises(InputError, match=said):
            use()


def test_current_is_written_again_with_what_it_had(online, view):
    """As by a backup that is put back, or by `touch`; one process may open a file only once."""
    online.push(view, row("a", 1))
    store = online.store._database(online.config)
    with store.read() as before:
        os.utime(online.folder / "current", (0, 0))
        assert runs(online, view, "a") == [1]
        online.push(view, row("a", 2))
        assert before is not None
    assert runs(online, view, "a") == [2]


def test_the_folder_is_deleted_under_a_process_that_has_it_open(online, view):
    import shutil

    online.push(view, row("a"))
    shutil.rmtree(online.folder)
    assert runs(online, view, "a") == [None]
    online.push(view, row("b"))
    assert runs(online, view, "a", "b") == [None, 1]


def test_the_largest_size_is_reached(another, view):
    small = another(map_size_gib=1 / 1024)
    small.push(view, row("a", 1))
    with pytest.raises(
        ProfilestoreError, match=r"its largest size of 0\.000977 GiB; nothing was"
    ) as e:
        small.push(view, *[row(f"u{n}") for n in range(6_000)])
    assert "map_size_gib" in str(e.value)
    with pytest.raises(ProfilestoreError, match="largest size"):
        small.materialise(view, *[row(f"u{n}") for n in range(6_000)])
    assert runs(small, view, "a", "u0", "u1") == [1, None, None]
    assert small.files()[0] == "current"
    assert len(small.files()) == 2
    # There is room for little things still.
    small.push(view, row("b", 2))
    assert runs(small, view, "a", "b") == [1, 2]
    # And with more room for the rest.
    large = fresh(another)
    large.push(view, *[row(f"u{n}", n) for n in range(6_000)])
    assert runs(large, view, "a", "u5999") == [1, 5_999]


@pytest.mark.parametrize("way", ["push", "materialise", "first"])
def test_the_disk_is_full(online, view, child, way):
    if way != "first":
        online.push(view, row("a", 1))
    many = [row(f"u{n}") for n in range(1 if way == "first" else 6_000)]

    def fill(pipe):
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        limit = 4_096 if way == "first" else 400_000
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        try:
            if way == "materialise":
                online.materialise(view, *many)
            else:
                online.push(view, *many)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)

    said = child(fill).error()
    assert said.startswith("ProfilestoreError: online store ")
    assert "the disk is full, or fails" in said
    assert "Make room and run it again" in said
    assert runs(online, view, "a", "u0", "u5999") == [None if way == "first" else 1, None, None]
    if online.folder.exists():
        assert not [name for name in online.files() if "load" in name or "draft" in name]
    online.push(view, row("b", 2))
    assert runs(online, view, "b") == [2]


@pytest.mark.parametrize("exists", [True, False])
def test_nobody_may_write_there(online, view, child, exists):
    if exists:
        online.push(view, row("a", 1))
    for path in [online.folder.parent, *online.folder.parent.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)

    def use(pipe):
        if os.getuid() == 0:
            _open_the_way_to(online.folder)
            os.setgid(65_534)
            os.setuid(65_534)
        said = []
        uses = [lambda: online.push(view, row("b"))]
        if exists:
            uses.append(lambda: online.read(view, "a"))
        for one in uses:
            try:
                one()
            except InputError as error:
                said.append(str(error))
        return said

    try:
        said = child(use).result()
    finally:
        for path in [online.folder.parent, *online.folder.parent.rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)
    assert len(said) == 1 + exists
    for one in said:
        assert one.startswith(f"online store {online.folder}: no permission to write there")
        assert "Correct the permissions or the path" in one
    assert runs(online, view, "a", "b") == [1 if exists else None, None]


def _open_the_way_to(folder):
    """pytest's own folders are for their owner alone."""
    for parent in folder.parents[1:]:
        if parent.stat().st_uid == 0 and parent != Path("/") and not parent.stat().st_mode & 0o001:
            parent.chmod(parent.stat().st_mode | 0o011)
