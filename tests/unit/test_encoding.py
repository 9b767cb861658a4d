"""Encoding on Arrow columns is what the table in its docstring says, row by row."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from profilestore.encoding import (
    LIST_LENGTH,
    Encoding,
    Feature,
    Vocabulary,
    plan,
    vocabularies_from_json,
    vocabularies_to_json,
)
from profilestore.errors import ProfilestoreError

KNOWN = {"item": ["a", "b", "c", "ü"], "category": ["Comedy", "Drama"]}
VOCABULARIES = {name: Vocabulary(name, values) for name, values in KNOWN.items()}

ENCODING = Encoding(
    entity="user",
    numbers=("count", "mean", "flag", "price"),
    ages=("last_at",),
    ids={"language": "category"},
    id_lists={"items": "item", "categories": "category"},
    weights={"categories": "shares"},
    left_out={},
    vectors={"content": 3},
)
TYPES = {
    "count": pa.int64(),
    "mean": pa.float64(),
    "flag": pa.bool_(),
    "price": pa.decimal128(18, 4),
    "last_at": pa.timestamp("us", tz="UTC"),
    "language": pa.string(),
    "items": pa.list_(pa.string()),
    "categories": pa.list_(pa.string()),
    "shares": pa.list_(pa.float64()),
    "content": pa.list_(pa.float32()),
}

ODD = st.sampled_from([math.nan, math.inf, -math.inf, 0.0, -0.0, 1e-300, -1e300])
TIMES = st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1)).map(
    lambda at: at.replace(tzinfo=UTC)
)


def lists_of(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Short ones, and some longer than what is kept."""
    short = st.lists(values, max_size=4)
    long = st.builds(lambda part, n: (part * n)[:130], st.lists(values, min_size=3), st.just(30))
    return st.none() | short | long


ROW = st.fixed_dictionaries(
    {
        "count": st.none() | st.integers(-(2**63), 2**63 - 1),
        "mean": st.none() | ODD | st.floats(),
        "flag": st.none() | st.booleans(),
        "price": st.none() | st.decimals(-(10**13), 10**13, places=4),
        "last_at": st.none() | TIMES,
        "language": st.none() | st.sampled_from(["Comedy", "Drama", "drama", "", "item"]),
        "items": lists_of(st.none() | st.sampled_from(["a", "b", "ü", "new", ""])),
        "categories": lists_of(st.none() | st.sampled_from(["Drama", "Western"])),
        "shares": lists_of(st.none() | ODD.filter(lambda x: abs(x) != 1e300) | st.floats(-9, 9)),
        "content": st.none()
        | st.lists(
            st.none() | st.sampled_from([math.nan, math.inf]) | st.floats(-9, 9, width=32),
            min_size=3,
            max_size=3,
        ),
    }
)
ROWS = st.lists(st.tuples(ROW, TIMES), min_size=1, max_size=6)


def number(value: Any) -> list[float]:
    """A value and its presence: `sign(x) log(1 + |x|)`."""
    if value is None or not math.isfinite(value):
        return [0.0, 0.0]
    return [math.copysign(math.log1p(abs(float(value))), float(value)), 1.0]


def age_days(at: datetime | None, asked_at: datetime) -> float | None:
    return None if at is None else (asked_at - at) / timedelta(days=1)


def identify(text: str | None, vocabulary: str) -> int:
    if text is None:
        return 0
    return KNOWN[vocabulary].index(text) + 2 if text in KNOWN[vocabulary] else 1


def padded(values: Sequence[Any] | None, of: Callable[[Any], float]) -> list[float]:
    kept = [of(value) for value in (values or [])[:50]]
    return kept + [0] * (50 - len(kept))


def reference(row: Mapping[str, Any], asked_at: datetime) -> dict[str, list[float] | int]:
    """One row of `ENCODING`, slowly."""
    numbers = [number(row[name]) for name in ("count", "mean", "flag", "price")]
    numbers.append(number(age_days(row["last_at"], asked_at)))
    return {
        "numbers": [one for pair in numbers for one in pair],
        "language": identify(row["language"], "category"),
        "items": padded(row["items"], lambda text: identify(text, "item")),
        "categories": padded(row["categories"], lambda text: identify(text, "category")),
        "categories__weights": padded(
            row["shares"], lambda x: 0 if x is None or not math.isfinite(x) else x
        ),
        "content": [
            0.0 if x is None or not math.isfinite(x) else x for x in row["content"] or [None] * 3
        ],
    }


def as_columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, pa.Array]:
    return {name: pa.array([row[name] for row in rows], kind) for name, kind in TYPES.items()}


def micros(times: Sequence[datetime]) -> np.ndarray:
    return pa.array(times, pa.timestamp("us", tz="UTC")).cast(pa.int64()).to_numpy()


def same(found: Mapping[str, np.ndarray], wanted: Mapping[str, np.ndarray]) -> None:
    assert found.keys() == wanted.keys()
    for name in wanted:
        assert found[name].dtype == wanted[name].dtype, name
        np.testing.assert_array_equal(found[name], wanted[name], err_msg=name)


def check(found: Mapping[str, np.ndarray], rows: Sequence[tuple[Mapping, datetime]]) -> None:
    """Arrays against the reference: integers exactly, floats to single precision."""
    assert {name: array.dtype for name, array in found.items()} == {
        "numbers": np.dtype(np.float32),
        "language": np.dtype(np.int32),
        "items": np.dtype(np.int32),
        "categories": np.dtype(np.int32),
        "categories__weights": np.dtype(np.float32),
        "content": np.dtype(np.float32),
    }
    wanted = [reference(row, asked_at) for row, asked_at in rows]
    for name, array in found.items():
        expected = np.array([one[name] for one in wanted], np.float64)
        assert array.shape == expected.shape, name
        np.testing.assert_allclose(array, expected, rtol=1e-6, atol=1e-7, err_msg=name)


@given(rows=ROWS)
def test_columns_are_encoded_as_row_by_row(rows: list[tuple[dict[str, Any], datetime]]) -> None:
    columns = as_columns([row for row, _ in rows])
    found = ENCODING.encode(columns, micros([at for _, at in rows]), VOCABULARIES)
    check(found, rows)


@given(rows=ROWS)
def test_one_row_of_plain_values_is_that_row_of_the_columns(
    rows: list[tuple[dict[str, Any], datetime]],
) -> None:
    """Training encodes columns and serving a row: a difference would be a silent skew."""
    columns = as_columns([row for row, _ in rows])
    found = ENCODING.encode(columns, micros([at for _, at in rows]), VOCABULARIES)
    for position, (row, asked_at) in enumerate(rows):
        one = ENCODING.encode_row(row, asked_at, VOCABULARIES)
        same(one, {name: array[[position]] for name, array in found.items()})


@given(rows=ROWS, cuts=st.lists(st.integers(0, 6), max_size=2), before=ROWS)
def test_slices_and_combined_chunks_are_encoded_alike(
    rows: list[tuple[dict[str, Any], datetime]],
    cuts: list[int],
    before: list[tuple[dict[str, Any], datetime]],
) -> None:
    plain = as_columns([row for row, _ in rows])
    asked = micros([at for _, at in rows])
    wanted = ENCODING.encode(plain, asked, VOCABULARIES)
    # Slices of a longer array keep its buffers and an offset.
    longer = as_columns([row for row, _ in [*before, *rows, *before]])
    sliced = {name: array.slice(len(before), len(rows)) for name, array in longer.items()}
    same(ENCODING.encode(sliced, asked, VOCABULARIES), wanted)
    ends = [0, *sorted(min(cut, len(rows)) for cut in cuts), len(rows)]
    chunked = {
        name: pa.chunked_array(
            [array.slice(a, b - a) for a, b in pairwise(ends)], array.type
        ).combine_chunks()
        for name, array in plain.items()
    }
    same(ENCODING.encode(chunked, asked, VOCABULARIES), wanted)


def test_a_null_list_that_hides_values_is_empty() -> None:
    """Arrow lets a null have a length underneath; its values are nobody's."""
    items = pa.ListArray.from_arrays(
        pa.array([0, 2, 4, 5], pa.int32()),
        pa.array(["a", "b", "c", "c", "a"]),
        mask=pa.array([False, True, False]),
    )
    only_items = Encoding("user", (), (), {}, {"items": "item"}, {}, {})
    found = only_items.encode({"items": items}, np.zeros(3, np.int64), VOCABULARIES)["items"]
    assert found[:, :3].tolist() == [[2, 3, 0], [0, 0, 0], [2, 0, 0]]
    assert found.shape == (3, LIST_LENGTH)


def test_no_rows_are_no_rows() -> None:
    found = ENCODING.encode(as_columns([]), np.array([], np.int64), VOCABULARIES)
    assert {name: array.shape for name, array in found.items()} == {
        "numbers": (0, 10),
        "language": (0,),
        "items": (0, 50),
        "categories": (0, 50),
        "categories__weights": (0, 50),
        "content": (0, 3),
    }


def test_a_vector_of_another_length_is_refused_and_named() -> None:
    columns = as_columns([]) | {"content": pa.array([[1.0] * 3, None, [1.0] * 4], TYPES["content"])}
    only = Encoding("user", (), (), {}, {}, {}, {}, vectors={"content": 3})
    with pytest.raises(ProfilestoreError, match=r"content: found a vector of 4 numbers, needed 3"):
        only.encode(columns, np.zeros(3, np.int64), VOCABULARIES)


def test_an_absent_value_of_a_row_is_null() -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    nulls = dict.fromkeys(TYPES)
    same(ENCODING.encode_row({}, at, VOCABULARIES), ENCODING.encode_row(nulls, at, VOCABULARIES))


def test_a_microsecond_is_not_rounded_away() -> None:
    ages = Encoding("user", (), ("last_at",), {}, {}, {}, {})
    at = datetime(2026, 1, 1, 0, 0, 0, 1, tzinfo=UTC)
    found = ages.encode_row({"last_at": at - timedelta(microseconds=1)}, at, {})["numbers"]
    assert found[0].tolist() == [pytest.approx(1 / 86_400_000_000, rel=1e-6), 1.0]


@given(
    known=st.lists(st.text(max_size=3), unique=True, max_size=6),
    asked=st.lists(st.none() | st.text(max_size=3), max_size=12),
)
def test_ids_are_places_in_the_vocabulary(known: list[str], asked: list[str | None]) -> None:
    vocabulary = Vocabulary("v", known)
    assert len(vocabulary) == len(known) + 2
    found = vocabulary.ids(pa.array(asked, pa.string()))
    assert found.tolist() == [
        0 if text is None else known.index(text) + 2 if text in known else 1 for text in asked
    ]
    assert found.max(initial=0) < len(vocabulary)


@given(
    texts=st.lists(st.none() | st.text(max_size=3)),
    lists=st.lists(st.none() | st.lists(st.none() | st.text(max_size=3), max_size=4)),
)
def test_a_vocabulary_of_columns_is_what_they_hold_sorted(
    texts: list[str | None], lists: list[list[str | None] | None]
) -> None:
    columns = [pa.array(texts, pa.string()), pa.array(lists, pa.list_(pa.string()))]
    held = {*texts, *(text for one in lists for text in one or [])} - {None}
    assert Vocabulary("v", []).grown(columns).values == sorted(held)
    some = Vocabulary("v", sorted(held)[::-2])
    assert some.grown(columns).values[: len(some.values)] == some.values
    assert sorted(some.grown(columns).values) == sorted(held)


VALUES = st.lists(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=5), unique=True, max_size=5
)


@given(st.dictionaries(st.text(max_size=5), VALUES))
def test_vocabularies_come_back_from_json(vocabularies: dict[str, list[str]]) -> None:
    text = vocabularies_to_json({n: Vocabulary(n, v) for n, v in vocabularies.items()})
    back = vocabularies_from_json(text)
    assert {name: (one.name, one.values) for name, one in back.items()} == {
        name: (name, values) for name, values in vocabularies.items()
    }


def feature(name: str, kind: str, entity: str = "user", view: str = "v", **tags: str) -> Feature:
    return Feature(view, name, entity, kind, tags=tags)


EVERY_RULE = [
    feature("clicks", "number"),
    feature("seen_at", "timestamp"),
    feature("mean", "number", unit="seconds"),
    feature("language", "text", vocabulary="language"),
    feature("items", "list_of_text", vocabulary="item"),
    feature("categories", "list_of_text", vocabulary="category"),
    feature("shares", "list_of_number", weights_of="categories"),
    feature("title", "text"),
    feature("kinds", "list_of_text"),
    feature("times", "list_of_number"),
    feature("content", "list_of_number", vector="128"),
    feature("picture", "other"),
    feature("flags", "other", vocabulary="x"),
    feature("sold", "number", entity="item"),
]


def test_plan_follows_the_table() -> None:
    assert plan(EVERY_RULE, "user") == Encoding(
        entity="user",
        numbers=("v__clicks", "v__mean"),
        ages=("v__seen_at",),
        ids={"v__language": "language"},
        id_lists={"v__items": "item", "v__categories": "category"},
        weights={"v__categories": "v__shares"},
        left_out={
            "v__title": "text without a vocabulary",
            "v__kinds": "text without a vocabulary",
            "v__times": "a list_of_number",
            "v__picture": "a other",
            "v__flags": "a other",
        },
        vectors={"v__content": 128},
    )
    assert plan(EVERY_RULE, "item").numbers == ("v__sold",)
    assert plan([], "user").columns == []


@pytest.mark.parametrize("said", ["0", "-1", "long", "1.5"])
def test_a_vector_without_a_length_is_refused(said: str) -> None:
    with pytest.raises(ProfilestoreError, match=rf"v__content: its tag vector is {said}, needed"):
        plan([feature("content", "list_of_number", vector=said)], "user")


def test_a_missing_number_is_its_declared_default_and_is_still_missing() -> None:
    declared = [
        feature("clicks", "number", default="3"),
        feature("is_new", "number", default="true"),
        feature("mean", "number"),
    ]
    planned = plan(declared, "user")
    assert planned.defaults == {"v__clicks": 3.0, "v__is_new": 1.0}
    assert Encoding.from_json(json.loads(json.dumps(planned.to_json()))) == planned
    at = datetime(2026, 1, 1, tzinfo=UTC)
    columns = {
        "v__clicks": pa.array([None, 0], pa.int64()),
        "v__is_new": pa.array([None, False], pa.bool_()),
        "v__mean": pa.array([None, 2.0], pa.float64()),
    }
    numbers = planned.encode(columns, micros([at, at]), {})["numbers"]
    log = {value: pytest.approx(math.log1p(value)) for value in (1, 2, 3)}
    assert numbers.tolist() == [[log[3], 0, log[1], 0, 0, 0], [0, 1, 0, 1, log[2], 1]]
    same(planned.encode_row({}, at, {}), {"numbers": numbers[:1]})


def test_an_encoding_of_before_defaults_is_read() -> None:
    said = plan(EVERY_RULE, "user").to_json()
    del said["defaults"]
    assert Encoding.from_json(said) == plan(EVERY_RULE, "user")


@pytest.mark.parametrize("said", ["", "none", "[0]", "null", '"a"', "NaN", "{}"])
def test_a_default_of_a_number_that_is_none(said: str) -> None:
    with pytest.raises(ProfilestoreError, match=r"feature v__clicks: its default is .*a number"):
        plan([feature("clicks", "number", default=said)], "user")


KINDS = st.sampled_from(
    ["number", "timestamp", "text", "list_of_text", "list_of_number", "other", "new_kind"]
)


@given(
    kinds=st.lists(st.tuples(KINDS, st.sampled_from(["user", "item"]), st.booleans()), max_size=12)
)
def test_every_feature_of_the_entity_is_read_or_left_out_with_a_reason(
    kinds: list[tuple[str, str, bool]],
) -> None:
    features = [
        feature(f"f{n}", kind, entity, **({"vocabulary": "x"} if named else {}))
        for n, (kind, entity, named) in enumerate(kinds)
    ]
    for entity in ("user", "item"):
        planned = plan(features, entity)
        accounted = [*planned.columns, *planned.left_out]
        assert sorted(accounted) == sorted(one.column for one in features if one.entity == entity)
        assert all(planned.left_out.values())


@pytest.mark.parametrize(
    "target",
    ["nothing", "sold"],
    ids=["a column that no view has", "a column of another entity"],
)
def test_weights_of_what_the_view_does_not_have(target: str) -> None:
    odd = feature("shares", "list_of_number", weights_of=target)
    with pytest.raises(ProfilestoreError) as caught:
        plan([odd, feature("sold", "list_of_text", entity="item", vocabulary="x")], "user")
    assert str(caught.value).startswith(f"feature v__shares: weights_of names v__{target}, which")


def test_weights_belong_to_their_own_view() -> None:
    both = [
        one
        for view in ("a", "b")
        for one in (
            feature("names", "list_of_text", view=view, vocabulary="x"),
            feature("shares", "list_of_number", view=view, weights_of="names"),
        )
    ]
    assert plan(both, "user").weights == {"a__names": "a__shares", "b__names": "b__shares"}
    with pytest.raises(ProfilestoreError, match="b__shares: weights_of names b__names, which"):
        plan([both[0], both[3]], "user")


@pytest.mark.parametrize(
    "names",
    [
        feature("names", "list_of_text"),
        feature("names", "text", vocabulary="x"),
        feature("names", "number"),
    ],
    ids=lambda one: one.kind,
)
def test_weights_of_what_has_no_ids_are_left_out(names: Feature) -> None:
    """They would be an input of the tower that nothing in it reads."""
    planned = plan([names, feature("shares", "list_of_number", weights_of="names")], "user")
    assert planned.weights == {}
    assert planned.left_out["v__shares"] == "weights of v__names, which has no ids"


@pytest.mark.parametrize("first", ["names", "shares"])
def test_a_list_has_one_column_of_weights(first: str) -> None:
    names = feature("names", "list_of_text", vocabulary="x")
    twice = [feature(n, "list_of_number", weights_of="names") for n in ("shares", "counts")]
    planned = plan([names, *twice] if first == "names" else [*twice, names], "user")
    assert planned.weights == {"v__names": "v__shares"}
    assert planned.left_out == {"v__counts": "v__names has weights already"}


def test_without_ages() -> None:
    planned = plan(EVERY_RULE, "user")
    ageless = planned.without_ages("vectors are computed ahead")
    assert ageless.ages == ()
    assert ageless.left_out == planned.left_out | {"v__seen_at": "vectors are computed ahead"}
    assert ageless.floats == planned.floats - 2
    assert set(ageless.columns) == set(planned.columns) - {"v__seen_at"}
    assert planned.ages == ("v__seen_at",)


@given(kinds=st.lists(st.tuples(KINDS, st.booleans()), max_size=12))
@settings(max_examples=50)
def test_an_encoding_comes_back_from_json(kinds: list[tuple[str, bool]]) -> None:
    features = [
        feature(f"f{n}", kind, **({"vocabulary": "ü"} if named else {}))
        for n, (kind, named) in enumerate(kinds)
    ]
    planned = plan([*features, *EVERY_RULE], "user")
    assume(planned.weights)
    assert Encoding.from_json(json.loads(json.dumps(planned.to_json()))) == planned


def test_vocabularies_that_are_needed() -> None:
    assert plan(EVERY_RULE, "user").vocabularies == {"language", "item", "category"}


def test_a_decimal_is_a_number_in_both_forms() -> None:
    """As Feast gives it online, and as the lake gives it offline."""
    only = Encoding("user", ("price",), (), {}, {}, {}, {})
    at = datetime(2026, 1, 1, tzinfo=UTC)
    row = only.encode_row({"price": Decimal("12.5000")}, at, {})
    column = pa.array([Decimal("12.5000")], pa.decimal128(18, 4))
    same(row, only.encode({"price": column}, micros([at]), {}))
    assert row["numbers"][0].tolist() == [pytest.approx(math.log(13.5)), 1.0]


def test_weights_may_be_whole_numbers_of_any_size() -> None:
    only = Encoding("user", (), (), {}, {"items": "item"}, {"items": "counts"}, {})
    at = datetime(2026, 1, 1, tzinfo=UTC)
    values = {"items": ["a", "new"], "counts": [3, 2**62 + 1]}
    row = only.encode_row(values, at, VOCABULARIES)
    types = {"items": pa.list_(pa.string()), "counts": pa.list_(pa.int64())}
    columns = {name: pa.array([values[name]], kind) for name, kind in types.items()}
    same(row, only.encode(columns, micros([at]), VOCABULARIES))
    assert row["items__weights"][0, :3].tolist() == [3.0, 2.0**62, 0.0]


@pytest.mark.parametrize(
    "values", [{"count": "12"}, {"items": "abc"}, {"items": [1]}, {"last_at": "2026-01-01"}]
)
def test_a_value_of_another_type_is_not_bent(values: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError)):
        ENCODING.encode_row(values, datetime(2026, 1, 1, tzinfo=UTC), VOCABULARIES)
