"""A full disk is known by whoever says so, and nothing else is one."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

import duckdb
import pytest

from profilestore.disk import free_bytes, is_full


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), True),
        (OSError(errno.EDQUOT, "over the quota"), True),
        (OSError("No space left on device; variables.data-00000-of-00001"), True),  # TensorFlow
        (OSError("Not enough free space to write 800 bytes"), True),  # numpy
        (OSError("1160448 requested and 458720 written"), True),  # numpy
        (duckdb.IOException('Could not write file "x": No space left on device'), True),
        (duckdb.Error("Failed to commit: database or disk is full"), True),
        (PermissionError(errno.EACCES, "Permission denied"), False),
        (duckdb.Error("database is locked"), False),
    ],
)
def test_a_full_disk_is_known(error: Exception, full: bool) -> None:
    assert is_full(error) is full


def test_room_is_that_of_where_a_file_would_be(tmp_path: Path) -> None:
    wanted = shutil.disk_usage(tmp_path).free
    assert free_bytes(tmp_path / "not" / "there") == pytest.approx(wanted, rel=0.1)
