"""The LMDB files of an online store: opening, transactions, generations, errors in words.

    <path>/current               the name of the generation that is in use
    <path>/<generation>/data.mdb

A generation is one LMDB environment. Compaction writes another, in which nothing that was deleted
has left a byte, and then changes `current`: whoever still has the old one open moves on at the next
transaction. `current` changes only under the write lock of the generation that it names, so who has
waited for that lock looks again before it writes.

Readers take no lock and writers do not wait for them. There is one writer at a time, over all
processes: a second one waits.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import threading
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lmdb

from profilestore.disk import to_disk
from profilestore.errors import InputError, ProfilestoreError
from profilestore.online_store.keys import said
from profilestore.privacy.keys import load, load_or_create

if TYPE_CHECKING:
    from profilestore.privacy.sealing import Seal

FORMAT = b"1"
_FORMAT_KEY = b"\x00format"
# In a sealed store: what its key can open.
_SEALED_KEY, _SEALED = b"\x00sealed", b"profilestore"
_KEY_NAME, _KEY_LOST = "key of the online store", "what is stored is lost: materialise again"
_CURRENT = "current"
_MOST_READERS = 1024

# The first byte of a key says what it holds: what materialisation wrote, what was pushed since,
# each view's layout, and the entities whose keys are too long for LMDB.
BATCH, LIVE, VIEWS, ENTITIES = b"B", b"L", b"V", b"E"
_RECORDS = (BATCH, LIVE)

_lock = threading.Lock()
_databases: dict[Path, Database] = {}


class Database:
    """One folder's environment in this process; get it with `database`.

    Attributes:
        key_file: of the key that records are sealed with; None where they are not.
    """

    def __init__(self, path: Path, map_size: int, sync: bool, key_file: Path | None) -> None:
        self.path = path
        self.key_file = key_file
        self._seal: Seal | None = None
        self._map_size = map_size
        self._sync = sync
        self._guard = threading.RLock()
        self._current = path / _CURRENT
        self._opened: lmdb.Environment | None = None
        self._seen: tuple[int, int, int] | None = None
        self._data: tuple[int, int] | None = None

    @contextmanager
    def read(self) -> Iterator[Snapshot | None]:
        """One moment of the store; None when there is no store yet.

        Raises:
            InputError: the folder holds something else, or another version.
        """
        opened = self._open(create=False)
        if opened is None:
            yield None
            return
        with self.words():
            transaction = opened.begin()
        try:
            yield self._snapshot(transaction, opened)
        finally:
            transaction.abort()

    @contextmanager
    def write(self) -> Iterator[Snapshot]:
        """All that is written inside, or nothing of it.

        Raises:
            InputError: the folder cannot be written, or holds something else.
            ProfilestoreError: the disk is full.
        """
        with self.words(), self._locked(create=True) as locked:
            assert locked is not None
            opened, transaction = locked
            yield self._snapshot(transaction, opened)
            transaction.commit()

    def seal(self) -> Seal | None:
        """What the records are sealed with; None where they are not.

        Raises:
            InputError: the key cannot be read, or there is none any more.
        """
        if self.key_file is not None and self._seal is None:
            # Imported here: it brings a library of cryptography, which other stores never need.
            from profilestore.privacy.sealing import Seal

            read = load if self._named() is not None else load_or_create
            self._seal = Seal(read(self.key_file, _KEY_NAME, _KEY_LOST))
        return self._seal

    def _snapshot(self, transaction: lmdb.Transaction, opened: lmdb.Environment) -> Snapshot:
        if self._seal is None:
            return Snapshot(transaction, opened)
        return SealedSnapshot(transaction, opened, self._seal, self.path)

    def compact(self) -> tuple[int, int]:
        """Write the store anew without free pages, and delete the old files.

        Returns:
            Bytes on disk before and after.
        """
        # Holding the write lock: what is committed before is copied, and nobody commits after.
        with self._guard, self.words(), self._locked(create=False) as locked:
            if locked is None:
                return 0, 0
            opened, _ = locked
            before = (Path(opened.path()) / "data.mdb").stat().st_size
            new = self.path / f"generation-{uuid.uuid4().hex}"
            try:
                new.mkdir()
                opened.copy(str(new), compact=True)
                to_disk(new / "data.mdb")
                self._point(new.name)
            except BaseException:
                if self._named() != new.name:
                    shutil.rmtree(new, ignore_errors=True)
                raise
            # The old one, and what compactions that were killed have left.
            for path in self.path.glob("generation-*"):
                if path.is_dir() and path != new:
                    _remove(path)
            return before, (new / "data.mdb").stat().st_size

    def destroy(self) -> None:
        """Delete every file."""
        with self._guard, self.words(), self._locked(create=False) as locked:
            # Listed now: whoever finds no `current` begins anew.
            paths = [path for path in self.path.glob("generation-*") if path.is_dir()]
            if locked is not None:
                self._current.unlink()
            for path in paths:
                _remove(path)
        with contextlib.suppress(OSError):
            self.path.rmdir()

    def close(self) -> None:
        """Let go of the files; the next transaction opens them again. No other thread may be
        in a transaction."""
        opened, self._opened = self._opened, None
        if opened is not None:
            opened.close()

    @contextmanager
    def _locked(
        self, *, create: bool
    ) -> Iterator[tuple[lmdb.Environment, lmdb.Transaction] | None]:
        """The generation in use and a write transaction of it, which ends without a commit."""
        while True:
            opened = self._open(create=create)
            if opened is None:
                yield None
                return
            transaction = opened.begin(write=True)
            try:
                if self._is_in_use(opened):
                    yield opened, transaction
                    return
            finally:
                # After a commit this does nothing.
                transaction.abort()

    def _open(self, *, create: bool) -> lmdb.Environment | None:
        seen = _version(self._current)
        opened = self._opened
        if opened is not None and seen == self._seen:
            return opened
        with self._guard, self.words():
            while True:
                # Read before the name: a change in between is seen at the next call.
                seen = _version(self._current)
                if self._opened is not None:
                    if seen == self._seen:
                        return self._opened
                    if self._is_in_use(self._opened):
                        # Touched.
                        self._seen = seen
                        return self._opened
                    # Compacted, or deleted and made anew, by another process. Not closed: other
                    # threads may be reading in it; it ends with the last of them.
                    self._opened = None
                name = self._named()
                if name is not None:
                    try:
                        self._data = _identity(self.path / name / "data.mdb")
                        self._opened = self._entered(name)
                    except (lmdb.Error, OSError, InputError):
                        # It may have been replaced just now.
                        if self._named() == name:
                            raise
                        continue
                    self._seen = seen
                    return self._opened
                if not create:
                    return None
                self._first()

    def _entered(self, name: str) -> lmdb.Environment:
        """A generation's environment."""
        folder = self.path / name
        if not (folder / "data.mdb").exists():
            raise InputError(
                f"online store {self.path}: {_CURRENT} names {name}, which is not there. "
                f"Delete the folder and materialise again."
            )
        environment = self._environ(folder, create=False)
        with environment.begin() as transaction:
            found = transaction.get(_FORMAT_KEY)
            sealed = transaction.get(_SEALED_KEY)
        if found != FORMAT:
            environment.close()
            said = "no version" if found is None else f"version {found.decode(errors='replace')}"
            raise InputError(
                f"online store {self.path}: its format is {said}, and this is for version "
                f"{FORMAT.decode()}. Materialise into another folder, or delete this one."
            )
        try:
            self._check_seal(sealed)
        except InputError:
            environment.close()
            raise
        environment.reader_check()
        return environment

    def _check_seal(self, sealed: bytes | None) -> None:
        if sealed is None and self.key_file is None:
            return
        if sealed is None:
            raise InputError(
                f"online store {self.path}: key_file is set in feature_store.yaml, and what is "
                "stored here is not encrypted. Delete the folder and materialise again, or take "
                "key_file out."
            )
        if self.key_file is None:
            raise InputError(
                f"online store {self.path}: what is stored here is encrypted, and feature_store."
                "yaml says no key_file. Put it back, or delete the folder and materialise again."
            )
        from profilestore.privacy.sealing import BrokenSealError

        seal = self.seal()
        assert seal is not None
        try:
            seal.open(_SEALED_KEY, sealed)
        except BrokenSealError:
            self._seal = None
            raise InputError(
                f"online store {self.path}: it was encrypted with another key than that of "
                f"{self.key_file}. Bring the right one back, or delete the folder and materialise "
                "again."
            ) from None

    def _is_in_use(self, opened: lmdb.Environment) -> bool:
        """Whether `current` names what is open, and that is still the same file."""
        name = self._named()
        return (
            name is not None
            and opened is self._opened
            and _identity(self.path / name / "data.mdb") == self._data
        )

    def _environ(self, folder: Path, *, create: bool) -> lmdb.Environment:
        return lmdb.open(
            str(folder),
            create=create,
            map_size=self._map_size,
            max_readers=_MOST_READERS,
            sync=self._sync,
            readahead=False,
        )

    def _first(self) -> None:
        """Make the first generation, whole before anyone can see it."""
        self.path.mkdir(parents=True, exist_ok=True)
        strange = [
            one.name
            for one in self.path.iterdir()
            # Another process may be the first, even now.
            if one.name != _CURRENT and not one.name.startswith("generation-")
        ]
        if strange:
            raise InputError(
                f"online store {self.path}: the folder holds other things "
                f"({', '.join(sorted(strange)[:3])}). Give it a folder of its own."
            )
        name = f"generation-{uuid.uuid4().hex}"
        folder = self.path / name
        try:
            folder.mkdir()
            environment = self._environ(folder, create=True)
            try:
                seal = self.seal()
                with environment.begin(write=True) as transaction:
                    transaction.put(_FORMAT_KEY, FORMAT)
                    if seal is not None:
                        transaction.put(_SEALED_KEY, seal.seal(_SEALED_KEY, _SEALED))
            finally:
                environment.close()
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        draft = self.path / f"generation-{name[-8:]}.draft"
        draft.write_text(name)
        try:
            # Fails when another process was first.
            os.link(draft, self._current)
        except FileExistsError:
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            draft.unlink()

    def _named(self) -> str | None:
        try:
            name = self._current.read_bytes().decode(errors="replace").strip()
        except FileNotFoundError:
            return None
        except NotADirectoryError:
            raise InputError(f"online store {self.path}: a folder is wanted.") from None
        if not name.startswith("generation-") or "/" in name:
            raise InputError(
                f"online store {self.path}: the file {_CURRENT} names no generation. "
                f"Delete the folder and materialise again."
            )
        return name

    def _point(self, name: str) -> None:
        draft = self.path / f"generation-{uuid.uuid4().hex}.draft"
        with draft.open("w") as file:
            file.write(name)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._current)

    @contextmanager
    def words(self) -> Iterator[None]:
        """LMDB's and the system's errors as sentences."""
        try:
            yield
        except lmdb.MapFullError as error:
            raise ProfilestoreError(
                f"online store {self.path}: it has reached its largest size of "
                f"{self._map_size / 2**30:.3g} GiB; nothing was written. Raise map_size_gib of "
                f"the online store in feature_store.yaml."
            ) from error
        except lmdb.MemoryError as error:
            raise ProfilestoreError(
                f"online store {self.path}: the system does not let this process reserve "
                f"{self._map_size / 2**30:.3g} GiB of addresses (ulimit -v?). Lower map_size_gib "
                f"of the online store in feature_store.yaml."
            ) from error
        except (lmdb.InvalidError, lmdb.VersionMismatchError, lmdb.CorruptedError) as error:
            raise InputError(
                f"online store {self.path}: its files are damaged or of another version of LMDB "
                f"({error}). Delete the folder and materialise again."
            ) from error
        except (lmdb.Error, OSError) as error:
            number = getattr(error, "errno", None) or _code(error)
            if number in (errno.EACCES, errno.EPERM, errno.EROFS):
                raise InputError(
                    f"online store {self.path}: no permission to write there; readers too write "
                    f"their lock file. Correct the permissions or the path in feature_store.yaml."
                ) from error
            # LMDB says EIO where a page went to disk only in part.
            if number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO):
                raise ProfilestoreError(
                    f"online store {self.path}: the disk is full, or fails ({error}); nothing was "
                    f"written. Make room and run it again."
                ) from error
            if number in (errno.ENOTDIR, errno.EEXIST):
                raise InputError(f"online store {self.path}: a folder is wanted.") from error
            raise ProfilestoreError(f"online store {self.path}: {error}") from error


class Snapshot:
    """What a transaction sees. A part is BATCH, LIVE, VIEWS or ENTITIES; keys are within it.

    Values are bytes: for records as short as these a copy costs less than a view of memory.
    """

    def __init__(self, transaction: lmdb.Transaction, generation: lmdb.Environment) -> None:
        self._transaction = transaction
        self._generation = generation

    @property
    def moment(self) -> tuple[object, int]:
        """What is the same for all that see the same: the generation, and its last commit."""
        return self._generation, self._transaction.id()

    def get(self, part: bytes, key: bytes) -> Any:
        """One value, None where there is none."""
        return self._transaction.get(part + key)

    def get_many(self, part: bytes, keys: Iterable[bytes]) -> list[Any]:
        """A value a key, None where there is none; quickest in key order."""
        get = self._transaction.get
        return [get(part + key) for key in keys]

    def get_whole(self, keys: Sequence[bytes]) -> list[Any]:
        """As `get_many`, of records whose keys begin with their part."""
        get = self._transaction.get
        return [get(key) for key in keys]

    def begin_with(self, part: bytes, prefix: bytes) -> Iterator[tuple[bytes, Any]]:
        """Keys that begin with `prefix`, in order, and their values."""
        begin = part + prefix
        with self._transaction.cursor() as cursor:
            if not cursor.set_range(begin):
                return
            for key, value in cursor:
                found = bytes(key)
                if not found.startswith(begin):
                    return
                yield found[1:], value

    def put_whole(self, items: Iterable[tuple[bytes, bytes]]) -> None:
        """Put each value under a key that begins with its part; quickest in key order."""
        with self._transaction.cursor() as cursor:
            cursor.putmulti(items)

    def put_many(self, part: bytes, items: Iterable[tuple[bytes, bytes]]) -> None:
        """Put each value; quickest in key order."""
        with self._transaction.cursor() as cursor:
            cursor.putmulti([(part + key, value) for key, value in items])

    def put(self, part: bytes, key: bytes, value: bytes) -> None:
        """Put one value."""
        self._transaction.put(part + key, value)

    def delete(self, part: bytes, keys: Iterable[bytes]) -> int:
        """Delete the keys; how many were there."""
        return sum(self._transaction.delete(part + key) for key in keys)


class SealedSnapshot(Snapshot):
    """As `Snapshot`, of a store whose records are sealed, each under its key."""

    def __init__(
        self, transaction: lmdb.Transaction, generation: lmdb.Environment, seal: Seal, path: Path
    ) -> None:
        super().__init__(transaction, generation)
        self._seal = seal
        self._path = path

    def get(self, part: bytes, key: bytes) -> Any:
        found = super().get(part, key)
        return found if found is None or part not in _RECORDS else self._opened(part + key, found)

    def get_many(self, part: bytes, keys: Iterable[bytes]) -> list[Any]:
        if part not in _RECORDS:
            return super().get_many(part, keys)
        return self.get_whole([part + key for key in keys])

    def get_whole(self, keys: Sequence[bytes]) -> list[Any]:
        get = self._transaction.get
        with self._refused():
            return self._seal.open_all(keys, [get(key) for key in keys])

    def begin_with(self, part: bytes, prefix: bytes) -> Iterator[tuple[bytes, Any]]:
        for key, value in super().begin_with(part, prefix):
            yield key, self._opened(part + key, value) if part in _RECORDS else value

    def put_whole(self, items: Iterable[tuple[bytes, bytes]]) -> None:
        super().put_whole(self._seal.seal_all(items))

    def put_many(self, part: bytes, items: Iterable[tuple[bytes, bytes]]) -> None:
        if part in _RECORDS:
            self.put_whole((part + key, value) for key, value in items)
        else:
            super().put_many(part, items)

    def put(self, part: bytes, key: bytes, value: bytes) -> None:
        super().put(part, key, self._seal.seal(part + key, value) if part in _RECORDS else value)

    def _opened(self, key: bytes, sealed: Any) -> bytes:
        with self._refused():
            return self._seal.open(key, sealed)

    @contextmanager
    def _refused(self) -> Iterator[None]:
        from profilestore.privacy.sealing import BrokenSealError

        try:
            yield
        except BrokenSealError as error:
            raise ProfilestoreError(
                f"online store {self._path}: the record of {said(error.name[1:])} is not what was "
                "written there: it was changed, cut or moved. Nothing is read of it; materialise "
                "again."
            ) from None


def database(path: Path, *, map_size: int, sync: bool, key_file: Path | None = None) -> Database:
    """The database of a folder; one a process, because LMDB allows no more.

    Raises:
        InputError: this process uses it with another key file.
    """
    with _lock:
        found = _databases.get(path)
        if found is None:
            found = _databases[path] = Database(path, map_size, sync, key_file)
        if found.key_file != key_file:
            raise InputError(
                f"online store {path}: this process uses it with key_file {found.key_file}, and "
                f"now with {key_file}: one folder has one key."
            )
        return found


def _after_fork() -> None:
    """A child must neither use its parent's environments nor leave them open."""
    global _lock
    _lock = threading.Lock()
    for inherited in _databases.values():
        inherited.close()
    _databases.clear()


os.register_at_fork(after_in_child=_after_fork)


def _remove(generation: Path) -> None:
    (generation / "data.mdb").unlink(missing_ok=True)
    # Another process that opens it just now may leave a lock file, which the next one removes.
    shutil.rmtree(generation, ignore_errors=True)


def _version(path: Path) -> tuple[int, int, int] | None:
    """Another value when the file has been replaced or written; None when there is none."""
    try:
        status = os.stat(path)  # noqa: PTH116 (at every read, and twice as fast)
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_mtime_ns


def _identity(path: Path) -> tuple[int, int] | None:
    """Another value when the file has been replaced; None when there is none."""
    version = _version(path)
    return None if version is None else version[:2]


def _code(error: BaseException) -> int | None:
    """The system's number in LMDB's text of an error."""
    text = str(error)
    for number in (
        errno.EACCES,
        errno.EPERM,
        errno.EROFS,
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EFBIG,
        errno.EIO,
        errno.ENOTDIR,
    ):
        if os.strerror(number) in text:
            return number
    return None
