"""A column that nobody reads is named; one that somebody reads is not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from profilestore import cli
from profilestore.plan import unread_columns
from profilestore.settings import Settings


def names(settings: Settings) -> set[str]:
    """Columns that nobody reads at all."""
    return {f"{one.view}.{one.column}" for one in unread_columns(settings) if one.service is None}


def test_what_nobody_reads_is_named_and_what_is_added_with_it(
    declaration: Any, home: Settings
) -> None:
    before = names(home)
    # Endpoints read every column about a person, and titles; of this one nothing.
    assert "item_attributes.blurb" in before
    assert not any(one.startswith("user_") for one in before)
    assert "item_attributes.title" not in before
    columns = declaration.columns("item_attributes")
    columns["colour"] = columns["blurb"] | {"name": "colour"}
    declaration.write(home)
    assert names(home) == before | {"item_attributes.colour"}


def test_an_exposure_is_a_reader(declaration: Any, home: Settings) -> None:
    assert "item_attributes.blurb" in names(home)
    declaration.exposures["exposure.small.board"] = {
        "name": "board",
        "type": "dashboard",
        "depends_on": {"nodes": ["model.profilestore.item_attributes"]},
        "config": {"meta": {"columns": ["item_attributes.blurb"]}},
    }
    declaration.write(home)
    assert "item_attributes.blurb" not in names(home)


def test_a_service_that_carries_what_is_read_elsewhere(declaration: Any, home: Settings) -> None:
    declaration.services += (
        "\nspare_v1 = FeatureService(name='spare_v1', features=[item_attributes[['title']]], "
        "tags={'purpose': 'profile'})\n"
    )
    declaration.write(home)
    found = [one for one in unread_columns(home) if one.service == "spare_v1"]
    assert [(one.view, one.column, one.privacy_class) for one in found] == [
        ("item_attributes", "title", "behaviour")
    ]


def test_the_command(
    home: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROFILESTORE_HOME", str(home.home))
    assert cli.main(["minimise"]) == 0
    assert "item_attributes.blurb (behaviour): nobody reads it" in capsys.readouterr().out
    assert cli.main(["minimise", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {"service": None, "view": "item_attributes", "column": "blurb"}.items() <= {
        **next(one for one in found if one["column"] == "blurb")
    }.items()
