"""A day in the shop: who visits, on which device, what they look at, when they log in and buy.

Visits are independent but for one thing that is carried from day to day: on which devices somebody
is logged in.
"""

from __future__ import annotations

import numpy as np

from profilestore.sources.simulator import chance
from profilestore.sources.simulator.catalogue import Shelf
from profilestore.sources.simulator.chance import (
    DAY,
    SECOND,
    Columns,
    Flags,
    Ints,
    place,
    scrambled,
)
from profilestore.sources.simulator.dirt import RATES, Kind
from profilestore.sources.simulator.population import BY_LOGIN, NEVER, SLOTS, People
from profilestore.sources.simulator.vocabulary import CATEGORIES, CURRENCIES, LANGUAGES, WORDS

TYPES = ("page_view", "click", "search", "add_to_cart", "purchase", "login")
VIEW, CLICK, SEARCH, CART, PURCHASE, LOGIN = range(6)
STEPS = 4
"""Items that a visit looks at, on average."""
EVENTS_PER_VISIT = 6.5
"""Web events of a visit as they come out of the chances below, with copies; measured."""
PAIRS = WORDS * (WORDS - 1)
"""Searches for two words of a category, in each language. Searches for a brand come after them."""


class Shop:
    """The shop as the people of one shard use it."""

    def __init__(self, people: People, *, bot_events: float) -> None:
        """`bot_events`: events of all bots together that a day brings, on average."""
        self._people, self._bot_events = people, bot_events
        self._logged_in = np.zeros(len(people.device), bool)
        self._due = np.append(people.due.ravel(), np.full(people.bots, NEVER))

    def day(self, day: int, shelf: Shelf) -> Columns:
        """The web events of visits that begin on this day; call it for each day in order.

        Columns [events]: `event`, `visit`, `order`, `cookie` (ids), `person`, `device` (indices),
        `type`, `item` (-1: none), `query` (-1: none), `quantity` (0: none), `cents` (-1: none),
        `currency`, `known` (whether the device is logged in), `by_network` (a login through the
        social network), `line` (of the order), `happened`, `sent`, `received` (milliseconds since
        1970, by right clocks), `kinds`.
        """
        people = self._people
        rng = chance.stream(people.seed, "shop", people.shard, day)
        person = np.repeat(np.arange(people.count), rng.poisson(people.visits(day)))
        device = people.devices(rng, person)
        start = people.moments(rng, person, day)
        order = np.lexsort((start, people.device[device]))
        person, device = person[order], device[order]
        steps = rng.geometric(1 / STEPS, len(person))
        pauses = 5_000 + rng.exponential(25_000, steps.sum()).astype(np.int64)
        lasts = np.add.reduceat(np.append(pauses, 0), np.cumsum(steps) - steps)[: len(steps)]
        start = _one_by_one(people.device[device], start[order], lasts + 60 * SECOND)

        browsed, bought_at = self._browse(rng, shelf, person, start + 2 * SECOND, steps, pauses)
        self._forget_cleared(rng, day)
        known, login_at = self._log_in(rng, person, device, start, bought_at)
        enters = np.flatnonzero(login_at < NEVER)
        searches = np.flatnonzero(rng.random(len(person)) < 0.35)
        parts = [
            *browsed,
            _events(LOGIN, enters, login_at[enters]),
            _events(SEARCH, searches, start[searches])
            | {"query": self._queries(rng, person[searches])},
        ]
        events = chance.stack(parts)
        visit = events["visit"]
        foreign = rng.random(len(person)) < RATES.currency
        other = (people.currency[person] + rng.integers(1, 5, len(person))) % len(CURRENCIES)
        linked = np.append(people.link == BY_LOGIN, False)[person[visit]]
        events |= {
            "person": person[visit],
            "device": device[visit],
            "known": known[visit] | (events["happened"] >= login_at[visit]),
            "by_network": linked & (events["type"] == LOGIN) & (rng.random(len(visit)) < 0.7),
            "currency": np.where(foreign, other, people.currency[person])[visit],
            "kinds": np.where(foreign[visit] & (events["item"] >= 0), int(Kind.CURRENCY), 0),
        }
        crawled = self._crawl(rng, day, shelf, first_visit=len(person))
        return self._finish(rng, day, shelf, chance.stack((events, crawled)))

    def _forget_cleared(self, rng: np.random.Generator, day: int) -> None:
        cleared = self._people.generation(day) != self._people.generation(day - 1)
        self._logged_in &= ~cleared
        again = self._people.start + day * DAY + rng.exponential(1.5 * DAY, len(cleared))
        self._due = np.where(cleared, np.maximum(again.astype(np.int64), self._due), self._due)

    def _browse(
        self, rng: np.random.Generator, shelf: Shelf, visitor: Ints, start: Ints, steps: Ints,
        pauses: Ints,
    ) -> tuple[list[Columns], Ints]:  # fmt: skip
        """Views and what comes of them; and when each visit first buys, or `NEVER`: [visits]."""
        people = self._people
        visit = np.repeat(np.arange(len(visitor)), steps)
        person, count = visitor[visit], len(visit)
        passed = np.cumsum(pauses)
        at = start[visit] + passed - np.repeat(passed[np.cumsum(steps) - steps], steps)
        # A visit is mostly about one thing.
        mood = people.categories(rng, visitor)[visit]
        category = np.where(rng.random(count) < 0.6, mood, people.categories(rng, person))
        item = people.items(rng, shelf, person, category)

        fond = people.fondness(shelf, person, item)
        clicked = rng.random(count) < 0.12 + 0.38 * fond
        carted = clicked & (rng.random(count) < 0.18 + 0.5 * fond)
        buys = people.logs_in[person] & (at >= people.signed_up[person])
        bought = np.flatnonzero(carted & buys & (rng.random(count) < 0.34 + 0.42 * fond))
        after = at + rng.integers(1_000, 3_000, count)
        paid = after + rng.integers(20_000, 21_000, count)
        bought_at = np.full(len(visitor), NEVER)
        np.minimum.at(bought_at, visit[bought], paid[bought])
        events = [
            _events(kind, visit[which], when[which], item[which])
            for kind, which, when in (
                (VIEW, np.arange(count), at),
                (CLICK, np.flatnonzero(clicked), after),
                (CART, np.flatnonzero(carted), after + 1_500),
                (PURCHASE, bought, paid),
            )
        ]
        return events, bought_at

    def _log_in(
        self, rng: np.random.Generator, person: Ints, device: Ints, start: Ints, bought_at: Ints
    ) -> tuple[Flags, Ints]:
        """Which visits begin logged in, and when the others log in, or `NEVER`: [visits].

        The visits are sorted by device and start. One logs in to buy, or when the time has come;
        the device then stays logged in. On a shared device each visit is on its own.
        """
        people, shared = self._people, self._people.shared[device]
        wants = people.logs_in[person] & (start >= self._due[device])
        wants &= ~shared | (rng.random(len(person)) < 0.7)
        wants |= bought_at < NEVER
        known = self._logged_in[device] & ~shared
        waiting = np.flatnonzero(wants & ~known & ~shared)
        devices, first = np.unique(device[waiting], return_index=True)
        entered = np.full(len(self._logged_in), len(person))
        entered[devices] = waiting[first]
        known |= ~shared & (np.arange(len(person)) > entered[device])
        self._logged_in[devices] = True
        soon = start + rng.integers(500, 40_000, len(person))
        return known, np.where(wants & ~known, np.minimum(soon, bought_at - 6_000), NEVER)

    def _queries(self, rng: np.random.Generator, person: Ints) -> Ints:
        """What each person searches for: two words of a category they like, or a brand."""
        category = self._people.categories(rng, person)
        pairs = self._people.language[person] * len(CATEGORIES) + category
        words = pairs * PAIRS + rng.integers(0, PAIRS, len(person))
        brand = len(LANGUAGES) * len(CATEGORIES) * PAIRS + self._people.favourite(person, category)
        return np.where(rng.random(len(person)) < 0.25, brand, words)

    def _crawl(
        self, rng: np.random.Generator, day: int, shelf: Shelf, *, first_visit: int
    ) -> Columns:
        """The events of the bots: fast in bursts, evenly timed, or awake around the clock."""
        people = self._people
        way = (people.first_bot + np.arange(people.bots)) % 3
        share = np.array([0.6, 0.12, 0.28])[way]
        mean = self._bot_events * share / share.sum()
        counts = np.where(way == 1, np.rint(mean).astype(np.int64), rng.poisson(mean))
        times = [_CRAWLS[how](rng, int(count)) for how, count in zip(way, counts, strict=True)]
        bot, count = np.repeat(np.arange(people.bots), counts), counts.sum()
        kind = np.where(rng.random(count) < 0.9, VIEW, CLICK)
        item = chance.choice(rng, np.cumsum(np.diff(shelf.demand) > 0).astype(float), count)
        at = people.start + day * DAY + np.concatenate(times).astype(np.int64)
        return _events(kind, first_visit + bot, at, item) | {
            "person": np.full(count, people.count),
            "device": people.count * SLOTS + bot,
            "known": np.zeros(count, bool),
            "by_network": np.zeros(count, bool),
            "currency": np.full(count, people.currency[-1]),
            "kinds": np.full(count, int(Kind.BOT)),
        }

    def _finish(self, rng: np.random.Generator, day: int, shelf: Shelf, events: Columns) -> Columns:
        """Ids, prices, orders and the way to the server."""
        people, device, visit = self._people, events["device"], events["visit"]
        count = len(visit)
        numbers = place(people.shard, day, int(visit.max(initial=-1)) + 1)
        bought = np.flatnonzero(events["type"] == PURCHASE)
        line = np.zeros(count, np.int64)
        line[bought] = _ranks(visit[bought]) + 1
        cents = shelf.cents(np.maximum(events["item"], 0), events["currency"])
        quantity = np.minimum(rng.geometric(0.8, count), 9)
        events |= {
            "event": scrambled(people.seed, "web", place(people.shard, day, count)),
            "cookie": people.cookies(device, people.generation(day)[device]),
            "order": scrambled(people.seed, "order", numbers)[visit],
            "line": line,
            "cents": np.where(events["item"] < 0, -1, cents),
            "quantity": np.where(line > 0, quantity, 0),
        }
        events = people.send(rng, events)
        events["visit"] = scrambled(people.seed, "visit", numbers)[visit]
        return events


def _events(kind: int | Ints, visit: Ints, at: Ints, item: Ints | None = None) -> Columns:
    none = np.full(len(visit), -1)
    return {
        "type": none * 0 + kind,
        "visit": visit,
        "happened": at,
        "item": none if item is None else item,
        "query": none,
    }


def _one_by_one(device: Ints, start: Ints, lasts: Ints) -> Ints:
    """The starts of visits, put off until the visit before on the same device is over.

    All are [visits], sorted by device and start. A visit begins at the latest of `start` and the
    end of the one before; less all that passed until then, that is a running maximum.
    """
    if not len(start):
        return start
    before = np.cumsum(lasts) - lasts
    # Each device's visits lie above those of all devices before it, so that none waits for them.
    lift = np.cumsum(np.diff(device, prepend=device[0]) != 0) * (np.ptp(start - before) + 1)
    begins: Ints = np.maximum.accumulate(start - before + lift) - lift + before
    return begins


def _ranks(groups: Ints) -> Ints:
    """The place of each row among those of its group, from 0."""
    order = np.argsort(groups, kind="stable")
    ranks = np.empty(len(groups), np.int64)
    ranks[order] = np.arange(len(groups)) - np.searchsorted(groups[order], groups[order], "left")
    return ranks


def _in_bursts(rng: np.random.Generator, count: int) -> Ints:
    pauses = (rng.random(count) < 0.01) * 30.0
    gaps = rng.exponential(0.7, count) + pauses
    return ((rng.random() * 68_000 + np.cumsum(gaps)) * SECOND).astype(np.int64)


def _evenly(rng: np.random.Generator, count: int) -> Ints:
    gap = DAY / max(count, 1)
    return (np.arange(count) * gap + rng.random(count) * SECOND).astype(np.int64)


def _around_the_clock(rng: np.random.Generator, count: int) -> Ints:
    return np.sort(rng.integers(0, DAY, count))


_CRAWLS = (_in_bursts, _evenly, _around_the_clock)
