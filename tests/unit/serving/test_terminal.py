"""A profile as plain text."""

from __future__ import annotations

from profilestore.encoding import Feature
from serving.profile import read_profile
from serving.terminal import profile_text


def test_the_whole_profile_in_lines(deploy, now, bundle) -> None:
    text = profile_text(read_profile(deploy(), "u-ann", now))
    for line in (
        "Profile of u-ann",
        "last seen 2026-02-28 09:30 · asked at 2026-03-01 12:00",
        "Activity · user_activity · as of 2026-02-28 09:30",
        "  Events, 7 d                    3 events",
        "Recent items, 2 of 2 · user_history · as of 2026-02-28 09:30",
        "  2026-02-28 09:30  Film 30  rating",
        "  Brands       Zeta, Acme",
        "  Price band   10.00 to 35.00",
        "  Hours, UTC   23, 09, 08",
        "  less odd than this person: 69.3 % of people",
        f"Scores · model {bundle.version} · as of 2026-02-28 09:30",
        "  Churn, 7 d                                  50.0%      above 20 of 100",
        f"Recommendations · model {bundle.version} · as of 2026-02-28 09:30",
        "   1.   28.000  Film 28  (Drama)",
    ):
        assert line in text.splitlines()
    assert "75.0%  6 events" in text
    assert "16 October 2016" in text
    assert max(map(len, text.splitlines())) <= 78


def test_what_is_missing_says_why(deploy, now) -> None:
    text = profile_text(read_profile(deploy("bundle", "clock"), "u-bob", now))
    assert "Recommendations · missing" in text
    assert "make train" in text
    assert "Interests · missing · user_interests" in text
    assert "This log ended" not in text
    assert "Attributes" not in text


def test_blocks_nobody_knew_are_shown(deploy, store, now) -> None:
    for view, tag in (("user_rfm", "classes"), ("user_attributes", "attributes")):
        store.services["profile_v1"].append(Feature(view, "rfm_class", "user", "text"))
        store.tags[view] = {"block": tag}
        store.put("u-ann", view, {"rfm_class": "champion"})
    text = profile_text(read_profile(deploy(), "u-ann", now))
    assert "Classes · user_rfm" in text
    assert "Attributes · user_attributes" in text
    assert text.count("champion") == 2  # and the class of purchases, with a capital
