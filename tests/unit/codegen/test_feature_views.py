"""The rendered module: what dbt says is what Feast gets, byte for byte the same each time."""

from __future__ import annotations

import ast
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from profilestore.codegen import Column, Mart, check_fresh, generate, read_marts, render
from profilestore.errors import InputError, MissingStageError, ProfilestoreError
from profilestore.settings import Settings

Make = Callable[..., Any]

AWKWARD = [
    "plain",
    "a \"double\" and a 'single' quote",
    "three \"\"\" and ''' of them",
    "back\\slash \\n that is no newline, {braces} and %s",
    "two\nlines and a\ttab\r\n",
    "Größe, 売上, 🎬, e\u0301, \u2028 and \u202e",
    "\0 \x1b \x7f",
    "",
]
# Without surrogates: neither YAML nor JSON of dbt can hold one.
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


def mart(name: str = "user_clicks", **given: Any) -> Mart:
    column = Column("clicks_7d", "bigint", "Clicks.", {"class": "behaviour"})
    parts = {
        **{"description": "d", "entity": "user", "ttl": timedelta(0), "owner": "o"},
        **{"tags": {}, "features": (column,)},
    }
    return Mart(name, **(parts | given))


def calls(text: str, function: str) -> list[dict[str, Any]]:
    """Keyword arguments of each call of a function in the module that are literals."""
    return [
        {
            keyword.arg: ast.literal_eval(keyword.value)
            for keyword in node.keywords
            if isinstance(keyword.value, ast.Constant | ast.Dict)
        }
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == function
    ]


def test_a_view_is_what_the_mart_says(
    model: Make, column: Make, write_manifest: Make, imported: Make
) -> None:
    manifest = write_manifest(
        model(
            column("clicks_7d", "bigint", "Clicks in a week.", unit="events"),
            column("price", "decimal(18,4)", "Price."),
            description="What a person clicks on.",
            ttl_days=1.5,
            tags={"block": "clicks"},
        ),
        model(column("sold_30d"), name="item_sales", entity="item"),
    )
    module = imported(render(read_marts(manifest)))
    view = module.user_clicks
    assert (view.name, view.entities, view.ttl) == (
        *("user_clicks", ["user"], timedelta(days=1, hours=12)),
    )
    assert (view.description, view.owner, view.tags, view.online) == (
        *("What a person clicks on.", "analytics"),
        *({"block": "clicks", "purposes": "profile"}, True),
    )
    assert [(field.name, field.description, field.tags) for field in view.features] == [
        ("clicks_7d", "Clicks in a week.", {"class": "behaviour", "unit": "events"}),
        ("price", "Price.", {"class": "behaviour"}),
    ]
    source = view.batch_source
    assert (source.name, source.timestamp_field, source.created_timestamp_column) == (
        *("user_clicks", "event_timestamp", "loaded_at"),
    )
    assert "user_clicks" in source.get_table_query_string()
    assert module.item_sales.entities == ["item"]
    assert module.item_sales.ttl == timedelta(0)


def test_a_vector_is_searched_by_the_metric_that_its_column_says(
    model: Make, column: Make, write_manifest: Make, imported: Make
) -> None:
    vectors = (column("near", "float[]", vector_index="cosine"), column("far", "float[]"))
    module = imported(render(read_marts(write_manifest(model(*vectors)))))
    near, far = module.user_clicks.features
    assert (near.vector_index, near.vector_search_metric) == (True, "cosine")
    assert not far.vector_index
    odd = write_manifest(model(column("near", "float[]", vector_index=True)))
    with pytest.raises(InputError, match=r"near: meta.vector_index is True; wanted one of cosine"):
        read_marts(odd)


@pytest.mark.parametrize(
    "ttl", [timedelta(0), timedelta(seconds=1), timedelta(hours=36), timedelta(days=400)]
)
def test_ttl_is_kept_to_the_second(imported: Make, ttl: timedelta) -> None:
    assert imported(render([mart(ttl=ttl)])).user_clicks.ttl == ttl


@pytest.mark.parametrize("text", AWKWARD)
def test_awkward_texts_survive(imported: Make, text: str) -> None:
    column = Column("clicks_7d", "bigint", text, {"class": "behaviour", "note": text})
    given = mart(description=text, owner=text, tags={"note": text}, features=(column,))
    view = imported(render([given])).user_clicks
    assert (view.description, view.owner, view.tags["note"]) == (text, text, text)
    assert (view.features[0].description, view.features[0].tags["note"]) == (text, text)


@given(text=TEXTS, key=TEXTS)
def test_any_text_survives(text: str, key: str) -> None:
    column = Column("clicks_7d", "bigint", text, {key: text})
    rendered = render([mart(description=text, owner=text, tags={key: text}, features=(column,))])
    (view,) = calls(rendered, "FeatureView")
    (field,) = calls(rendered, "Field")
    assert (view["description"], view["owner"], view["tags"]) == (text, text, {key: text})
    assert (field["description"], field["tags"]) == (text, {key: text})


def test_line_breaks_of_yaml_become_spaces(model: Make, column: Make, write_manifest: Make) -> None:
    folded = 'One row per "user"\n  and instant;\n\n  größer als 0.\n'
    rendered = render(read_marts(write_manifest(model(column("a", "bigint", folded)))))
    assert calls(rendered, "Field")[0]["description"] == (
        'One row per "user" and instant; größer als 0.'
    )


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(order=st.permutations(range(4)), tags=st.permutations(["a", "b", "c"]))
def test_the_same_manifest_gives_the_same_bytes(
    model: Make, column: Make, write_manifest: Make, order: list[int], tags: list[str]
) -> None:
    """Whatever order dbt's threads left the nodes in, and YAML the tags."""

    def rendered(order: list[int], tags: list[str]) -> str:
        models = [
            model(
                column("a", unit="events", vocabulary="x"),
                name=f"user_{number}",
                tags=dict.fromkeys(tags, "1"),
            )
            for number in order
        ]
        return render(read_marts(write_manifest(*models)))

    assert rendered(order, tags) == rendered([0, 1, 2, 3], ["a", "b", "c"])


def test_only_what_is_used_is_imported(model: Make, column: Make, write_manifest: Make) -> None:
    rendered = render(
        read_marts(write_manifest(model(column("a", "varchar[]"), column("b", "double"))))
    )
    assert "from entities import user\n" in rendered
    assert "from feast.types import Array, Float64, String\n" in rendered


def test_a_manifest_without_a_view_is_refused_not_rendered(
    model: Make, column: Make, write_manifest: Make, home: Settings
) -> None:
    plain = model(column("a"))
    plain["config"]["meta"] = {}
    write_manifest(plain)
    with pytest.raises(InputError, match=r"no model declares .*meta\.feast"):
        generate(home)
    assert not (home.feature_repo / "feature_views.py").exists()


def test_what_is_generated_is_fresh_until_something_changes(
    model: Make, column: Make, write_manifest: Make, home: Settings
) -> None:
    write_manifest(model(column("a", "bigint", "Größe.")))
    path = generate(home)
    assert path == home.feature_repo / "feature_views.py"
    check_fresh(home)
    assert sorted(one.name for one in home.feature_repo.iterdir()) == [
        *("entities.py", "feature_views.py"),
    ]
    for changed in (
        model(column("a", "integer", "Größe.")),
        model(column("a", "bigint", "Grösse.")),
        model(column("a", "bigint", "Größe."), ttl_days=1),
        model(column("a", "bigint", "Größe."), column("b")),
    ):
        write_manifest(changed)
        with pytest.raises(ProfilestoreError, match=r"feature_views\.py is stale.*make generate"):
            check_fresh(home)
        generate(home)
        check_fresh(home)


def test_a_file_edited_by_hand_is_stale(
    model: Make, column: Make, write_manifest: Make, home: Settings
) -> None:
    write_manifest(model(column("a")))
    path = generate(home)
    path.write_text(path.read_text() + "\n")
    with pytest.raises(ProfilestoreError, match="stale"):
        check_fresh(home)


def test_a_missing_file_is_stale_and_a_missing_manifest_says_what_to_run(
    model: Make, column: Make, write_manifest: Make, home: Settings
) -> None:
    with pytest.raises(MissingStageError, match="make build"):
        check_fresh(home)
    write_manifest(model(column("a")))
    with pytest.raises(ProfilestoreError, match="stale"):
        check_fresh(home)


def test_a_refusal_leaves_the_last_good_file(
    model: Make, column: Make, write_manifest: Make, home: Settings
) -> None:
    write_manifest(model(column("a")))
    before = generate(home).read_text()
    write_manifest(model(column("a", "struct(x integer)")))
    with pytest.raises(InputError):
        generate(home)
    assert (home.feature_repo / "feature_views.py").read_text() == before
    assert len(list(home.feature_repo.iterdir())) == 2


def test_unicode_does_not_depend_on_the_machines_locale(
    model: Make,
    column: Make,
    write_manifest: Make,
    home: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_manifest(model(column("a", "bigint", "Größe.")))
    monkeypatch.setattr("io.text_encoding", lambda encoding, _=2: encoding or "latin-1")
    generate(home)
    check_fresh(home)
    assert "Größe.".encode() in (home.feature_repo / "feature_views.py").read_bytes()
