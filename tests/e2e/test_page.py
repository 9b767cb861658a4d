"""The service on real data: a process, its routes, and its pages in a real browser."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page, expect, sync_playwright

from profilestore.settings import Settings, child_environment
from serving import assemble_profile, profile_text
from serving.documents import ProfileDocument, RecommendationsDocument

READY_SECONDS = 3.0
DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 375, "height": 812}
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
INSTALL = ["apt-get", "install", "-y", "--no-install-recommends", "chromium"]
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# WCAG 2.2, 1.4.3: 4.5 to 1, and 3 to 1 for large text (24 px, or 18.66 px and bold).
POOR_CONTRAST = """() => {
  const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b]
    .map((c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (e) => {
    for (; e; e = e.parentElement) {
      const color = rgb(getComputedStyle(e).backgroundColor);
      if (color.length < 4 || color[3] > 0) return color;
    }
    return [255, 255, 255];
  };
  const poor = [];
  for (const e of document.querySelectorAll("body *")) {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || e.closest("svg") || !e.getClientRects().length) continue;
    const style = getComputedStyle(e), size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    const [a, b] = [light(rgb(style.color)), light(ground(e))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < (large ? 3 : 4.5)) poor.push(`${e.textContent.trim()}: ${ratio.toFixed(2)}`);
  }
  return poor;
}"""


@dataclass(frozen=True)
class Service:
    """A running service, and the seconds from the start of its process to ready."""

    url: str
    seconds: float


@contextmanager
def started(home: Path) -> Iterator[Service]:
    begun = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "profilestore", "serve", "--host", "127.0.0.1", "--port", "0"],
        cwd=Path(__file__).parents[2],
        env=child_environment(PROFILESTORE_HOME=str(home)),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        said = process.stdout.readline()
        address = re.search(r"http://\S+(?=/ )", said)
        assert address, f"no address in {said!r}"
        answer = httpx.get(f"{address[0]}/readyz", timeout=60)
        assert answer.status_code == 200, answer.text
        seconds = time.perf_counter() - begun
        yield Service(address[0], seconds)
    finally:
        process.send_signal(signal.SIGINT)
        code = process.wait(20)
        process.stdout.close()
    assert code == 0, "Ctrl-C is how it is told to stop, so it is no error"


@pytest.fixture(scope="module")
def service(demo_home: Path) -> Iterator[Service]:
    with started(demo_home) as running:
        yield running


@pytest.fixture(scope="module")
def client(service: Service) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=service.url, timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def user_id(demo_home: Path) -> str:
    """Somebody with a complete profile."""
    return assemble_profile(Settings(home=demo_home)).identity.user_id


class TestProcess:
    def test_ready_within_three_seconds(self, service: Service, demo_home: Path) -> None:
        # The best of three, because a machine has other things to do.
        starts = [service]
        while min(start.seconds for start in starts) >= READY_SECONDS and len(starts) < 3:
            with started(demo_home) as another:
                starts.append(another)
        best = min(start.seconds for start in starts)
        assert best < READY_SECONDS, starts

    def test_neither_tensorflow_nor_dbt_is_loaded(self, demo_home: Path) -> None:
        code = (
            "import sys, serving\n"
            "from profilestore.settings import load_settings\n"
            "serving.assemble_profile(load_settings())\n"
            "print(sorted({m.split('.')[0] for m in sys.modules}))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=Path(__file__).parents[2],
            env=child_environment(PROFILESTORE_HOME=str(demo_home)),
            check=True,
            capture_output=True,
            text=True,
        )
        loaded = set(json.loads(done.stdout.replace("'", '"')))
        assert not loaded & {"tensorflow", "tf_keras", "keras", "tensorflow_recommenders", "dbt"}

    def test_a_taken_port_is_said(self, service: Service, demo_home: Path) -> None:
        port = service.url.rsplit(":", 1)[1]
        done = subprocess.run(
            [sys.executable, "-m", "profilestore", "serve", "--port", port],
            cwd=Path(__file__).parents[2],
            env=child_environment(PROFILESTORE_HOME=str(demo_home)),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1
        assert f"port {port} of 127.0.0.1 is taken" in done.stderr
        assert "Traceback" not in done.stderr


class TestRoutes:
    def test_a_whole_profile(self, client: httpx.Client, user_id: str) -> None:
        answer = client.get(f"/v1/profiles/{user_id}")
        assert answer.status_code == 200
        profile = ProfileDocument.model_validate_json(answer.content)
        blocks = (profile.activity, profile.interests, profile.history, profile.recommendations)
        assert {block.state for block in blocks} == {"fresh"}
        assert all(block.as_of and block.as_of <= profile.asked_at for block in blocks)
        assert profile.activity.fields["events_lifetime"].value > 0
        assert profile.activity.fields["events_lifetime"].unit == "events"
        assert sum(tag.score or 0 for tag in profile.interests.tags) <= 1 + 1e-9
        assert all(item.title for item in profile.history.items)
        assert all(item.title and item.categories for item in profile.recommendations.items)
        assert len(profile.recommendations.items) == 10
        recent = {item.item_id for item in profile.history.items}
        assert not recent & {item.item_id for item in profile.recommendations.items}
        assert profile.clock is not None
        assert profile.clock.shift_seconds % (7 * 24 * 3600) == 0

    def test_the_recommendations_route_agrees_with_the_profile(
        self, client: httpx.Client, user_id: str
    ) -> None:
        in_profile = client.get(f"/v1/profiles/{user_id}").json()["recommendations"]["items"]
        alone = client.get(f"/v1/recommendations/{user_id}?k=10").json()["recommendations"]
        assert [item["item_id"] for item in alone["items"]] == [i["item_id"] for i in in_profile]

    def test_cold_start(self, client: httpx.Client) -> None:
        answer = client.get("/v1/recommendations/u-nobody?k=20")
        assert answer.status_code == 200
        block = RecommendationsDocument.model_validate_json(answer.content).recommendations
        assert (block.method, len(block.items)) == ("popular", 20)
        assert [i.score for i in block.items] == sorted(i.score for i in block.items)[::-1]

    def test_an_unknown_user_is_a_problem(self, client: httpx.Client) -> None:
        answer = client.get("/v1/profiles/u-nobody")
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"

    @pytest.mark.parametrize(
        "user_id", ["%00", "a%2Fb", "%ff", "%ED%A0%80", "x" * 20_000, "x" * 60_000]
    )
    def test_an_absurd_user_id_is_not_a_fault_of_ours(
        self, client: httpx.Client, user_id: str
    ) -> None:
        assert 400 <= client.get(f"/v1/profiles/{user_id}").status_code < 500

    def test_all_people_can_be_listed_in_pages(self, client: httpx.Client) -> None:
        listed: list[dict[str, Any]] = []
        parameters = {"limit": "200"}
        while True:
            page = client.get("/v1/users", params=parameters).json()
            listed += page["users"]
            if page["next"] is None:
                break
            parameters["after"] = page["next"]
        assert len({person["user_id"] for person in listed}) == page["total"] == len(listed)
        seen = [person["last_seen_at"] for person in listed]
        assert seen == sorted(seen, reverse=True)

    def test_eight_threads_of_fifty_requests_each_get_their_own_answer(
        self, client: httpx.Client
    ) -> None:
        people = [p["user_id"] for p in client.get("/v1/users?limit=50").json()["users"]]

        def ask(number: int) -> list[tuple[int, str, str]]:
            answers = []
            for turn in range(50):
                wanted = people[(number * 7 + turn) % len(people)]
                answer = client.get(f"/v1/profiles/{wanted}")
                identity = answer.json().get("identity", {})
                answers.append((answer.status_code, wanted, identity.get("user_id")))
            return answers

        with ThreadPoolExecutor(8) as pool:
            for answers in pool.map(ask, range(8)):
                assert [(code, found) for code, _, found in answers] == [
                    (200, wanted) for _, wanted, _ in answers
                ]

    def test_the_profile_reads_well_in_a_terminal(self, demo_home: Path, user_id: str) -> None:
        text = profile_text(assemble_profile(Settings(home=demo_home), user_id))
        for heading in ("Activity", "Interests", "Recent items", "Recommendations"):
            assert re.search(rf"^{heading}.* · as of ", text, re.MULTILINE)


def find_browser() -> str:
    """Chromium or Chrome; Debian's is installed when that is ours to do, and never skipped."""
    for name in BROWSERS:
        found = shutil.which(name)
        if found:
            return found
    if os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "update"], check=False, capture_output=True)
        done = subprocess.run(INSTALL, check=False, capture_output=True, text=True)
        found = shutil.which("chromium")
        if found:
            return found
        pytest.fail(f"`{' '.join(INSTALL)}` did not bring a browser:\n{done.stderr}")
    pytest.fail(
        f"no browser found ({', '.join(BROWSERS)}). Run: sudo {' '.join(INSTALL)}", pytrace=False
    )


class Browser:
    """A headless browser; each context is a fresh one with an empty folder of its own."""

    def __init__(self, playwright: Any, folder: Path) -> None:
        self._chromium = playwright.chromium
        self._folder = folder
        self._contexts: list[BrowserContext] = []
        self.said: list[str] = []

    def open(self, **options: Any) -> Page:
        """A page whose console and errors are noted in `said`."""
        data = self._folder / str(len(self._contexts))
        context = self._chromium.launch_persistent_context(
            str(data), executable_path=find_browser(), args=FLAGS, **options
        )
        self._contexts.append(context)
        page = context.pages[0]
        page.on("console", lambda message: self.said.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: self.said.append(f"error: {error}"))
        return page

    def close(self) -> None:
        for context in self._contexts:
            context.close()


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = Browser(playwright, tmp_path)
        yield browser
        browser.close()


def pages_of(client: httpx.Client, user_id: str) -> list[str]:
    """The pages that are about somebody, and those about model and data."""
    people = client.get("/v1/users?limit=2").json()["users"]
    best = client.get(f"/v1/recommendations/{user_id}").json()["recommendations"]["items"][0]
    return [
        f"/users/{user_id}",
        f"/users/{user_id}/why/{best['item_id']}",
        "/compare",
        f"/compare?a={people[0]['user_id']}&b={people[1]['user_id']}",
        "/tags",
        "/models",
        "/data",
    ]


def expect_whole_profile(page: Page, client: httpx.Client) -> None:
    """What the page shows is what the service says of the person."""
    user_id = page.url.rsplit("/", 1)[1]
    profile = client.get(f"/v1/profiles/{user_id}").json()
    expect(page.get_by_role("heading", level=1)).to_have_text(user_id)
    expect(page.get_by_text("This log ended on")).to_be_visible()
    tags = profile["interests"]["tags"]
    bars = page.locator("#block-interests .bar .fill")
    expect(bars).to_have_count(len(tags))
    widths = [bar.bounding_box()["width"] for bar in bars.all()]
    assert widths == sorted(widths, reverse=True)
    assert all(width > 0 for width in widths)
    titles = page.locator("#block-recommendations .title").all_inner_texts()
    assert titles == [item["title"] for item in profile["recommendations"]["items"]]
    recent = page.locator("#block-history > ol .title").all_inner_texts()
    assert recent == [item["title"] for item in profile["history"]["items"][:10]]
    for name in ("activity", "interests", "history", "recommendations", "attributes"):
        block = page.locator(f"#block-{name}")
        expect(block.locator(".state")).to_have_text(profile[name]["state"])
        expect(block.locator(".about")).to_contain_text(profile[name]["source"]["feature_service"])


class TestPages:
    @pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
    def test_a_click_on_a_person_shows_their_profile(
        self, browser: Browser, service: Service, client: httpx.Client, user_id: str, viewport
    ) -> None:
        page = browser.open(viewport=viewport)
        for path in ("/", "/docs", *pages_of(client, user_id), "/"):
            page.goto(service.url + path)
            width = page.evaluate("document.documentElement.scrollWidth")
            assert width <= viewport["width"], f"{path} scrolls sideways"
        page.get_by_role("link", name=user_id).click()
        page.wait_for_url(f"**/users/{user_id}")
        expect_whole_profile(page, client)
        assert browser.said == []

    def test_by_keyboard_alone(
        self, browser: Browser, service: Service, client: httpx.Client, user_id: str
    ) -> None:
        page = browser.open(viewport=DESKTOP)
        page.goto(service.url)
        page.get_by_label("Pseudonym, or a part of it").focus()
        page.keyboard.type(user_id[2:-1])
        expect(page.locator(".people a")).to_have_count(1)
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
        page.wait_for_url(f"**/users/{user_id}")
        expect_whole_profile(page, client)
        assert browser.said == []

    def test_without_scripts(
        self, browser: Browser, service: Service, client: httpx.Client, user_id: str
    ) -> None:
        page = browser.open(viewport=DESKTOP, java_script_enabled=False)
        page.goto(service.url)
        page.get_by_label("Pseudonym, or a part of it").fill(user_id[2:-1])
        page.get_by_role("button", name="Find").click()
        page.wait_for_url(f"**/users/{user_id}")
        assert page.get_by_role("heading", level=1).inner_text() == user_id

    def test_nobody_found_is_said_and_announced(self, browser: Browser, service: Service) -> None:
        page = browser.open(viewport=PHONE)
        page.goto(service.url)
        page.get_by_label("Pseudonym, or a part of it").fill("zzz")
        expect(page.get_by_role("status")).to_contain_text("0 of")
        expect(page.get_by_text("Nobody.")).to_be_visible()
        page.goto(f"{service.url}/users/u-nobody")
        expect(page.get_by_role("heading", level=1)).to_have_text("Unknown user")

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_text_stands_out_from_its_ground(
        self,
        browser: Browser,
        service: Service,
        client: httpx.Client,
        user_id: str,
        scheme: str,
    ) -> None:
        page = browser.open(viewport=DESKTOP, color_scheme=scheme)
        for path in ("/", *pages_of(client, user_id), "/docs", "/users/u-nobody"):
            page.goto(service.url + path)
            assert page.evaluate(POOR_CONTRAST) == [], path

    def test_what_can_be_used_has_a_name(
        self, browser: Browser, service: Service, client: httpx.Client, user_id: str
    ) -> None:
        page = browser.open(viewport=DESKTOP)
        for path in ("/", *pages_of(client, user_id)):
            page.goto(service.url + path)
            for role in ("button", "link", "textbox", "combobox", "img"):
                for one in page.get_by_role(role).all():
                    assert page.get_by_role(role, name=re.compile(r"\S")).and_(one).count() == 1, (
                        *(path, role, one.inner_html()),
                    )
            assert page.get_by_role("heading", level=1).count() == 1

    def test_from_a_recommendation_to_its_reasons_and_back(
        self, browser: Browser, service: Service, client: httpx.Client, user_id: str
    ) -> None:
        page = browser.open(viewport=DESKTOP)
        page.goto(f"{service.url}/users/{user_id}")
        best = client.get(f"/v1/recommendations/{user_id}").json()["recommendations"]["items"][0]
        page.get_by_role("link", name=f"Why {best['title']}?", exact=True).click()
        expect(page.get_by_role("heading", level=1)).to_have_text(f"Why {best['title']}?")
        why = client.get(f"/v1/recommendations/{user_id}/{best['item_id']}/why").json()
        strongest = why["contributions"][0]
        first = page.locator(".reasons li").first
        expect(first.locator(".title")).to_have_text(strongest["text"])
        expect(first.locator("code")).to_have_text(f"{strongest['view']}.{strongest['feature']}")
        page.get_by_role("link", name="Back to the profile").click()
        page.wait_for_url(f"**/users/{user_id}")

    def test_compare_from_a_profile(
        self, browser: Browser, service: Service, client: httpx.Client, user_id: str
    ) -> None:
        page = browser.open(viewport=DESKTOP)
        page.goto(f"{service.url}/users/{user_id}")
        other = next(
            one["user_id"]
            for one in client.get("/v1/users?limit=5").json()["users"]
            if one["user_id"] != user_id
        )
        page.get_by_label("Compare with").fill(other)
        page.get_by_role("button", name="Compare").click()
        page.wait_for_url("**/compare?*")
        for one in (user_id, other):
            expect(page.get_by_role("link", name=one)).to_be_visible()
        for row in ("Events, 7 d", "Last seen"):
            expect(page.get_by_role("row", name=row)).to_be_visible()

    def test_the_model_and_the_data_can_be_looked_at(
        self, browser: Browser, service: Service, client: httpx.Client
    ) -> None:
        page = browser.open(viewport=DESKTOP)
        page.goto(service.url)
        page.get_by_role("link", name="Models").click()
        (model,) = client.get("/v1/models").json()["models"]
        expect(
            page.locator(".bars li").filter(has_text="two-tower").locator(".share")
        ).to_have_text(f"{model['ndcg_at_10']:.4f}")
        page.get_by_role("link", name="The whole report").click()
        expect(page.get_by_role("heading", level=1)).to_contain_text(model["version"])
        plots = page.locator("img")
        assert plots.count() >= 5
        for plot in plots.all():
            assert plot.evaluate("one => one.naturalWidth") > 100
        page.goto(f"{service.url}/data")
        row = page.get_by_role("row", name="ratings.parquet").get_by_role("cell")
        assert row.all_inner_texts()[2:] == ["100,004", "100,004", "0"]
        assert browser.said == []

    def test_an_event_is_told_and_the_profile_knows_it(
        self, browser: Browser, demo_home: Path, user_id: str, tmp_path: Path
    ) -> None:
        """By keyboard and without scripts; in a copy, for others read the demo."""
        home = tmp_path / "home"
        shutil.copytree(demo_home, home)
        with started(home) as running, httpx.Client(base_url=running.url, timeout=60) as client:
            page = browser.open(viewport=DESKTOP, java_script_enabled=False)
            page.goto(f"{running.url}/users/{user_id}")
            before = client.get(f"/v1/profiles/{user_id}").json()
            best = before["recommendations"]["items"][0]
            page.get_by_label("To which item").fill(best["item_id"])
            page.get_by_label("Value, if it has one").fill("5")
            page.keyboard.press("Enter")
            page.wait_for_url("**told=accepted**")
            expect(page.get_by_role("status")).to_contain_text("The event is taken")
            expect(page.locator("#block-history li .title").first).to_have_text(best["title"])
            titles = page.locator("#block-recommendations .title").all_inner_texts()
            assert best["title"] not in titles
            new = page.locator("#block-recommendations .new").count()
            known = {item["title"] for item in before["recommendations"]["items"]}
            assert new == sum(title.removesuffix(" new") not in known for title in titles) >= 1
            after = client.get(f"/v1/profiles/{user_id}").json()
            assert after["history"]["items"][0]["item_id"] == best["item_id"]
            page.get_by_label("What was done").fill("Rating!")
            page.get_by_role("button", name="Tell").click()
            assert "told=accepted" in page.url, "the browser keeps what it can see is wrong"
