"""The folder of a simulation: there whole, or not at all."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from profilestore.disk import draft_of, replace_folder, settle, tree_to_disk
from profilestore.errors import InputError

ABOUT = "simulation.json"


def already_there(out: Path, arguments: dict[str, Any], *, force: bool) -> dict[str, Any] | None:
    """What `simulation.json` in `out` says if it is this simulation; None if it may be written.

    Raises:
        InputError: something is there that must not be written over.
    """
    if not out.exists() and not out.is_symlink():
        return None
    if not out.is_dir():
        raise InputError(f"{out}: this is a file; needed a folder that is empty or not there yet.")
    if not any(out.iterdir()):
        return None
    try:
        found = json.loads((out / ABOUT).read_text(encoding="utf-8"))
        there = dict(found["arguments"])
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(
            f"{out}: the folder is not empty and holds no simulation, so it stays as it is. "
            "Name another folder."
        ) from None
    if there == arguments:
        return dict(found)
    if force:
        return None
    other = ", ".join(f"{name} {there.get(name)}" for name in arguments)
    raise InputError(
        f"{out}: here is a simulation with other arguments ({other}). "
        "Name another folder, or give --force to write over it."
    )


@contextmanager
def claimed(out: Path) -> Iterator[Path]:
    """An empty folder beside `out` to write to, for this process alone; `publish` it at the end.

    Raises:
        InputError: another process is at it, or the disk refused.
    """
    beside = draft_of(out)
    try:
        beside.mkdir(parents=True, exist_ok=True)
        handle = os.open(beside, os.O_RDONLY)
        try:
            _lock(handle, out)
            settle(out)
            for left in beside.iterdir():
                shutil.rmtree(left) if left.is_dir() else left.unlink()
            try:
                yield beside
            finally:
                # Once published, the name is free for another process.
                if beside.exists() and os.path.samestat(beside.stat(), os.fstat(handle)):
                    shutil.rmtree(beside)
        finally:
            os.close(handle)
    except OSError as error:
        raise InputError(
            f"{out}: the simulation could not be written: {error.strerror or error}. Nothing was "
            "changed. Free some space, or name a folder that can be written to."
        ) from None


def publish(beside: Path, out: Path) -> None:
    """Put a finished folder in the place of `out`."""
    tree_to_disk(beside)
    replace_folder(beside, out)
    settle(out)


def write_json(path: Path, value: dict[str, Any]) -> None:
    """A JSON file, in the order of `value`."""
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _lock(handle: int, out: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise InputError(
            f"{out}: another process is writing this simulation; wait for it."
        ) from None
