"""What can be set, and what is said of what cannot."""

from __future__ import annotations

import pytest

from profilestore.errors import InputError, ProfilestoreError
from serving.recommendations.policy import Policy, load_policy

ALL = """
retrieve: {collaborative: 100, content: 0}
filter: {items: ["318"], categories: [Horror]}
rank:
  heads:
    - {head: buys_7d, feature: item_statistics__buy_rate_30d, weight: 0.2}
order: {diversity: 0.3, freshness: 0.1, most_of_a_category: 4, content_share: 0.2}
"""


def test_without_a_file_it_is_the_default(settings) -> None:
    assert load_policy(settings) == Policy()
    settings.recommendations_file.write_text("# nothing is set\n")
    assert load_policy(settings) == Policy()


def test_all_of_it_is_read(settings) -> None:
    settings.recommendations_file.write_text(ALL)
    found = load_policy(settings)
    assert found.filter.items == {"318"}
    assert found.order.most_of_a_category == 4
    assert found.item_columns == {"item_statistics__buy_rate_30d"}
    assert found.order.freshness_half_life_days == Policy().order.freshness_half_life_days


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("order: {diversity: 2}", "order.diversity"),
        ("order: {diversty: 0.1}", "order.diversty"),
        ("order: {freshness: .nan}", "order.freshness"),
        ("order: {most_of_a_category: 0}", "order.most_of_a_category"),
        ("retrieve: {collaborative: all}", "retrieve.collaborative"),
        ("rank: {heads: [{head: a, feature: rate, weight: 1}]}", "rank.heads.0.feature"),
        ("filter: {items: 318}", "filter.items"),
        ("- order", "the whole file"),
        ("order: {", "cannot be read"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(settings, text: str, where: str) -> None:
    settings.recommendations_file.write_text(text)
    with pytest.raises(InputError) as told:
        load_policy(settings)
    assert where in str(told.value)
    assert str(settings.recommendations_file) in str(told.value)


def test_a_broken_change_leaves_the_one_before_in_use(deploy, settings) -> None:
    settings.recommendations_file.write_text(ALL)
    deployment = deploy()
    before = deployment.policy()
    settings.recommendations_file.write_text("order: {diversity: two}")
    assert deployment.policy() == before
    settings.recommendations_file.write_text("order: {diversity: 0.5}")
    assert deployment.policy().order.diversity == 0.5


def test_one_that_was_broken_from_the_start_is_told_to_whoever_asks(
    deploy, settings, client_of
) -> None:
    settings.recommendations_file.write_text("order: {diversity: two}")
    deployment = deploy()
    with pytest.raises(ProfilestoreError, match=r"order\.diversity"):
        deployment.policy()
    client = client_of(deployment)
    refused = client.get("/v1/recommendations/u-ann")
    assert refused.status_code == 503
    assert "order.diversity" in refused.json()["detail"]
    # The rest is served.
    profile = client.get("/v1/profiles/u-ann").json()
    assert profile["recommendations"]["state"] == "missing"
    assert "order.diversity" in profile["recommendations"]["reason"]
    assert profile["activity"]["state"] == "fresh"
