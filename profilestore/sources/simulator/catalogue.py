"""The shop's items: what they are, what they cost on a day, and how much they are asked for.

Prices and popularity of a day follow from the seed and the day alone: nothing is carried over.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from profilestore.sources.simulator import text, vocabulary
from profilestore.sources.simulator.chance import Floats, Ints, choice, stream, unit
from profilestore.sources.simulator.vocabulary import BRANDS, BRANDS_PER_GROUP, CATEGORIES, WORDS

DOLLARS = np.array([*vocabulary.USD.values()])
JPY = vocabulary.CURRENCIES.index("JPY")
GROUP = np.array([vocabulary.GROUPS.index(one.path.split(" > ")[0]) for one in CATEGORIES])
"""The group of each category: [24]."""
# Times 7, which has no divisor in common with 24, brings the ranks out of order.
_RANKS = np.arange(len(CATEGORIES)) * 7 % len(CATEGORIES)
WEIGHTS = (_RANKS + 3.0) ** -0.7 / ((_RANKS + 3.0) ** -0.7).sum()
"""How much each category is asked for: [24], adding up to 1."""

CATALOGUE_HEADER = (
    "item_id,title,category,brand,price,currency,description,available_from,updated_at\n"
)


@dataclass(frozen=True)
class Shelf:
    """The items on one day.

    Attributes:
        category, brand: of each item [items]; items are sorted by both.
        dollars: prices [items].
        demand: cumulative popularity [items + 1]; items that are not there yet add nothing.
        bounds: where the items of category c and its brand b begin [24 * 5 + 1], at c * 5 + b.
    """

    category: Ints
    brand: Ints
    dollars: Floats
    demand: Floats
    bounds: Ints

    def cents(self, item: Ints, currency: Ints) -> Ints:
        """Prices in hundredths of a unit of each currency; yen are whole."""
        units = self.dollars[item] / DOLLARS[currency]
        step = np.where(currency == JPY, 100, 1)
        cents: Ints = np.maximum(np.rint(units * 100 / step), 1).astype(np.int64) * step
        return cents


class Catalogue:
    """All items of a simulation: 3,000 for 2,000 people, and as the root of their number."""

    def __init__(self, seed: int, users: int, days: int) -> None:
        rng = stream(seed, "catalogue")
        count = int(np.clip(round(3_000 * (users / 2_000) ** 0.5), 240, 200_000))
        category = choice(rng, np.cumsum(WEIGHTS), count)
        category[: len(CATEGORIES)] = np.arange(len(CATEGORIES))
        brand = rng.integers(0, BRANDS_PER_GROUP, count)
        comes = np.where(rng.random(count) < 0.9, 0, rng.integers(1, max(days, 2), count))
        comes[: len(CATEGORIES)] = 0  # no category is ever empty
        order = np.lexsort((brand, category))
        shelf = category[order] * BRANDS_PER_GROUP + brand[order]

        self.count = count
        self.category = category[order]
        self.brand = GROUP[self.category] * BRANDS_PER_GROUP + brand[order]
        self.comes = comes[order]
        """The day from which an item can be bought; 0 for those that were there before."""
        self.number = np.arange(count) * 48_271 % 2**20 + 1_000_000
        self._bounds = np.searchsorted(shelf, np.arange(len(CATEGORIES) * BRANDS_PER_GROUP + 1))
        usual = np.array([one.dollars for one in CATEGORIES])[self.category]
        self._dollars = usual * rng.lognormal(0, 0.45, count)
        self._zipf = 1 / (rng.permutation(count) + 12.0) ** 0.9
        # A quarter of the items rise or fade: by up to e ** 2 from the first day to the last.
        self._trend = np.where(rng.random(count) < 0.25, rng.uniform(-2, 2, count), 0) / days
        self._season = rng.integers(20, 200, count)
        self._phase = rng.integers(0, 200, count)
        self._seed, self._words = seed, rng.integers(0, 2**16, (count, 8))

    def shelf(self, day: int) -> Shelf:
        """What can be seen and bought on a day."""
        weight = np.where(self.comes <= day, self._zipf * np.exp(self._trend * day), 0)
        demand = np.concatenate(([0.0], np.cumsum(weight)))
        seasons = np.arange(self.count) * 2**20 + self._seasons(day)
        dollars = self._dollars * (0.85 + 0.3 * unit(self._seed, "price", seasons))
        return Shelf(self.category, self.brand, dollars, demand, self._bounds)

    def _seasons(self, day: int) -> Ints:
        """How often each price has changed: [items]."""
        seasons: Ints = (day + self._phase) // self._season
        return seasons

    def news(self, day: int) -> Ints:
        """Items to tell of on a day: all that are there on the first, then the new and changed."""
        if day == 0:
            return np.flatnonzero(self.comes <= 0)
        changed = (self._seasons(day) != self._seasons(day - 1)) & (self.comes < day)
        return np.flatnonzero(changed | (self.comes == day))

    def ids(self) -> pa.Array:
        """Item ids [items]."""
        return text.join("p-", text.whole(self.number))

    def lines(self, day: int, first_day: int) -> tuple[pa.Array, pa.Array]:
        """The rows of the catalogue file of a day as CSV lines, and their item ids.

        Args:
            first_day: days from 1970 to the first day of the log.
        """
        items = self.news(day)
        category, brand, words = self.category[items], self.brand[items], self._words[items]
        currency = np.array([vocabulary.CURRENCIES.index(one.currency) for one in BRANDS])[brand]
        cents = self.shelf(day).cents(items, currency)
        came = np.where(self.comes[items] > 0, self.comes[items], -(words[:, 7] % 700))
        english = [word for one in CATEGORIES for word in one.words[0].split()]

        def word(place: int) -> pa.Array:
            return text.choose(english, category * WORDS + (words[:, 0] + place) % WORDS)

        def trait(place: int) -> pa.Array:
            return text.choose([w for b in BRANDS for w in b.words], brand * 2 + place)

        name = text.choose([one.name for one in BRANDS], brand)
        title = text.join(
            name, " ", pc.utf8_capitalize(word(0)), " ", text.whole(words[:, 1] % 900 + 100)
        )
        third = words[:, 2] % 3 > 0
        ids = self.ids().take(pa.array(items))
        lines = text.join(
            *(ids, ",", title, ","),
            *(text.choose([one.path for one in CATEGORIES], category), ",", name, ","),
            *(text.cents(cents), ",", text.choose(vocabulary.CURRENCIES, currency), ',"The '),
            *(trait(0), " ", word(0), " of ", name, ". Goes well with any ", word(1), " or "),
            *(word(2), ", ", trait(1), " as ever.", text.where(third, " Often bought with a ", "")),
            *(text.where(third, word(3), ""), text.where(third, ".", ""), '",'),
            *(text.date(first_day + came), ",", text.date(np.full(len(items), first_day + day))),
            "T00:00:00Z\n",
        )
        return lines, ids
