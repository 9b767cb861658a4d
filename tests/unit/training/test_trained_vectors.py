"""A model's vectors in the lake: all of a training, or none."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from profilestore import lake
from profilestore.encoding import Feature, plan
from profilestore.errors import ProfilestoreError
from profilestore.settings import Settings
from training import trained_vectors
from training.config import TrainConfig
from training.trained_vectors import write_vectors

NOW = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
PEOPLE = [f"u-{n}" for n in range(5)]
DATASET = SimpleNamespace(
    query_encoding=plan([Feature("v", "clicks", "user", "number")], "user"),
    vocabularies={},
    item_ids=["i1", "i2"],
)
ITEMS = np.array([[1, 2], [3, 4]], np.float32)


class Store:
    """Everybody has clicked as often as their number says."""

    def keys(self, service: str, entity: str) -> list[str]:
        return list(PEOPLE)

    def training_frame(
        self, service: str, spine: pa.Table, *, columns: list[str]
    ) -> Iterator[pa.RecordBatch]:
        clicks = [int(name[2:]) for name in spine["user_id"].to_pylist()]
        frame = spine.append_column("v__clicks", pa.array(clicks, pa.int64()))
        yield from frame.to_batches()


def tower(inputs: dict[str, np.ndarray], training: bool = False) -> np.ndarray:
    return inputs["numbers"].astype(np.float32)


@pytest.fixture
def home(tmp_path) -> Settings:
    settings = Settings(home=tmp_path)
    settings.lake_catalog.parent.mkdir(parents=True)
    with lake.connect() as connection:
        connection.execute(
            f"ATTACH 'ducklake:sqlite:{settings.lake_catalog}' AS lake "
            f"(DATA_PATH '{settings.lake_files}/')"
        )
        for entity in ("user", "item"):
            connection.execute(
                f"CREATE TABLE lake.trained_{entity}_vectors ({entity}_id VARCHAR, "
                "event_timestamp TIMESTAMPTZ, loaded_at TIMESTAMPTZ, vector FLOAT[], model VARCHAR)"
            )
    return settings


def write(settings: Settings, version: str) -> None:
    write_vectors(
        settings,
        Store(),  # type: ignore[arg-type]
        TrainConfig(),
        DATASET,  # type: ignore[arg-type]
        tower,  # type: ignore[arg-type]
        ITEMS,
        version,
        NOW,
    )


def rows(settings: Settings, entity: str) -> list[Any]:
    with lake.connect() as connection:
        lake.attach_lake(connection, settings.lake_catalog, settings.lake_files)
        return connection.execute(
            f"SELECT {entity}_id, vector, model, event_timestamp, loaded_at "
            f"FROM lake.trained_{entity}_vectors ORDER BY model, {entity}_id"
        ).fetchall()


def test_everybody_and_everything_is_there_once_for_each_model(
    home: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trained_vectors, "_PEOPLE", 2)
    write(home, "v1")
    write(home, "v2")
    people = rows(home, "user")
    assert [(row[0], row[2]) for row in people] == [
        (name, version) for version in ("v1", "v2") for name in PEOPLE
    ]
    assert people[3][1] == pytest.approx([np.log1p(3), 1.0])
    assert {row[3:] for row in people} == {(NOW, NOW)}
    assert [row[:3] for row in rows(home, "item")][:2] == [
        ("i1", [1.0, 2.0], "v1"),
        ("i2", [3.0, 4.0], "v1"),
    ]


def test_a_training_that_fails_half_way_leaves_nothing(
    home: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(home, "v1")
    before = rows(home, "user")
    own = trained_vectors._append

    def fails(connection: Any, table: str, *rest: Any) -> None:
        if table == trained_vectors.ITEMS:
            raise RuntimeError("killed")
        own(connection, table, *rest)

    monkeypatch.setattr(trained_vectors, "_append", fails)
    with pytest.raises(RuntimeError):
        write(home, "v2")
    assert rows(home, "user") == before


def test_a_lake_of_an_older_checkout_says_what_to_run(home: Settings) -> None:
    with lake.connect() as connection:
        lake.attach_lake(connection, home.lake_catalog, home.lake_files, writable=True)
        connection.execute("DROP TABLE lake.trained_item_vectors")
    with pytest.raises(ProfilestoreError, match=r"Run `make build`, then `python -m training exp"):
        write(home, "v1")
    assert rows(home, "user") == []
