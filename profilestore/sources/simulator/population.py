"""Who the people are and what they like: drawn once for each shard, before anything happens."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from profilestore.sources.simulator import text, vocabulary
from profilestore.sources.simulator.catalogue import GROUP, WEIGHTS, Shelf
from profilestore.sources.simulator.chance import (
    DAY,
    HOUR,
    Columns,
    Flags,
    Floats,
    Ids,
    Ints,
    choice,
    scrambled,
    stream,
)
from profilestore.sources.simulator.dirt import RATES, Kind
from profilestore.sources.simulator.vocabulary import BRANDS_PER_GROUP, CATEGORIES, COUNTRIES

SLOTS = 3
"""Most devices a person can have; device `person * SLOTS + slot` of the shard, bots come after."""
CONCENTRATION = 2.0
"""Of the Dirichlet distribution of interests: at 2, two to four of the 24 categories matter."""
NEVER = 2**62
BY_DEVICE, BY_LOGIN = 1, 2
"""How a person's social handle can be told to be theirs; 0 if not at all."""
PHONE, DESKTOP = 0, 1
_MODELS = ("phone iOS", "phone Android", "desktop Windows", "desktop macOS",
           "tablet iPadOS", "tablet Android", "desktop Linux")  # fmt: skip
DEVICES = tuple('{{"type":"{}","os":"{}"}}'.format(*one.split()) for one in _MODELS)


class People:
    """The people of one shard.

    Arrays are [people], or [devices] = [people * SLOTS + bots]. Person `count` stands for any bot.

    Args:
        first: the number of the shard's first person in the whole population.
        start: the first instant of the log, in milliseconds since 1970.
        visits, posts: visits to the shop and to the social network that a person pays in a day, on
            average over people and days.
    """

    def __init__(
        self, seed: int, shard: int, first: int, count: int, start: int, days: int,
        visits: float, posts: float,
    ) -> None:  # fmt: skip
        rng = stream(seed, "people", shard)
        self.seed, self.shard, self.count, self.start, self.days = seed, shard, count, start, days
        self.first_bot = round(first * RATES.bot_actors)
        self.bots = max(1, round(count * RATES.bot_actors))
        self.number = np.append(first + np.arange(count), -1)
        self._draw_tastes(rng)
        self._draw_presence(rng, visits, posts)
        self._draw_home(rng)
        self._draw_devices(rng)
        self._draw_accounts(rng)

    def _draw_tastes(self, rng: np.random.Generator) -> None:
        drawn = rng.standard_gamma(WEIGHTS * CONCENTRATION, (self.count, len(CATEGORIES))) + 1e-9
        self.interest: Floats = drawn / drawn.sum(1, keepdims=True)
        """Weights of the categories [people, 24], adding up to 1."""
        self._interest = np.cumsum(self.interest, 1)
        self._favourite = rng.integers(0, BRANDS_PER_GROUP, (self.count, len(vocabulary.GROUPS)))
        self._thrift = rng.beta(1.5, 2.5, self.count)

    def _draw_presence(self, rng: np.random.Generator, visits: float, posts: float) -> None:
        days, count = self.days, self.count
        joins = np.where(rng.random(count) < 0.25, rng.integers(0, days, count), 0)
        stays = rng.integers(1, days + 1, count)
        leaves = np.where(rng.random(count) < 0.2, np.minimum(joins + stays, days), days)
        self.joins, self.leaves = joins, leaves
        """The first day and the day after the last."""
        self.has_handle = rng.random(count) < 0.5
        self._visits = self._rates(rng, np.ones(count), visits)
        self._posts = self._rates(rng, self.has_handle, posts)
        self._weekend = rng.lognormal(0.1, 0.4, count)
        self._peak = rng.normal(19, 3, count)

    def _rates(self, rng: np.random.Generator, takes_part: Flags | Floats, mean: float) -> Floats:
        """How often a day, a heavy tail over people, so that `mean` comes out over the span."""
        drawn = np.minimum(rng.lognormal(0, 1, self.count), 20) * takes_part
        in_all = (drawn * (self.leaves - self.joins)).sum()
        rates: Floats = drawn * (mean * self.count * self.days / in_all if in_all else 0)
        return rates

    def _draw_home(self, rng: np.random.Generator) -> None:
        shares = np.cumsum([one.share for one in COUNTRIES])
        self.country = np.append(choice(rng, shares, self.count), 0)
        self.city = rng.integers(0, 4, self.count + 1)
        self.offset = np.array([one.offset for one in COUNTRIES])[self.country]
        home = np.array([vocabulary.CURRENCIES.index(one.currency) for one in COUNTRIES])
        self.currency = home[self.country]
        native = np.array([one.language for one in COUNTRIES])[self.country]
        self.language = np.where(rng.random(self.count + 1) < 0.8, native, 0)

    def _draw_devices(self, rng: np.random.Generator) -> None:
        count = self.count
        self.link = choice(rng, np.cumsum([0.25, 0.35, 0.4]), count) * self.has_handle
        owned = 1 + choice(rng, np.cumsum([0.42, 0.38, 0.2]), count)
        kind = choice(rng, np.cumsum([0.5, 0.37, 0.13]), count * SLOTS).reshape(count, SLOTS)
        app = rng.random((count, SLOTS)) < 0.4
        kind[self.link == BY_DEVICE, 0], app[self.link == BY_DEVICE, 0] = PHONE, True
        app &= kind != DESKTOP
        skewed = rng.random((count, SLOTS)) < RATES.clock_skew
        unit = np.where(rng.random((count, SLOTS)) < 0.6, HOUR, DAY)
        wrong = unit * rng.integers(1, 12, (count, SLOTS)) * rng.choice((-1, 1), (count, SLOTS))
        skew = np.where(skewed, wrong, 0)
        odd = rng.random((count, SLOTS)) < RATES.time_format
        form = np.where(odd, rng.integers(1, 4, (count, SLOTS)), 0)
        system = rng.integers(0, 2, (count, SLOTS))
        period = np.where(rng.random((count, 1)) < 0.05, rng.integers(8, 30, (count, SLOTS)), 0)
        number = self.number[:-1, None] * 4 + np.arange(SLOTS)
        shared = np.zeros((count, SLOTS), bool)

        # Neighbours of an even and an odd number: the second uses the first device of the first.
        self.shares = np.repeat(rng.random((count + 1) // 2) < 0.04, 2)[:count]
        self.shares[2 * (count // 2) :] = False
        guests = np.flatnonzero(self.shares)[1::2]
        period[self.shares] = 0
        for of_device in (kind, app, skew, form, system, number):
            of_device[guests, 1] = of_device[guests - 1, 0]
        shared[guests, 1] = shared[guests - 1, 0] = True
        owned[guests] = np.maximum(owned[guests], 2)

        has = np.arange(SLOTS) < owned[:, None]
        use = np.array([0.65, 0.25, 0.1]) * has
        self._use = np.cumsum(use / use.sum(1, keepdims=True), 1)
        bots = np.arange(self.bots)
        no, zero = np.zeros(self.bots, bool), np.zeros(self.bots, np.int64)
        self.skew, self.form = np.append(skew, zero), np.append(form, zero)
        """Milliseconds by which clocks are wrong, and forms of times (`text.instant_form`)."""
        self.model = np.append(kind * 2 + system, zero + 6)
        self.app, self.shared = np.append(app & has, no), np.append(shared, no)
        """Which tell their device id (a third of those owned), and which two people use."""
        self._period = np.append(period, zero)
        self.device = np.append(number, -1 - self.shard * 2**20 - bots)
        """The number of the device: the same in both places for a shared one."""
        self.person = np.append(np.repeat(np.arange(count), SLOTS), zero + count)
        """The person of each device."""

    def _draw_accounts(self, rng: np.random.Generator) -> None:
        count = self.count
        self.has_account = (rng.random(count) < 0.8) | self.shares
        self.logs_in = self.has_account & ((rng.random(count) < 0.85) | self.shares)
        before = -rng.integers(1, 1_095 * 24, count) * HOUR - rng.integers(0, HOUR, count)
        after = self.joins * DAY + (rng.exponential(1, count) * DAY).astype(np.int64)
        self.signed_up = self.start + np.where(self.joins > 0, after, before)
        """When the account was made: milliseconds since 1970."""
        browses = (rng.exponential(3, (count, SLOTS)) * DAY).astype(np.int64)
        arrives = np.maximum(self.start + self.joins * DAY, self.signed_up)
        self.due: Ints = arrives[:, None] + browses
        """From when on a device is logged in on, where the person logs in: [people, SLOTS]."""

    def here(self, day: int) -> Flags:
        """Who has come and has not left: [people]."""
        return (self.joins <= day) & (day < self.leaves)

    def visits(self, day: int) -> Floats:
        """Visits to the shop to be expected of each person on a day."""
        return self._visits * self.here(day) * self._weekly(day)

    def posts(self, day: int) -> Floats:
        """Visits to the social network to be expected of each person on a day."""
        return self._posts * self.here(day) * self._weekly(day)

    def _weekly(self, day: int) -> Floats:
        # 1970-01-01 was a Thursday.
        weekend = (self.start // DAY + day + 3) % 7 >= 5
        return 7 * np.where(weekend, self._weekend, 1) / (5 + 2 * self._weekend)

    def moments(self, rng: np.random.Generator, person: Ints, day: int) -> Ints:
        """When in a day of UTC each of these people does something: around their own best hour."""
        around = self._peak[person] + rng.normal(0, 2.5, len(person))
        awake = rng.uniform(7, 23, len(person))
        local = np.where(rng.random(len(person)) < 0.7, around, awake)
        inside = ((local - self.offset[person]) % 24 * HOUR).astype(np.int64)
        moments: Ints = self.start + day * DAY + np.minimum(inside, DAY - 1)
        return moments

    def send(self, rng: np.random.Generator, events: Columns) -> Columns:
        """The events with `sent` and `received`, and the kinds that come of device and line."""
        visit, device = events["visit"], events["device"]
        visits = int(visit.max(initial=-1)) + 1
        offline = rng.random(visits) < RATES.late
        delay = np.where(offline, rng.integers(DAY, 5 * DAY, visits), 0)[visit]
        delay = np.where(self.person[device] < self.count, delay, 0)  # bots are never offline
        sent = events["happened"] + delay + rng.integers(100, 3_000, len(visit))
        kinds = events["kinds"] | np.where(delay > 0, int(Kind.LATE), 0)
        kinds |= np.where(self.skew[device] != 0, int(Kind.CLOCK_SKEW), 0)
        kinds |= np.where(self.form[device] > 0, int(Kind.TIME_FORMAT), 0)
        line = np.minimum(rng.exponential(60, len(visit)), 400).astype(np.int64)
        return events | {"sent": sent, "received": sent + 20 + line, "kinds": kinds}

    def devices(self, rng: np.random.Generator, person: Ints) -> Ints:
        """The device that each of these people takes: an index into the arrays of devices."""
        slot = (rng.random((len(person), 1)) > self._use[person]).sum(1)
        devices: Ints = person * SLOTS + np.minimum(slot, SLOTS - 1)
        return devices

    def categories(self, rng: np.random.Generator, person: Ints) -> Ints:
        """A category for each of these people: one they like, or now and then any."""
        liked = (rng.random((len(person), 1)) > self._interest[person]).sum(1)
        other = choice(rng, np.cumsum(WEIGHTS), len(person))
        found = np.where(rng.random(len(person)) < 0.88, liked, other)
        return np.minimum(found, len(CATEGORIES) - 1)

    def items(self, rng: np.random.Generator, shelf: Shelf, person: Ints, category: Ints) -> Ints:
        """An item of each category: by popularity, favourite brand and price.

        Of two items the thrifty take the cheaper, as often as they are thrifty.
        """
        one, other = (self._item(rng, shelf, person, category) for _ in range(2))
        thrifty = rng.random(len(person)) < self._thrift[person]
        return np.where(thrifty & (shelf.dollars[other] < shelf.dollars[one]), other, one)

    def _item(self, rng: np.random.Generator, shelf: Shelf, person: Ints, category: Ints) -> Ints:
        first = category * BRANDS_PER_GROUP
        brand = first + self._favourite[person, GROUP[category]]
        low, high = (shelf.demand[shelf.bounds[brand + edge]] for edge in (0, 1))
        any_brand = (rng.random(len(person)) < 0.55) | (high <= low)
        low = np.where(any_brand, shelf.demand[shelf.bounds[first]], low)
        high = np.where(any_brand, shelf.demand[shelf.bounds[first + BRANDS_PER_GROUP]], high)
        wanted = low + rng.random(len(person)) * (high - low)
        items: Ints = np.searchsorted(shelf.demand[1:-1], wanted, "right").astype(np.int64)
        return items

    @property
    def favourites(self) -> Ints:
        """The brand that each person likes most in each group of categories: [people, 8]."""
        brands: Ints = np.arange(len(vocabulary.GROUPS)) * BRANDS_PER_GROUP + self._favourite
        return brands

    def favourite(self, person: Ints, category: Ints) -> Ints:
        """The brand that each person likes most among those of a category."""
        brands: Ints = GROUP[category] * BRANDS_PER_GROUP + self._favourite[person, GROUP[category]]
        return brands

    def fondness(self, shelf: Shelf, person: Ints, item: Ints) -> Floats:
        """How much each person likes an item, from 0 to 1."""
        category = shelf.category[item]
        favourite = self.favourite(person, category) == shelf.brand[item]
        liked = np.minimum(self.interest[person, category] * 1.5, 1)
        fondness: Floats = 0.75 * liked + 0.25 * favourite
        return fondness

    def generation(self, day: int) -> Ints:
        """How often the cookies of each device have been cleared: [devices]."""
        period = np.maximum(self._period, 1)
        return np.where(self._period > 0, (day + self.device % period) // period, 0)

    def cookies(self, device: Ints, generation: Ints) -> Ids:
        """Cookies, by device and how often it was cleared."""
        return scrambled(self.seed, "cookie", self.device[device] * 4_096 + generation)

    def account_ids(self) -> pa.Array:
        """Account numbers [people]; also of those who have no account."""
        return text.whole(self.number[:-1] * 48_271 % 2**27 + 100_000_000)

    def handles(self) -> pa.Array:
        """Names in the social network [people]; also of those who are not in it."""
        adjectives, nouns = vocabulary.HANDLES
        number = self.number[:-1] * 69_621 % 2**27
        adjective = text.choose(adjectives, number % len(adjectives))
        return text.join(adjective, "_", text.choose(nouns, number // 10 % 10), text.whole(number))

    def device_ids(self) -> pa.Array:
        """Ids of the devices [devices], which only apps tell."""
        return text.join("d-", text.hexadecimal(scrambled(self.seed, "device", self.device)))
