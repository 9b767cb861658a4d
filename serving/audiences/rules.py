"""What a rule of an audience may say."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Name = Annotated[str, Field(min_length=1, max_length=256)]
Number = Annotated[float, Field(allow_inf_nan=False)]
# Rules within rules, and all of them.
MOST_DEEP, MOST_RULES = 8, 100


class _Rule(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class HasTag(_Rule):
    """Whoever has a tag."""

    tag: Name = Field(description="As in `/v1/tags`.", examples=["Drama"])
    kind: Name | None = Field(
        None, description="Column that it stands in; by default any.", examples=["categories"]
    )
    at_least: Number | None = Field(
        None, description="Of its score, which is its share.", examples=[0.2]
    )


class InSegment(_Rule):
    """Whoever is in a segment."""

    segment: Name = Field(description="As in the profile.", examples=["champion"])
    of: Literal["rfm", "behaviour"] = Field(
        "rfm", description="The class by purchases, or the cluster by behaviour."
    )


class HasScore(_Rule):
    """Whoever's score lies in a range, both ends included."""

    score: Name = Field(description="As in the profile.", examples=["churn_7d"])
    at_least: Number | None = None
    at_most: Number | None = None

    @model_validator(mode="after")
    def _bounded(self) -> HasScore:
        return _needs(self, "at_least", "at_most")


class HasFeature(_Rule):
    """Whoever has a feature of some value; nobody of whom it is not known. Both ends of a range
    are included. Of a list `equals` is whether it holds the value."""

    feature: Name = Field(
        description="As `<view>__<feature>`.", examples=["user_activity__events_7d"]
    )
    at_least: Number | None = None
    at_most: Number | None = None
    equals: bool | Number | Name | None = None
    after: datetime | None = Field(None, description="An instant, itself not included.")
    before: datetime | None = Field(None, description="An instant, itself not included.")

    @model_validator(mode="after")
    def _bounded(self) -> HasFeature:
        return _needs(self, "at_least", "at_most", "equals", "after", "before")


class All(_Rule):
    """Whoever matches every rule."""

    all: Annotated[tuple[Rule, ...], Field(min_length=1, max_length=MOST_RULES)]


class Any(_Rule):
    """Whoever matches one rule at least."""

    any: Annotated[tuple[Rule, ...], Field(min_length=1, max_length=MOST_RULES)]


class Not(_Rule):
    """Whoever does not match a rule."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    rule: Rule = Field(alias="not")


Rule = HasTag | InSegment | HasScore | HasFeature | All | Any | Not


def _needs(rule: _Rule, *names: str) -> _Rule:  # type: ignore[misc]
    if all(getattr(rule, name) is None for name in names):
        raise ValueError(f"found none of {', '.join(names)}, needed one at least")
    return rule


for _one in (All, Any, Not):
    _one.model_rebuild()


def parts(rule: Rule) -> tuple[Rule, ...]:
    """The rules that a rule is made of."""
    if isinstance(rule, All):
        return rule.all
    if isinstance(rule, Any):
        return rule.any
    return (rule.rule,) if isinstance(rule, Not) else ()


def leaves(rule: Rule) -> list[Rule]:
    """Every rule within a rule that is made of none.

    Raises:
        ValueError: there are too many, or they lie too deep.
    """
    found: list[Rule] = []
    open_ = [(rule, 1)]
    while open_:
        one, depth = open_.pop()
        if depth > MOST_DEEP:
            raise ValueError(f"rules lie more than {MOST_DEEP} deep in each other")
        inner = parts(one)
        open_ += [(each, depth + 1) for each in reversed(inner)]
        if not inner:
            found.append(one)
    if len(found) > MOST_RULES:
        raise ValueError(f"found {len(found)} rules, needed {MOST_RULES} at most")
    return found
