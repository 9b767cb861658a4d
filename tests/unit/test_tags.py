"""Counting who has which tag."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from profilestore.encoding import Feature
from profilestore.errors import MissingStageError
from profilestore.settings import Settings
from profilestore.tags import LEAST_HOLDERS, Tag, Tags, count_holders, tag_columns

COLUMN = "user_interests__categories"
NAMES = st.none() | st.lists(st.none() | st.sampled_from("abc"), max_size=4)


@given(st.lists(st.lists(NAMES, max_size=9), max_size=4))
def test_each_person_counts_once_and_few_are_not_told(groups) -> None:
    kind = pa.list_(pa.string())
    batches = [pa.record_batch({COLUMN: pa.array(group, kind)}) for group in groups]
    true = Counter(
        name for group in groups for names in group for name in {*(names or ())} - {None}
    )
    found = count_holders(batches, [COLUMN])
    assert {tag.name: tag.holders for tag in found} == {
        name: count if count >= LEAST_HOLDERS else None for name, count in true.items()
    }
    told = [tag.holders for tag in found]
    assert told == sorted(told, key=lambda holders: -(holders or 0))
    few = [tag.name for tag in found if tag.holders is None]
    assert few == sorted(few), "the order does not tell either"


def test_tags_are_names_with_evidence_beside_them() -> None:
    features = [
        Feature("user_interests", "categories", "user", "list_of_text"),
        Feature("user_interests", "shares", "user", "list_of_number"),
        Feature("user_interests", "event_counts", "user", "list_of_number"),
        Feature("user_history", "item_ids", "user", "list_of_text"),
        Feature("item_attributes", "categories", "item", "list_of_text"),
    ]
    assert tag_columns(features) == [COLUMN]


def test_what_is_written_is_what_is_read(tmp_path) -> None:
    settings = Settings(home=tmp_path)
    settings.online.mkdir(parents=True)
    tags = Tags(datetime(2026, 3, 1, tzinfo=UTC), [Tag("Drama", COLUMN, 7), Tag("x", COLUMN, None)])
    tags.write(settings)
    assert Tags.read(settings) == tags
    assert [file.name for file in settings.online.iterdir()] == ["tags.json"]


def test_not_counted_yet(tmp_path) -> None:
    with pytest.raises(MissingStageError, match="make materialize"):
        Tags.read(Settings(home=tmp_path))
