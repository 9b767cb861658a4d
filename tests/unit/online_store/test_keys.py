"""Keys built without messages are Feast's own serialisation."""

from __future__ import annotations

import pyarrow as pa
import pytest
from feast.infra.key_encoding_utils import serialize_entity_key
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from feast.value_type import ValueType
from hypothesis import given, settings
from hypothesis import strategies as st

from profilestore.online_store.columns import between, entities
from profilestore.online_store.keys import (
    LONGEST,
    entity_bytes,
    entity_key,
    head_bytes,
    is_digest,
    key_builder,
    short,
    text_key,
)

TYPES = {
    "STRING": (st.text(max_size=12), pa.string()),
    "BYTES": (st.binary(max_size=12), pa.binary()),
    "INT32": (st.integers(-(2**31), 2**31 - 1), pa.int32()),
    "INT64": (st.integers(-(2**63), 2**63 - 1), pa.int64()),
    "UNIX_TIMESTAMP": (st.integers(-(2**63), 2**63 - 1), pa.int64()),
}


@st.composite
def keys(draw, kinds=tuple(TYPES)):
    """Some join keys, and rows of values in their order."""
    names = draw(
        st.lists(st.text("abéü_1", min_size=1, max_size=4), min_size=1, max_size=3, unique=True)
    )
    join_keys = [(name, draw(st.sampled_from(kinds))) for name in names]
    row = st.tuples(*(TYPES[kind][0] for _, kind in join_keys))
    return join_keys, draw(st.lists(row, min_size=1, max_size=4))


def expected(join_keys, row):
    message = EntityKey(
        join_keys=[name for name, _ in join_keys],
        entity_values=[
            Value(**{f"{kind.lower()}_val": value})
            for (_, kind), value in zip(join_keys, row, strict=True)
        ],
    )
    return serialize_entity_key(message, entity_key_serialization_version=3)


@settings(deadline=None)
@given(keys(("STRING", "INT32", "INT64", "UNIX_TIMESTAMP")))
def test_a_key_built_from_values_is_feasts(drawn):
    join_keys, rows = drawn
    build = key_builder(tuple(join_keys))
    for row in rows:
        assert build(row) == expected(join_keys, row)
        assert build(row).startswith(head_bytes([name for name, _ in join_keys]))


@settings(deadline=None)
@given(keys())
def test_keys_built_a_column_at_a_time_are_feasts(drawn):
    join_keys, rows = drawn
    columns = {
        name: pa.array([row[n] for row in rows], TYPES[kind][1])
        for n, (name, kind) in enumerate(join_keys)
    }
    found = entities([(name, ValueType[kind]) for name, kind in join_keys], columns)
    assert found.to_pylist() == [expected(join_keys, row) for row in rows]
    assert between(b"a", found, b"\x00end").to_pylist() == [
        b"a" + expected(join_keys, row) + b"\x00end" for row in rows
    ]
    for key, row in zip(found.to_pylist(), rows, strict=True):
        message = entity_key(key)
        assert entity_bytes(message) == key
        assert dict(zip(message.join_keys, message.entity_values, strict=True)) == {
            name: Value(**{f"{kind.lower()}_val": value})
            for (name, kind), value in zip(join_keys, row, strict=True)
        }


@settings(deadline=None)
@given(keys(), st.randoms())
def test_the_order_of_the_join_keys_does_not_matter(drawn, random):
    join_keys, rows = drawn
    order = list(range(len(join_keys)))
    random.shuffle(order)
    columns = {
        name: pa.array([row[n] for row in rows], TYPES[kind][1])
        for n, (name, kind) in enumerate(join_keys)
    }
    shuffled = [(join_keys[n][0], ValueType[join_keys[n][1]]) for n in order]
    assert entities(shuffled, columns).to_pylist() == [expected(join_keys, row) for row in rows]


def test_one_text_key():
    assert text_key("user_id")("né") == expected([("user_id", "STRING")], ["né"])


@pytest.mark.parametrize("kind", ["BYTES", "DOUBLE", "BOOL"])
def test_other_types_need_feasts_own_way(kind):
    assert key_builder((("k", kind),)) is None
    assert key_builder((("a", "INT64"), ("k", kind))) is None


def test_a_key_that_is_too_long_is_stored_as_its_digest():
    """LMDB has keys of at most 511 bytes."""
    build = text_key("k")
    overhead = len(build(""))
    fits, over = build("x" * (LONGEST - overhead)), build("x" * (LONGEST - overhead + 1))
    assert short(fits) is fits
    assert not is_digest(fits)
    assert is_digest(short(over))
    assert len(short(over)) < LONGEST
    assert short(over) != short(build("y" * (LONGEST - overhead + 1)))
