"""What has to be on the disk before somebody is told that it is; a folder there whole or not."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

_CHUNK = 1 << 16
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# What libraries say that write by themselves: TensorFlow and DuckDB have the system's words, numpy
# says how many numbers were "requested and" how many written.
_SAID = (
    *(os.strerror(number) for number in _FULL),
    "disk is full",
    " requested and ",
    "Not enough free space",
)


def is_full(error: BaseException) -> bool:
    """Whether this says that a disk, or what somebody may have of it, is full."""
    if isinstance(error, OSError) and error.errno in _FULL:
        return True
    return any(words in str(error) for words in _SAID)


def free_bytes(path: Path) -> int:
    """How much room there is where a path lies, or would lie."""
    there = next(one for one in (path, *path.absolute().parents) if one.exists())
    return shutil.disk_usage(there).free


def to_disk(path: Path) -> None:
    """Wait until a file, or the names in a folder, would survive a loss of power."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def tree_to_disk(folder: Path) -> None:
    """`to_disk` of everything in a folder, and of itself."""
    for inner, _, files in os.walk(folder, topdown=False):
        for name in files:
            to_disk(Path(inner, name))
        to_disk(Path(inner))


def draft_of(folder: Path) -> Path:
    """Where to write what is to become `folder`."""
    return folder.with_name(f".{folder.name}.new")


def replace_folder(draft: Path, folder: Path) -> None:
    """Put `draft` in the place of `folder`, which a rename can only do with an empty one.

    A process that is killed between the two renames leaves no folder; `settle` brings the former
    one back. It also removes the former one when all is done.
    """
    if folder.exists():
        folder.rename(_former(folder))
    draft.rename(folder)
    to_disk(folder.parent)


def settle(folder: Path) -> None:
    """End what `replace_folder` began: with the new folder if it is there, or the former one."""
    former = _former(folder)
    if not former.exists():
        return
    if folder.exists():
        shutil.rmtree(former)
    else:
        former.rename(folder)


def settle_all(parent: Path) -> None:
    """`settle` of every folder in `parent`."""
    for former in parent.glob(".*.old"):
        settle(parent / former.name.removeprefix(".").removesuffix(".old"))


def _former(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.old")


def open_lines(path: Path) -> tuple[int, int]:
    """Open a file of lines to append to it, made with mode 0600 if it is not there; what a killed
    process left of a last line is cut off, on the disk.

    Returns:
        Its handle, and how many bytes it has.

    Raises:
        OSError: the disk refused; nothing is open.
    """
    is_new = not path.exists()
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        size = _whole_lines(handle)
        os.ftruncate(handle, size)
        os.fsync(handle)
        if is_new:
            to_disk(path.parent)
    except OSError:
        os.close(handle)
        raise
    return handle, size


def write_all(handle: int, data: bytes) -> None:
    """`os.write` until nothing is left."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(handle, rest) :]


def _whole_lines(handle: int) -> int:
    """How many bytes of a file are whole lines."""
    end = os.fstat(handle).st_size
    while end:
        start = max(0, end - _CHUNK)
        found = os.pread(handle, end - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0
