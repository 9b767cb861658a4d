"""Instants written all at once are those written one by one."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import orjson
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from profilestore.instants import from_micros, to_micros
from profilestore.online_store.instant_text import InstantTexts, instant_json

FIRST = to_micros(datetime(1, 1, 1, tzinfo=UTC))
LAST = to_micros(datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC))
# Of these the dates are looked up.
NEAR = to_micros(datetime(2106, 1, 1, tzinfo=UTC))
OF_NOW = st.one_of(
    st.integers(0, NEAR),
    st.integers(0, NEAR // 1_000).map(lambda at: at * 1_000),
    st.integers(0, NEAR // 1_000_000).map(lambda at: at * 1_000_000),
)
INSTANTS = st.one_of(
    st.integers(FIRST, LAST),
    st.integers(FIRST // 1_000, LAST // 1_000).map(lambda at: at * 1_000),
    st.integers(FIRST // 1_000_000, LAST // 1_000_000).map(lambda at: at * 1_000_000),
)


def by_protobuf(micros: int) -> str:
    message = Timestamp()
    message.FromDatetime(from_micros(micros).replace(tzinfo=None))
    return str(message.ToJsonString())


@given(
    st.one_of(*(st.lists(one, min_size=1, max_size=40) for one in (OF_NOW, INSTANTS))), st.data()
)
def test_any_instants_are_as_protobuf_writes_them(instants: list[int], data: st.DataObject) -> None:
    begin = data.draw(st.integers(0, len(instants) - 1))
    end = data.draw(st.integers(begin + 1, len(instants)))
    written = InstantTexts(np.array(instants, np.int64)).json(begin, end)
    assert orjson.loads(written) == [by_protobuf(one) for one in instants[begin:end]]


@given(INSTANTS)
def test_one_instant_is_as_protobuf_writes_it(at: int) -> None:
    assert orjson.loads(instant_json(at)) == by_protobuf(at)


@pytest.mark.parametrize("unit", [1, 1_000, 1_000_000])
def test_instants_of_one_kind(unit: int) -> None:
    instants = np.arange(-50, 50, dtype=np.int64) * (987_654_321_987_654 // unit) * unit
    written = orjson.loads(InstantTexts(instants).json(0, len(instants)))
    assert written == [by_protobuf(one) for one in instants.tolist()]


@pytest.mark.parametrize("at", [FIRST, LAST, -1, 0, 1, 951_782_400_000_000, 4_107_542_399_999_999])
def test_the_ends_of_years_and_of_time(at: int) -> None:
    assert orjson.loads(InstantTexts(np.array([at], np.int64)).json(0, 1)) == [by_protobuf(at)]
