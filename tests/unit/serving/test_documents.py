"""The documents: fixed, complete, and open only where they say so."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from serving.documents import FieldValue, ProfileDocument
from serving.profile import read_profile


def test_a_profile_survives_json(deploy, now) -> None:
    document = read_profile(deploy(), "u-ann", now)
    again = ProfileDocument.model_validate_json(document.model_dump_json())
    assert again.model_dump_json() == document.model_dump_json()


def test_another_block_has_to_be_a_block(deploy, now) -> None:
    document = read_profile(deploy(), "u-ann", now).model_dump()
    with pytest.raises(ValidationError):
        ProfileDocument.model_validate({**document, "segments": {"fields": {}}})


def test_parts_are_fixed_and_know_their_fields() -> None:
    field = FieldValue(value=1, unit=None, description=None)
    with pytest.raises(ValidationError):
        field.value = 2
    with pytest.raises(ValidationError):
        FieldValue(value=1, unit=None, description=None, more=1)
