"""A list of columns that a model may adopt."""

from __future__ import annotations

from pathlib import Path

import pytest

from profilestore.encoding import Feature
from profilestore.errors import InputError
from training.feature_list import FeatureList

FEATURES = [Feature("v", name, "user", "number") for name in ("a", "b", "c")]


def test_it_is_read_as_it_was_written_and_keeps_the_services_order(tmp_path: Path) -> None:
    path = tmp_path / "list.yaml"
    FeatureList("some", ("v__c", "v__a")).write(path)
    found = FeatureList.read(path).of(FEATURES, "some")
    assert [feature.column for feature in found] == ["v__a", "v__c"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[a, b]", "wanted feature_service and keep"),
        ("feature_service: some", "wanted feature_service and keep"),
        ("{feature_service: some, keep: []}", "one at least"),
        ("{feature_service: some, keep: [1]}", "wanted columns"),
    ],
)
def test_another_yaml_is_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "list.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=said):
        FeatureList.read(path)


def test_what_it_names_and_the_service_lacks_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no list of features at"):
        FeatureList.read(tmp_path / "none.yaml")
    with pytest.raises(InputError, match="feature service some lacks v__x, v__y"):
        FeatureList("some", ("v__y", "v__a", "v__x")).of(FEATURES, "some")
    with pytest.raises(InputError, match="is of other, and the config's feature_service is some"):
        FeatureList("other", ("v__a",)).of(FEATURES, "some")
