"""The pages, as HTML; tests/e2e looks at them with a browser."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import ClassVar

import pytest

from profilestore.quality import MartQuality, Quality, RawFile, Rejection
from serving.documents import FieldsBlock, FieldValue, ModelSource, ViewSource
from serving.pages.charts import by_hour, columns, fifths, over_time, series
from serving.pages.rendering import emblem, prose, static_url, tag_rows, type_text

WHY, COMPARE = "/users/u-ann/why/i7", "/compare?a=u-ann&b=u-bob"


class Outline(HTMLParser):
    """What a page is made of: addresses, ids, and the ids that things refer to."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.ids: list[str] = []
        self.referred: list[str] = []
        self.inline: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        is_sent = ("method", "post") in attrs
        for name, value in attrs:
            if name in ("href", "src", "action") and not is_sent:
                self.addresses.append(value or "")
            elif name == "id":
                self.ids.append(value or "")
            elif name in ("for", "aria-labelledby", "aria-controls"):
                self.referred.append(value or "")
            elif name == "style" or name.startswith("on"):
                self.inline.append(name)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/?q=u",
        "/users/u-ann",
        "/users/u-bob",
        WHY,
        COMPARE,
        "/tags",
        "/tags?kind=brands",
        "/docs",
    ],
)
def test_pages_need_nothing_from_elsewhere(client, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 200
    page = Outline(answer.text)
    assert all(address.startswith(("/", "#")) for address in page.addresses)
    assert page.inline == []
    assert "default-src 'none'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize("path", ["/", "/users/u-ann", WHY, COMPARE, "/models", "/tags", "/docs"])
def test_links_and_labels_lead_somewhere(client, path: str) -> None:
    page = Outline(client.get(path).text)
    assert len(page.ids) == len(set(page.ids))
    assert set(page.referred) <= set(page.ids)
    for address in page.addresses:
        if address == "/data":  # which nothing was built for
            assert client.get(address).status_code == 503
        elif address.startswith("#"):
            assert address[1:] in page.ids
        else:
            assert client.get(address).status_code == 200, address


def test_home_lists_those_seen_last_and_explains_the_clock(client) -> None:
    html = client.get("/").text
    assert html.index("u-ann") < html.index("u-bob")
    assert "8 events" in html
    assert "1 event<" in html
    assert "This log ended on 16 October 2016" in html
    assert "3 weeks" in html


def test_search_works_without_scripts(client) -> None:
    html = client.get("/?q=u-").text
    assert 'href="/users/u-ann"' in html
    assert 'value="u-"' in html
    assert "Nobody" in client.get("/?q=zzz").text


def test_a_search_that_one_person_answers_leads_to_them(client) -> None:
    answer = client.get("/", params={"q": " BOB "})
    assert (answer.status_code, answer.headers["location"]) == (303, "/users/u-bob")


def test_the_fragment_is_the_list_alone(client) -> None:
    html = client.get("/people?q=ann").text
    assert 'href="/users/u-ann"' in html
    assert "u-bob" not in html
    assert "<html" not in html


def test_a_profile_shows_every_block_with_its_age_and_source(client, bundle) -> None:
    html = client.get("/users/u-ann").text
    for name in ("activity", "interests", "history", "recommendations", "attributes"):
        assert f'id="block-{name}"' in html
    for view in ("user_activity", "user_interests", "user_history"):
        assert f"view <code>{view}</code> in <code>profile_v1</code>" in html
    assert bundle.version in html
    assert html.count("2026-02-28 09:30 UTC</time>") >= 4
    for text in ("Drama", "75.0%", "from 6 events", "Film 30", "Film 28", "28.000"):
        assert text in html


def test_preferences_are_shown_with_their_evidence(client) -> None:
    html = client.get("/users/u-ann").text
    assert 'id="block-preferences"' in html
    for text in ("Zeta", "9 events", "23:00", "50.0%", "10.00 to 35.00", "7 orders in a year"):
        assert text in html
    missing = client.get("/users/u-bob").text
    assert missing.count('<span class="state missing">missing</span>') >= 8


def test_segments_are_shown_with_rule_and_centre(client, deploy, client_of) -> None:
    html = client.get("/users/u-ann").text
    for text in ("Champion", "Bought lately, often and for much", "25.0% of all people"):
        assert text in html
    assert "Events of 7 days: 1.2 standard deviations above" in html
    assert "python -m training profiles" in client_of(deploy("segments")).get("/users/u-ann").text


def test_scores_are_shown_with_place_and_meaning(client) -> None:
    html = client.get("/users/u-ann").text
    assert 'id="block-scores"' in html
    for text in ("Churn, 7 d", "50.0%", "Above 80 of 100 people", "Next event type: buy"):
        assert text in html
    assert "“Events of 7 days” (<code>user_activity__events_7d</code>)" in html


def test_states_are_shown_as_such(client, store) -> None:
    store.put("u-ann", "user_interests", None, state="stale")
    html = client.get("/users/u-ann").text
    assert '<span class="state stale">stale</span>' in html
    assert '<span class="state missing">missing</span>' in html
    assert "values are withheld" in html


def test_a_page_without_a_model_says_what_to_run(deploy, client_of) -> None:
    assert "make train" in client_of(deploy("bundle")).get("/users/u-ann").text


def test_what_comes_from_the_log_cannot_become_markup(client, store) -> None:
    attack = "<script>alert(1)</script>"
    store.put("i30", "item_attributes", {"title": attack, "categories": [attack]})
    store.put("u-ann", "user_interests", {"categories": [attack], "shares": [1.0]})
    store.put("u-ann", "user_activity", {"events_7d": attack})
    html = client.get("/users/u-ann").text
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert "<script>alert" not in client.get("/people", params={"q": attack}).text


def test_a_block_nobody_knew_has_a_card(client, store) -> None:
    feature = type(store.services["profile_v1"][0])("user_rfm", "rfm_class", "user", "text")
    store.services["profile_v1"].append(feature)
    store.put("u-ann", "user_rfm", {"rfm_class": "champion"})
    html = client.get("/users/u-ann").text
    assert 'id="block-user_rfm"' in html
    assert "champion" in html


def test_tags_of_a_block_are_a_list_with_their_evidence(client) -> None:
    html = client.get("/users/u-ann").text
    card = html[html.index('id="block-brands"') :]
    card = card[: card.index("</section>")]
    assert card.index("Acme") < card.index("60.0%, 1 event<") < card.index("Zeta")
    assert "<dl" not in card


@pytest.mark.parametrize(
    ("fields", "rows"),
    [
        ({"names": ["a", "b"], "shares": [0.5], "event_counts": None}, [("a", 0.5), ("b", None)]),
        ({"names": ["a"], "shares": [0.5]}, []),
        ({"names": [], "shares": [], "event_counts": []}, []),
        ({"shares": [0.5], "event_counts": [1]}, []),
    ],
)
def test_rows_of_tags(fields, rows) -> None:
    block = FieldsBlock(
        state="fresh",
        as_of=None,
        source=ViewSource(view="v", feature_service="s"),
        fields={
            name: FieldValue(value=value, unit=None, description=None)
            for name, value in fields.items()
        },
    )
    assert [row[:2] for row in tag_rows(block)] == rows


def test_a_block_of_many_values_is_folded_up(client, store) -> None:
    feature = type(store.services["profile_v1"][0])
    for number in range(20):
        store.services["profile_v1"].append(
            feature("user_many", f"value_{number}", "user", "number", f"Value {number}.")
        )
    store.put("u-ann", "user_many", {f"value_{number}": number for number in range(20)})
    html = client.get("/users/u-ann").text
    assert "<summary>20 values</summary>" in html
    assert "Value 19" in html


def test_documentation_is_made_from_openapi(client) -> None:
    html = client.get("/docs").text
    for path in client.get("/openapi.json").json()["paths"]:
        assert f"<code>{path}</code>" in html
    for model in (ModelSource, "ProfileDocument", "Problem"):
        name = model if isinstance(model, str) else model.__name__
        assert f'id="schema-{name}"' in html
    assert "`" not in re.sub(r"<[^>]+>", "", html)


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ({"type": "string"}, "string"),
        ({}, "any"),
        ({"type": "string", "format": "date-time"}, "instant"),
        ({"type": "array", "items": {"type": "integer"}}, "list of integer"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "string or null"),
        ({"enum": ["<a>", "b"]}, "<code>&lt;a&gt;</code> or <code>b</code>"),
        ({"const": "1.0"}, "<code>1.0</code>"),
        ({"$ref": "#/components/schemas/X"}, '<a href="#schema-X">X</a>'),
        ({"additionalProperties": {"type": "number"}}, "map of name to number"),
        ({"type": "object", "additionalProperties": True}, "object"),
    ],
)
def test_types_in_words(schema, text: str) -> None:
    assert type_text(schema) == text


def test_descriptions_with_code() -> None:
    assert prose("a `b<` c\nd\n\ne") == "a <code>b&lt;</code> c d\n\ne"


def test_an_emblem_is_the_same_for_one_and_another_for_another() -> None:
    assert emblem("u-a") == emblem("u-a")
    assert emblem("u-a") != emblem("u-b")


def test_static_files_change_their_address_with_their_content(client) -> None:
    assert re.fullmatch(r"/static/style\.css\?v=[0-9a-f]{10}", static_url("style.css"))
    assert client.get(static_url("style.css")).headers["content-type"].startswith("text/css")


def test_why_adds_up(client) -> None:
    """The page says what the document says."""
    document = client.get("/v1/recommendations/u-ann/i7/why").json()
    html = client.get(WHY).text
    assert "Why Film 7?" in html
    assert f"{document['lead'] - document['lead_of_nobody']:+.2f}" in html
    shown = [float(one) for one in re.findall(r'"share">([+-][\d.]+)<', html)]
    rest = [float(one) for one in re.findall(r"Everything else: ([+-][\d.]+)\.<", html)]
    total = document["lead"] - document["lead_of_nobody"]
    assert sum(shown) + sum(rest) == pytest.approx(total, abs=0.0006 * (len(shown) + 1))
    assert client.get("/users/u-ann/why/gone").status_code == 404
    assert 'href="/users/u-ann/why/i28"' in client.get("/users/u-ann").text


def test_two_people_side_by_side(client, store) -> None:
    store.put("u-bob", "user_history", {"item_ids": ["i30"], "event_types": ["view"]})
    html = client.get(COMPARE).text
    assert "1 of their recent items are the same" in html
    assert "Film 30" in html
    assert "75.0%" in html
    assert client.get("/compare?a=u-ann&b=u-gone").status_code == 404
    assert client.get("/compare?a=<b>").status_code == 422
    asked = client.get("/compare?a=u-ann").text
    assert 'value="u-ann"' in asked


class TestTelling:
    """An event told on the page, without a script."""

    OURS: ClassVar = {"sec-fetch-site": "same-origin"}

    def send(self, client, headers=None, **fields: str):
        sent = {"event_id": "e-1", "event_type": "rating", "item_id": "i5", "value": "4.5"}
        body = {**sent, **fields}
        return client.post("/users/u-ann/events", data=body, headers=headers or self.OURS)

    def test_the_form_leads_to_the_profile_that_knows_it(self, client, settings) -> None:
        html = client.get("/users/u-ann").text
        (event_id,) = re.findall(r'name="event_id" value="(\w+)"', html)
        assert re.search(r'<option value="i28">Film 28</option>', html)
        answer = self.send(client, event_id=event_id)
        assert answer.status_code == 303
        location = answer.headers["location"]
        assert location.startswith("/users/u-ann?told=")
        assert "before=i28%2C" in location
        (line,) = [
            line
            for file in (settings.live / "events").glob("*.jsonl")
            for line in file.read_text().splitlines()
        ]
        assert json.loads(line)["item_id"] == "i5"
        assert json.loads(line)["value"] == "4.5"
        shown = client.get(location.partition("#")[0])
        assert shown.status_code == 200
        assert 'role="status"' in shown.text
        again = self.send(client, event_id=event_id)
        assert again.status_code == 303, "a double click is one event"

    def test_what_is_new_is_marked(self, client) -> None:
        path = "/users/u-ann?told=accepted&before=i28%2Ci27"
        html = client.get(path).text
        assert html.count('<span class="new">') == 8
        assert "new</span>" not in client.get("/users/u-ann").text

    def test_another_sites_form_is_refused(self, client) -> None:
        for headers in (
            {"sec-fetch-site": "cross-site"},
            {"sec-fetch-site": "same-site"},
            {"origin": "https://other.example"},
            {"origin": "null"},
            {"x": "no origin at all"},
        ):
            refused = self.send(client, {**headers, "accept": "text/html"})
            assert refused.status_code == 403
        assert self.send(client, {"origin": "http://testserver"}).status_code == 303

    def test_a_mistake_is_said_on_a_page(self, client) -> None:
        for fields, said in (
            ({"event_type": "Rating!"}, "event_type"),
            ({"value": "many"}, "value"),
            ({"event_id": ""}, "event_id"),
        ):
            headers = {**self.OURS, "accept": "text/html"}
            answer = self.send(client, headers, **fields)
            assert answer.status_code == 422
            assert said in answer.text
            assert "<html" in answer.text
        long = self.send(client, value="1" * 20_000)
        assert long.status_code == 413


def test_the_data_page_says_where_rows_went(client, settings) -> None:
    missing = client.get("/data", headers={"accept": "text/html"})
    assert missing.status_code == 503
    assert "make build" in missing.text
    Quality(
        at=datetime(2026, 3, 1, 12, tzinfo=UTC),
        lake_snapshot=7,
        passed=3,
        warned=1,
        files=[RawFile("web", "<events>.jsonl", 1000, 997, 3)],
        rejections=[Rejection("web", "time_too_early", 3)],
        marts=[MartQuality("user_activity", 12_345, 3, 1)],
    ).write(settings)
    html = client.get("/data").text
    for said in ("snapshot 7", "3 tests passed, 1 warned", "&lt;events&gt;.jsonl", "997"):
        assert said in html
    assert "Time too early" in html
    assert "12,345" in html


def test_charts_say_what_they_show() -> None:
    """Heights follow the values, and the words name them."""
    drawn = columns([("a", 1.0), ("b", 4.0), ("<c>", 0.0)], "Some & others")
    heights = [float(one) for one in re.findall(r'height="([\d.]+)" rx', drawn)]
    assert heights[1] == 4 * heights[0] == 48
    assert heights[2] < heights[0]
    assert 'aria-label="Some &amp; others"' in drawn
    assert "<title>&lt;c&gt;: 0</title>" in drawn
    now = datetime(2026, 3, 1, tzinfo=UTC)
    spread = over_time([now - timedelta(days=n) for n in (24, 12, 12, 0)], now)
    counts = [int(one) for one in re.findall(r": (\d)</title>", spread)]
    assert (counts[0], counts[12], counts[23], sum(counts)) == (1, 2, 1, 4)
    assert over_time([now], now).count("<rect") == 24
    assert "2026-02-28 23:30" in over_time([now - timedelta(hours=12), now], now)
    assert series([1, None, 3.5, 0, 0, 0, 0]).count("<rect") == 7
    for other in ([1, 2], ["a"] * 9, None, "text", 5):
        assert series(other) is None
    assert "most of them at 03:00" in by_hour([0, None, 1, 5, *[0] * 20])
    assert fifths(1, 3, 5).count('"fill"') == 9


def test_why_of_a_score_adds_up(client) -> None:
    document = client.get("/v1/scores/u-ann/churn_7d/why").json()
    html = client.get("/users/u-ann/scores/churn_7d/why").text
    total = document["on_scale"] - document["on_scale_of_nobody"]
    assert f"{total:+.2f}" in html
    shown = [float(one) for one in re.findall(r'"share">([+-][\d.]+)<', html)]
    rest = [float(one) for one in re.findall(r"Everything else: ([+-][\d.]+)\.<", html)]
    assert sum(shown) + sum(rest) == pytest.approx(total, abs=0.0006 * (len(shown) + 1))
    assert client.get("/users/u-ann/scores/none/why").status_code == 404
    assert 'href="/users/u-ann/scores/churn_7d/why"' in client.get("/users/u-ann").text


def test_why_of_a_tag_has_its_events(client) -> None:
    html = client.get("/users/u-ann/interests/Drama/why").text
    assert "Why Drama?" in html
    assert "75.0%, from 6 events, 2.50 times the usual" in html
    assert "Film 30" in html
    assert "Film 29" in html
    assert client.get("/users/u-ann/interests/Nothing/why").status_code == 404
    assert 'href="/users/u-ann/interests/Drama/why"' in client.get("/users/u-ann").text
