"""The nearest vectors are what a comparison with every one of them finds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from feast import Entity, FeatureStore, Field
from feast.filter_models import ComparisonFilter, CompoundFilter
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from feast.types import Array, Float32, Float64, Int64, String
from feast.value_type import ValueType

from profilestore.errors import InputError
from profilestore.online_store import LMDBOnlineStore, vectors

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)
TICK = timedelta(microseconds=1)
FEATURES = [("vector", Array(Float32)), ("n", Int64), ("colour", String)]
SIZE = 8
METRICS = {
    "L2": lambda matrix, query: np.linalg.norm(matrix - query, axis=1),
    "cosine": lambda matrix, query: (
        1 - matrix @ query / np.linalg.norm(matrix, axis=1) / np.linalg.norm(query)
    ),
    "inner_product": lambda matrix, query: -(matrix @ query),
}
SPELLED = {"L2": ["l2", "euclidean", None], "cosine": ["COSINE"], "inner_product": ["ip", "dot"]}


def drawn(rows, seed=0, size=SIZE):
    return np.random.default_rng(seed).normal(size=(rows, size)).astype(np.float32)


def rows_of(matrix, start=0, event=NOON):
    return [
        (
            f"u{start + n}",
            {"vector": vector.tolist(), "n": start + n, "colour": ["red", "blue"][n % 2]},
            event,
            None,
        )
        for n, vector in enumerate(matrix)
    ]


def nearest(online, view, query, count=5, metric="L2", features=("n",), **options):
    """(user, distance, values) of each, nearest first."""
    found = online.store.nearest(
        online.config,
        view,
        list(features),
        [float(x) for x in query],
        count,
        distance_metric=metric,
        **options,
    )
    return [
        (key.entity_values[0].string_val, values.pop("distance").float_val, values)
        for _, key, values in found
    ]


def users(*arguments, **options):
    return [name for name, _, _ in nearest(*arguments, **options)]


def brute(matrix, query, metric, count):
    distances = METRICS[metric](matrix.astype(np.float64), query.astype(np.float64))
    order = np.argsort(distances, kind="stable")[:count]
    return [f"u{n}" for n in order], distances[order]


@pytest.mark.parametrize("metric", METRICS)
def test_the_exact_search_is_brute_force(online, metric):
    view = online.view(features=FEATURES)
    matrix = drawn(300)
    online.materialise(view, *rows_of(matrix))
    for query in drawn(5, seed=1):
        names, distances = brute(matrix, query, metric, 7)
        for spelled in (metric, *SPELLED[metric]):
            found = nearest(online, view, query, 7, spelled)
            assert [name for name, _, _ in found] == names
            assert [d for _, d, _ in found] == pytest.approx(distances, abs=1e-5)
    assert len(nearest(online, view, matrix[0], 1000, metric)) == 300


@pytest.mark.parametrize("metric", METRICS)
def test_the_index_finds_almost_all_of_them(online, monkeypatch, metric):
    monkeypatch.setattr(vectors, "MOST_EXACT", 50)
    view = online.view(features=FEATURES)
    matrix = drawn(3000, size=16)
    online.materialise(view, *rows_of(matrix))
    online.push(view, *rows_of(drawn(20, seed=5, size=16), start=3000))
    whole = np.concatenate([matrix, drawn(20, seed=5, size=16)])
    hits = 0
    for query in drawn(20, seed=1, size=16):
        names, distances = brute(whole, query, metric, 10)
        found = nearest(online, view, query, 10, metric)
        hits += len({name for name, _, _ in found} & set(names))
        for name, distance, values in found:
            assert values["n"].int64_val == int(name[1:])
            if name in names:
                assert distance == pytest.approx(distances[names.index(name)], abs=1e-4)
        assert [d for _, d, _ in found] == sorted(d for _, d, _ in found)
    assert hits >= 0.95 * 200


@pytest.fixture(params=[10, 100_000], ids=["index", "exact"])
def either(request, monkeypatch):
    """Both ways to search."""
    monkeypatch.setattr(vectors, "MOST_EXACT", request.param)


@pytest.mark.usefixtures("either")
def test_a_pushed_vector_is_found_at_once_and_supersedes(online):
    view = online.view(features=FEATURES)
    matrix = drawn(50)
    online.materialise(view, *rows_of(matrix))
    here = matrix[7]
    assert users(online, view, here, 1) == ["u7"]
    far = here + 100
    online.push(view, ("u7", {"vector": far.tolist()}, NOON + TICK, None))
    assert users(online, view, far, 1) == ["u7"]
    assert "u7" not in users(online, view, here, 49)
    # Its other features stay.
    assert nearest(online, view, far, 1)[0][2]["n"].int64_val == 7
    online.push(view, ("new", {"vector": here.tolist()}, NOON, None))
    assert users(online, view, here, 1) == ["new"]
    # And the next materialisation supersedes in turn.
    online.materialise(view, *rows_of(matrix, event=NOON + 2 * TICK))
    assert set(users(online, view, here, 2)) == {"u7", "new"}


@pytest.mark.usefixtures("either")
def test_what_is_deleted_gone_or_stale_is_not_found(online, clock):
    view = online.view(features=FEATURES, ttl=timedelta(hours=1))
    matrix = drawn(50)
    online.materialise(view, *rows_of(matrix))
    query = matrix[3]
    assert users(online, view, query, 1) == ["u3"]
    three = EntityKey(join_keys=["user_id"], entity_values=[Value(string_val="u3")])
    online.store.delete_entities(online.config, [three])
    assert "u3" not in users(online, view, query, 50)
    assert len(users(online, view, query, 50)) == 49
    # Removed at the source.
    online.materialise(view, *[row for row in rows_of(matrix) if row[0] not in ("u3", "u4")])
    assert len(users(online, view, matrix[4], 50)) == 48
    online.push(view, ("fresh", {"vector": query.tolist()}, NOON + TICK, None))
    clock(NOON + timedelta(hours=1))
    assert len(users(online, view, query, 50)) == 49
    clock(NOON + timedelta(hours=1) + TICK)
    assert users(online, view, query, 50) == ["fresh"]
    clock(NOON + timedelta(hours=1) + 2 * TICK)
    assert users(online, view, query, 50) == []
    # A view that now keeps its values longer has them again.
    longer = online.view(features=FEATURES, ttl=timedelta(hours=2))
    assert len(users(online, longer, query, 50)) == 49


@pytest.mark.usefixtures("either")
def test_a_view_that_was_removed_and_filled_again_has_its_new_vectors(online):
    view = online.view(features=FEATURES)
    first, second = drawn(50), drawn(50, seed=9)
    for again in (
        lambda: online.store.update(online.config, [view], [], [], [], True),
        lambda: online.store.teardown(online.config, [view], []),
    ):
        online.materialise(view, *rows_of(first))
        assert users(online, view, first[5], 1) == ["u5"]
        again()
        assert users(online, view, first[5], 1) == []
        online.materialise(view, *rows_of(second))
        assert users(online, view, second[6], 3) == brute(second, second[6], "L2", 3)[0]
        again()


@pytest.mark.usefixtures("either")
def test_vectors_that_are_null_or_of_another_length_are_not_found(online):
    view = online.view(features=FEATURES)
    matrix = drawn(30)
    odd = [
        ("none", {"vector": None, "n": 1, "colour": "red"}, NOON, None),
        ("short", {"vector": [1.0], "n": 1, "colour": "red"}, NOON, None),
        ("empty", {"vector": [], "n": 1, "colour": "red"}, NOON, None),
    ]
    online.materialise(view, *rows_of(matrix), *odd)
    assert len(users(online, view, matrix[0], 100)) == 30


FILTERS = [
    (ComparisonFilter(type="eq", key="colour", value="red"), lambda n: n % 2 == 0),
    (ComparisonFilter(type="ne", key="colour", value="red"), lambda n: n % 2 == 1),
    (ComparisonFilter(type="gt", key="n", value=20), lambda n: n > 20),
    (ComparisonFilter(type="gte", key="n", value=20), lambda n: n >= 20),
    (ComparisonFilter(type="lt", key="n", value=20), lambda n: n < 20),
    (ComparisonFilter(type="lte", key="n", value=20), lambda n: n <= 20),
    (ComparisonFilter(type="in", key="n", value=[1, 2, 99]), lambda n: n in (1, 2)),
    (ComparisonFilter(type="nin", key="n", value=[1, 2, 99]), lambda n: n not in (1, 2)),
    (
        CompoundFilter(
            type="and",
            filters=[
                ComparisonFilter(type="eq", key="colour", value="blue"),
                CompoundFilter(
                    type="or",
                    filters=[
                        ComparisonFilter(type="lt", key="n", value=4),
                        ComparisonFilter(type="gt", key="n", value=45),
                    ],
                ),
            ],
        ),
        lambda n: n % 2 == 1 and (n < 4 or n > 45),
    ),
    (ComparisonFilter(type="eq", key="n", value=-1), lambda n: False),
]


@pytest.mark.usefixtures("either")
@pytest.mark.parametrize(("filters", "lets"), FILTERS, ids=lambda one: getattr(one, "type", ""))
def test_filters(online, filters, lets):
    view = online.view(features=FEATURES)
    matrix = drawn(50)
    online.materialise(view, *rows_of(matrix[:40]))
    online.push(view, *rows_of(matrix[40:], start=40))
    query = drawn(1, seed=2)[0]
    expected = [n for n in brute(matrix, query, "L2", 50)[0] if lets(int(n[1:]))]
    assert users(online, view, query, 6, filters=filters) == expected[:6]


def test_a_null_matches_nothing_but_what_is_not(online):
    view = online.view(features=FEATURES)
    online.push(view, ("a", {"vector": [1.0], "n": None}, NOON, None))
    for kind, value in (("eq", 0), ("lt", 1), ("gt", -1), ("in", [None, 0])):
        which = ComparisonFilter(type=kind, key="n", value=value)
        assert users(online, view, [1], filters=which) == []
    assert users(online, view, [1], filters=ComparisonFilter(type="ne", key="n", value=0)) == ["a"]


def test_only_what_was_asked_for_comes_back(online):
    view = online.view(features=FEATURES)
    online.push(view, *rows_of(drawn(3)))
    ((_, _, values),) = nearest(online, view, drawn(1)[0], 1, features=["colour", "vector"])
    assert values.keys() == {"colour", "vector"}
    ((event, _, _),) = online.store.retrieve_online_documents_v2(
        online.config, view, ["n"], drawn(1)[0].tolist(), 1
    )
    assert event == NOON


def test_the_zero_vector_is_far_from_all(online):
    view = online.view(features=FEATURES)
    online.push(view, *rows_of(np.array([[0, 0], [1, 0]], np.float32)))
    assert nearest(online, view, [1, 0], 2, "cosine")[1][:2] == ("u0", 1.0)


def test_nothing_was_ever_written(online):
    view = online.view(features=FEATURES)
    assert nearest(online, view, [1, 2]) == []
    online.push(online.view("other", FEATURES), *rows_of(drawn(1)))
    assert nearest(online, view, [1, 2]) == []


# What is wrong


@pytest.mark.usefixtures("either")
@pytest.mark.parametrize("way", ["push", "materialise"])
@pytest.mark.parametrize("which", [None, ComparisonFilter(type="gt", key="n", value=-1)])
def test_a_query_of_another_length(online, way, which):
    view = online.view(features=FEATURES)
    getattr(online, way)(view, *rows_of(drawn(30)))
    for wrong in ([1.0], [1.0] * (SIZE + 1)):
        with pytest.raises(
            InputError, match=rf"'activity': the query has {len(wrong)} numbers, .* 8"
        ):
            nearest(online, view, wrong, filters=which)
    # Those that are right are found after one that was wrong.
    assert len(nearest(online, view, [1.0] * SIZE, filters=which)) == 5


def test_a_query_of_another_length_than_declared(online):
    declared = Field(name="vector", dtype=Array(Float32), vector_index=True, vector_length=4)
    view = online.view(features=[declared, ("n", Int64)])
    with pytest.raises(InputError, match="the query has 3 numbers, and its vectors have 4"):
        nearest(online, view, [1, 2, 3])
    assert nearest(online, view, [1, 2, 3, 4]) == []


def test_an_unknown_metric(online):
    view = online.view(features=FEATURES)
    with pytest.raises(InputError, match="'activity': no distance metric 'hamming'; there are L2"):
        nearest(online, view, [1], metric="hamming")


def test_which_feature_is_the_vector(online):
    none = online.view(features=[("n", Int64)])
    with pytest.raises(InputError, match=r"Declare one of its features \(none is a list of floats"):
        nearest(online, none, [1])
    two = [("a", Array(Float32)), ("b", Array(Float64)), ("n", Int64)]
    with pytest.raises(InputError, match="Declare one of a, b with vector_index=True"):
        nearest(online, online.view(features=two), [1])
    view = online.view(features=two)
    online.push(view, ("x", {"a": [0.0, 1.0], "b": [5.0], "n": 1}, NOON, None))
    assert users(online, view, [5], features=["b", "n"]) == ["x"]
    assert users(online, view, [0, 1], features=["a"]) == ["x"]
    indexed = Field(name="b", dtype=Array(Float64), vector_index=True)
    assert users(online, online.view(features=[two[0], indexed, two[2]]), [5]) == ["x"]


def test_a_filter_on_what_the_view_has_not(online):
    view = online.view(features=FEATURES)
    online.push(view, *rows_of(drawn(1)))
    which = CompoundFilter(type="or", filters=[ComparisonFilter(type="eq", key="price", value=1)])
    with pytest.raises(InputError, match="the filter names 'price'; it has"):
        nearest(online, view, drawn(1)[0], filters=which)


def test_words_instead_of_a_vector(online):
    view = online.view(features=FEATURES)
    for embedding, text in ((None, None), ([1.0], "red")):
        with pytest.raises(InputError, match="searches by vector only"):
            online.store.retrieve_online_documents_v2(
                online.config, view, ["n"], embedding, 5, query_string=text
            )


# Through Feast


def test_through_feast(tmp_path, online, kept):
    more = "".join(f", {name}: {value}" for name, value in kept.items())
    (tmp_path / "feature_store.yaml").write_text(
        "project: unit\nprovider: local\nregistry: registry.db\n"
        "entity_key_serialization_version: 3\noffline_store: {type: file}\n"
        "online_store: "
        f"{{type: profilestore.online_store.LMDBOnlineStore, path: online{more}}}\n"
    )
    store = FeatureStore(repo_path=str(tmp_path))
    view = online.view(features=FEATURES)
    store.apply([Entity(name="user", join_keys=["user_id"], value_type=ValueType.STRING), view])
    assert isinstance(store._get_provider().online_store, LMDBOnlineStore)
    matrix = drawn(40)
    online.push(store.get_feature_view("activity"), *rows_of(matrix))
    for metric in METRICS:
        found = store.retrieve_online_documents_v2(
            features=["activity:vector", "activity:n"],
            query=matrix[3].tolist(),
            top_k=4,
            distance_metric=metric,
        ).to_dict()
        # Each user with that user's own features and distance, by user.
        assert found["user_id"] == [f"u{n}" for n in found["n"]] == sorted(found["user_id"])
        assert np.allclose(found["vector"], matrix[found["n"]])
        names, distances = brute(matrix, matrix[3], metric, 4)
        by_distance = sorted(zip(found["distance"], found["user_id"], strict=True))
        assert [name for _, name in by_distance] == names
        assert [one for one, _ in by_distance] == pytest.approx(distances, abs=1e-5)
    found = store.retrieve_online_documents_v2(
        features=["activity:n"],
        query=matrix[3].tolist(),
        top_k=4,
        filters=ComparisonFilter(type="gt", key="n", value=5),
    ).to_dict()
    assert len(found["n"]) == 4
    assert min(found["n"]) > 5
