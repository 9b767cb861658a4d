"""Writing vectors back: what the lake refuses is said by what it is."""

from __future__ import annotations

import errno
from pathlib import Path
from types import SimpleNamespace

import duckdb
import numpy as np
import pytest

from profilestore import lake
from profilestore.errors import ProfilestoreError
from profilestore.settings import Settings
from training.config import TrainConfig
from training.trained_vectors import write_vectors


def write(home: Path, refusal: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses() -> None:
        raise refusal

    monkeypatch.setattr(lake, "connect", refuses)
    nobody = SimpleNamespace(keys=lambda service, entity: [])
    nothing = np.zeros((0, 2), np.float32)
    write_vectors(Settings(home), nobody, TrainConfig(), None, None, nothing, "v1", None)


def test_a_full_disk_is_the_bundles_to_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who makes the bundle removes it then, and says where there was no room."""
    refusal = duckdb.IOException('Could not write file "a.parquet": No space left on device')
    with pytest.raises(OSError, match="No space left") as caught:
        write(tmp_path, refusal, monkeypatch)
    assert caught.value.errno == errno.ENOSPC
    assert caught.value.filename == str(Settings(tmp_path).lake_files)


def test_a_lake_that_others_write_to_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ProfilestoreError, match=r"database is locked.* Wait for a build"):
        write(tmp_path, duckdb.Error("database is locked"), monkeypatch)
