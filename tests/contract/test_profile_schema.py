"""docs/profile.schema.json is what the service sends: generated from it, and true of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from serving.documents import PROFILE_SCHEMA_VERSION, ProfileDocument
from serving.schema import FILE, schema_text

PATH = Path(__file__).resolve().parents[2] / "docs" / FILE
ABOUT = {"state", "as_of", "source", "reason"}


@pytest.fixture(scope="module")
def schema() -> dict:
    return json.loads(PATH.read_text(encoding="utf-8"))


def test_it_is_generated_from_the_code() -> None:
    assert PATH.read_text(encoding="utf-8") == schema_text(), "run `make schema`"


def test_it_is_a_schema_and_says_its_version(schema: dict) -> None:
    Draft202012Validator.check_schema(schema)
    assert schema["properties"]["schema_version"]["const"] == PROFILE_SCHEMA_VERSION
    assert schema["required"] == ["asked_at", "clock", "identity"]


def test_every_block_says_state_age_and_source(schema: dict) -> None:
    for name in ProfileDocument.blocks():
        said = schema["properties"][name]
        block = schema["$defs"][said["$ref"].rsplit("/", 1)[1]]
        assert set(block["properties"]) >= ABOUT, name
        assert block["properties"]["state"]["enum"] == ["fresh", "stale", "missing", "withheld"]
    assert schema["additionalProperties"] == {"$ref": "#/$defs/FieldsBlock"}
