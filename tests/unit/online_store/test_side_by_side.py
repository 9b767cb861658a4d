"""Records that are read side by side are those that are read schema by schema."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profilestore.online_store.record import FIXED, MANY, Schema, Stamp, listed
from profilestore.online_store.side_by_side import SideBySide

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "BOOL": st.booleans(),
    "INT32": st.integers(-(2**31), 2**31 - 1),
    "INT64": st.integers(-(2**63), 2**63 - 1),
    "FLOAT": st.floats(width=32, allow_nan=False),
    "DOUBLE": st.floats(allow_nan=False),
    "UNIX_TIMESTAMP": st.integers(-(2**40), 2**40),
}
INSTANTS = st.integers(-(2**60), 2**60)


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[Schema], list[list[tuple[str, str]]], list[list[bytes]]]:
    """Schemas, the features asked of each, and entity by entity a record of each schema."""
    schemas = []
    for _ in range(draw(st.integers(1, 4))):
        kinds = draw(st.lists(st.sampled_from(sorted(FIXED)), min_size=1, max_size=10))
        schemas.append(Schema(tuple((f"f{n}", kind) for n, kind in enumerate(kinds))))
    wanted = [draw(st.lists(st.sampled_from(schema.features), unique=True)) for schema in schemas]
    records = [
        [
            schema.pack(
                Stamp(draw(INSTANTS), draw(INSTANTS), draw(INSTANTS)),
                draw(st.integers(0, 9)),
                0,
                [draw(VALUES[kind]) for _, kind in schema.features],
            )
            for schema in schemas
        ]
        for _ in range(draw(st.sampled_from([1, 2, MANY - 1, MANY, MANY + 1])))
    ]
    return schemas, wanted, records


@given(tables())
def test_it_is_what_each_schema_reads(table: Any) -> None:
    schemas, wanted, records = table
    found = SideBySide(schemas, wanted).read([one for row in records for one in row], len(records))
    assert found is not None
    for n, (schema, features) in enumerate(zip(schemas, wanted, strict=True)):
        alone = schema.read([row[n] for row in records], features)
        assert found[n].has_all
        assert alone.has_all
        for ours, theirs in zip(found[n][:4], alone[:4], strict=True):
            assert list(listed(ours)) == list(listed(theirs))
        assert [list(listed(one)) for one in found[n].columns] == [
            list(listed(one)) for one in alone.columns
        ]


@pytest.mark.parametrize("rows", [1, 3, MANY, 50])
@pytest.mark.parametrize("at", ["first", "last"])
def test_what_is_not_there_is_left_to_each_schema(rows: int, at: str) -> None:
    schemas = [Schema((("a", "INT64"),)), Schema((("b", "DOUBLE"), ("c", "BOOL")))]
    together = SideBySide(schemas, [schema.features for schema in schemas])

    def record(n: int, *values: Any) -> bytes:
        return schemas[n].pack(Stamp(1, 2, 3), 1, 0, values)

    whole: list[Any] = [record(0, 1), record(1, 0.5, True)] * rows
    assert together.read(whole, rows) is not None
    place = 0 if at == "first" else -1
    null = record(0, None) if at == "first" else record(1, 0.5, None)
    for missing in (None, null):
        some = list(whole)
        some[place] = missing
        assert together.read(some, rows) is None
