"""What can be set of recommendations: `recommendations.yaml`."""

from __future__ import annotations

from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from profilestore.errors import InputError
from profilestore.settings import Settings

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Weight = Annotated[float, Field(ge=0, le=10, allow_inf_nan=False)]


class _Declared(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Retrieve(_Declared):
    """How many candidates each way finds at least; with many wanted, three times as many."""

    collaborative: Annotated[int, Field(ge=1, le=1000)] = 60
    content: Annotated[int, Field(ge=0, le=1000)] = 20


class Filter(_Declared):
    """What is not recommended to anybody."""

    items: frozenset[str] = frozenset()
    categories: frozenset[str] = frozenset()


class HeadTerm(_Declared):
    """A head of the model that raises items by one of their features.

    The probability that the head foretells, times the item's place among the candidates by the
    feature (0 is the lowest, 1 the highest), times `weight`, is added to what an item is worth:
    for somebody who is about to buy, items that are bought rather than looked at.

    Attributes:
        head: a binary head of the bundle; a bundle without it is not asked for it.
        feature: `<view>__<feature>` of the service `items_v1`.
    """

    head: str
    feature: Annotated[str, Field(pattern=r"^\w+__\w+$")]
    weight: Weight


class Rank(_Declared):
    heads: tuple[HeadTerm, ...] = ()


class Order(_Declared):
    """What a list is to be beside good.

    Attributes:
        diversity: 0 is by worth alone; 1 by how little items are like each other alone.
        freshness: what an item of today is worth more; the best candidate is worth 1.
        freshness_half_life_days: after how long that is half.
        most_of_a_category: how many items of one category a list of ten has at most; None is any.
        content_share: share of places for items that were found by their content.
    """

    diversity: Share = 0.2
    freshness: Weight = 0.0
    freshness_half_life_days: Annotated[float, Field(gt=0, le=36_500)] = 30.0
    most_of_a_category: Annotated[int, Field(ge=1, le=10)] | None = None
    content_share: Share = 0.1


class Policy(_Declared):
    """All of it. What is not said is as it is by default."""

    retrieve: Retrieve = Retrieve()
    filter: Filter = Filter()
    rank: Rank = Rank()
    order: Order = Order()

    @property
    def item_columns(self) -> frozenset[str]:
        """Columns of items that it reads."""
        return frozenset(term.feature for term in self.rank.heads)


def load_policy(settings: Settings) -> Policy:
    """The policy of a deployment; what it is by default where there is no file.

    Raises:
        InputError: the file is not as it has to be; the message says where.
    """
    path = settings.recommendations_file
    try:
        said = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Policy()
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{path} cannot be read: {error}") from None
    try:
        return Policy.model_validate({} if said is None else said)
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, one['loc'])) or 'the whole file'}: {one['msg']}"
            for one in error.errors(include_input=False, include_url=False)
        )
        raise InputError(f"{path}: {wrong}. docs/serving.md has an example.") from None
