"""The profile document: blocks, states, sources."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from profilestore.encoding import Feature
from profilestore.errors import MissingStageError
from serving import profile as module
from serving.documents import FieldsBlock, FieldValue, ModelSource, ViewSource
from serving.profile import UnknownUserError, assemble_profile, read_profile


@pytest.fixture
def ann(deploy, now):
    return read_profile(deploy(), "u-ann", now)


def test_every_column_of_activity_is_a_field_with_unit_and_meaning(ann, as_of) -> None:
    assert ann.activity.fields == {
        "events_7d": FieldValue(value=3, unit="events", description="Events of 7 days."),
        "last_event_at": FieldValue(value=as_of, unit=None, description="Latest event."),
    }


def test_a_column_that_dbt_adds_is_served_with_no_edit(deploy, store, now) -> None:
    added = Feature("user_activity", "clicks_1h", "user", "number", "Clicks.", {"unit": "clicks"})
    store.services["profile_v1"].append(added)
    store.put("u-ann", "user_activity", {"clicks_1h": 4})
    fields = read_profile(deploy(), "u-ann", now).activity.fields
    assert fields["clicks_1h"] == FieldValue(value=4, unit="clicks", description="Clicks.")


def test_a_column_that_dbt_adds_to_a_block_with_a_shape_is_a_field_of_it(
    deploy, store, now
) -> None:
    store.services["profile_v1"].append(Feature("user_interests", "entropy", "user", "number"))
    record = store.rows["u-ann", "user_interests"]
    store.put("u-ann", "user_interests", {**record.values, "entropy": 0.8})
    block = read_profile(deploy(), "u-ann", now).interests
    assert [tag.category for tag in block.tags] == ["Drama", "Comedy"]
    assert list(block.fields) == ["entropy"]


def test_interests_carry_score_evidence_and_age(ann, as_of) -> None:
    first = ann.interests.tags[0]
    assert (first.category, first.score, first.event_count) == ("Drama", 0.75, 6)
    assert (first.lift, first.confidence) == (2.5, 0.5)
    assert first.last_seen_at == as_of
    assert first.first_seen_at == as_of - timedelta(days=1)


def test_history_has_titles_types_and_times(ann, as_of) -> None:
    assert [(i.item_id, i.title, i.event_type, i.at) for i in ann.history.items] == [
        ("i30", "Film 30", "rating", as_of),
        ("i29", "Film 29", "view", as_of - timedelta(days=1)),
    ]


def test_recommendations_leave_the_history_out(ann, bundle) -> None:
    block = ann.recommendations
    assert [item.item_id for item in block.items] == [f"i{n}" for n in range(28, 18, -1)]
    assert block.source == ModelSource(model=bundle.version, feature_service="retrieval_v1")
    assert block.items[0].title == "Film 28"


def test_every_block_says_state_age_and_source(ann, as_of) -> None:
    for name in ("activity", "interests", "history"):
        block = getattr(ann, name)
        assert (block.state, block.as_of, block.reason) == ("fresh", as_of, None)
        assert block.source == ViewSource(view=f"user_{name}", feature_service="profile_v1")
    assert (ann.identity.state, ann.identity.as_of) == ("fresh", as_of)
    assert (ann.identity.user_id, ann.identity.last_seen_at) == ("u-ann", as_of)


def test_the_document_carries_when_it_was_asked_and_the_clock(ann, now, clock) -> None:
    assert (ann.asked_at, ann.schema_version) == (now, "2.0")
    assert ann.clock.shift_seconds == clock.shift_seconds
    assert (ann.clock.since, ann.clock.why) == (clock.chosen_at, clock.why)


def test_titles_are_read_in_one_call_for_history_and_recommendations(deploy, store, now) -> None:
    read_profile(deploy(), "u-ann", now)
    assert [service for service, _ in store.asked] == [
        *("profile_v1", "retrieval_v1", "items_v1", "behaviour_v1")
    ]


def test_what_nobody_fills_is_missing_and_says_so(ann) -> None:
    assert (ann.attributes.state, ann.attributes.as_of) == ("missing", None)
    assert ann.attributes.fields == {}
    assert "attributes" in ann.attributes.reason


def test_a_view_without_a_row_is_missing_and_the_rest_is_served(deploy, now) -> None:
    bob = read_profile(deploy(), "u-bob", now)
    assert bob.activity.state == "fresh"
    for block in (bob.interests, bob.history):
        assert (block.state, block.as_of) == ("missing", None)
        assert block.reason
    assert (bob.interests.tags, bob.history.items) == ([], [])
    assert bob.recommendations.state == "fresh"


def test_past_its_time_a_block_is_stale_and_its_values_are_withheld(
    deploy, store, now, as_of
) -> None:
    for view in ("user_activity", "user_interests", "user_history"):
        store.put("u-ann", view, None, state="stale")
    ann = read_profile(deploy(), "u-ann", now)
    for block in (ann.activity, ann.interests, ann.history, ann.recommendations):
        assert (block.state, block.as_of) == ("stale", as_of)
        assert block.reason
    assert {field.value for field in ann.activity.fields.values()} == {None}
    assert (ann.interests.tags, ann.history.items) == ([], [])
    assert ann.identity.last_seen_at is None


@pytest.mark.parametrize("without", ["bundle", "clock"])
def test_a_profile_is_served_without_model_and_without_clock(deploy, now, without) -> None:
    ann = read_profile(deploy(without), "u-ann", now)
    assert ann.activity.state == "fresh"
    if without == "bundle":
        assert (ann.recommendations.state, ann.recommendations.items) == ("missing", [])
        assert "make train" in ann.recommendations.reason
    else:
        assert ann.clock is None


def test_a_value_that_the_model_cannot_read_costs_the_recommendations_alone(
    deploy, store, now
) -> None:
    store.put("u-ann", "user_activity", {"events_7d": "three"})
    ann = read_profile(deploy(), "u-ann", now)
    assert ann.recommendations.state == "missing"
    assert "cannot read" in ann.recommendations.reason
    assert ann.activity.fields["events_7d"].value == "three"


def test_without_an_online_store_there_is_no_profile(deploy) -> None:
    with pytest.raises(MissingStageError, match="make materialize"):
        read_profile(deploy("people"), "u-ann")


def test_who_is_not_known_has_none(deploy) -> None:
    with pytest.raises(UnknownUserError, match="u-x"):
        read_profile(deploy(), "u-x")


class TestViewsThatServingDoesNotKnow:
    def add(self, store, view: str, tag: str | None, name: str = "rfm_class") -> None:
        store.services["profile_v1"].append(Feature(view, name, "user", "text", "Class."))
        store.tags[view] = {} if tag is None else {"block": tag}
        store.put("u-ann", view, {name: "champion"})

    def test_each_becomes_a_block_under_its_tag(self, deploy, store, now) -> None:
        self.add(store, "user_segments", "classes")
        ann = read_profile(deploy(), "u-ann", now)
        block = ann.more["classes"]
        assert isinstance(block, FieldsBlock)
        assert block.fields["rfm_class"].value == "champion"
        assert block.source.view == "user_segments"
        assert ann.model_dump(mode="json")["classes"]["state"] == "fresh"

    def test_one_without_a_tag_is_named_after_its_view(self, deploy, store, now) -> None:
        self.add(store, "user_scores", None)
        assert list(read_profile(deploy(), "u-ann", now).more)[-1] == "user_scores"

    def test_two_of_one_tag_keep_their_own_source_and_age(self, deploy, store, now) -> None:
        self.add(store, "user_sessions", "activity")
        ann = read_profile(deploy(), "u-ann", now)
        assert ann.activity.source.view == "user_activity"
        assert list(ann.more) == ["brands", "rhythm", "value", "user_sessions"]

    @pytest.mark.parametrize("tag", ["clock", "asked_at", "segments", "identity"])
    def test_none_can_take_the_place_of_what_the_document_has(
        self, deploy, store, now, tag: str
    ) -> None:
        self.add(store, "user_clocks", tag)
        assert list(read_profile(deploy(), "u-ann", now).more)[-1] == "user_clocks"

    def test_not_even_by_its_own_name(self, deploy, store, now) -> None:
        self.add(store, "interests", "interests")
        ann = read_profile(deploy(), "u-ann", now)
        assert list(ann.more) == ["brands", "rhythm", "value", "interests_view"]
        assert ann.interests.source.view == "user_interests"

    def test_attributes_of_people_fill_their_block(self, deploy, store, now) -> None:
        self.add(store, "user_attributes", "attributes", "country")
        ann = read_profile(deploy(), "u-ann", now)
        assert ann.attributes.fields["country"].value == "champion"
        assert ann.attributes.state == "fresh"


@pytest.mark.parametrize(
    ("value", "served"),
    [
        (float("nan"), None),
        (float("inf"), None),
        ([1.0, float("nan")], [1.0, None]),
        (Decimal("1.10"), "1.10"),
        (b"\xff\x00", "/wA="),
        ({"b"}, ["b"]),
        ({"a": (1, 2)}, {"a": [1, 2]}),
        (2**62, 2**62),
        (datetime(2026, 1, 1, 0, 0, 0, 1, tzinfo=UTC), "2026-01-01T00:00:00.000001Z"),
    ],
)
def test_every_value_becomes_json(deploy, store, client, value, served) -> None:
    store.services["profile_v1"].append(Feature("user_odd", "thing", "user", "other"))
    store.put("u-ann", "user_odd", {"thing": value})
    found = client.get("/v1/profiles/u-ann").json()["user_odd"]["fields"]["thing"]["value"]
    assert found == served


def test_lists_of_different_length_are_filled_up(deploy, store, now) -> None:
    store.put("u-ann", "user_history", {"item_ids": ["i1", "i2"], "event_types": ["view"]})
    items = read_profile(deploy(), "u-ann", now).history.items
    assert [(i.item_id, i.event_type, i.at) for i in items] == [
        ("i1", "view", None),
        ("i2", None, None),
    ]


class TestAssembleProfile:
    @pytest.fixture(autouse=True)
    def _deployed(self, deploy, monkeypatch) -> None:
        monkeypatch.setattr(module, "Deployment", lambda settings: deploy())

    def test_of_somebody(self, settings) -> None:
        assert assemble_profile(settings, "u-bob").identity.user_id == "u-bob"

    def test_of_the_one_seen_last_whose_profile_is_complete(self, settings, store) -> None:
        assert assemble_profile(settings).identity.user_id == "u-ann"

    def test_of_the_one_seen_last_when_nobody_s_is(self, settings, store) -> None:
        store.put("u-ann", "user_interests", None, state="stale")
        assert assemble_profile(settings).identity.user_id == "u-ann"

    def test_of_nobody(self, settings, materialized) -> None:
        materialized.people.clear()
        with pytest.raises(UnknownUserError, match="make logs"):
            assemble_profile(settings)
