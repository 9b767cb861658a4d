"""A day in the social network: posts, likes, comments, shares and follows."""

from __future__ import annotations

import numpy as np

from profilestore.sources.simulator.catalogue import Shelf
from profilestore.sources.simulator.chance import Columns, Ints, place, scrambled, stream
from profilestore.sources.simulator.dirt import RATES, Kind
from profilestore.sources.simulator.population import SLOTS, People

VERBS = ("post", "like", "comment", "share", "follow")
POST, LIKE, COMMENT, SHARE, FOLLOW = range(5)
CHANCES = (0.15, 0.47, 0.15, 0.13, 0.1)
EVENTS_PER_VISIT = 2.0


def day_of_posts(people: People, day: int, shelf: Shelf) -> Columns:
    """The social events of visits that begin on this day.

    Columns [events]: `event` (id), `visit`, `person`, `device`, `verb`, `item` (-1: none), `target`
    (the person followed, -1: none), `flavour` [events, 6] (which words a text is made of), `cents`
    (-1: social events have no price), `happened`, `sent`, `received`, `kinds`.
    """
    rng = stream(people.seed, "network", people.shard, day)
    visitor = np.repeat(np.arange(people.count), rng.poisson(people.posts(day)))
    steps = rng.geometric(1 / EVENTS_PER_VISIT, len(visitor))
    visit = np.repeat(np.arange(len(visitor)), steps)
    person, count = visitor[visit], len(visit)
    verb = rng.choice(len(VERBS), count, p=CHANCES)
    target = _others(rng, np.flatnonzero(people.has_handle), person)
    # Who has nobody to follow likes something instead.
    verb = np.where((verb == FOLLOW) & (target < 0), LIKE, verb)
    item = people.items(rng, shelf, person, people.categories(rng, person))
    within = np.arange(count) - np.repeat(np.cumsum(steps) - steps, steps)
    start = people.moments(rng, visitor, day)[visit]
    odd = ((verb == POST) | (verb == COMMENT)) & (rng.random(count) < RATES.text_form)
    events = {
        "event": scrambled(people.seed, "social", place(people.shard, day, count)),
        "visit": visit,
        "person": person,
        "device": person * SLOTS,
        "verb": verb,
        "item": np.where(verb == FOLLOW, -1, item),
        "target": np.where(verb == FOLLOW, target, -1),
        "flavour": rng.integers(0, 12, (count, 6)),
        "cents": np.full(count, -1),
        "happened": start + within * 20_000 + rng.integers(0, 15_000, count),
        "kinds": np.where(odd, int(Kind.TEXT_FORM), 0),
    }
    return people.send(rng, events)


def _others(rng: np.random.Generator, members: Ints, person: Ints) -> Ints:
    """A member for each person that is not the person; -1 where the two drawn are."""
    if not len(members):
        return np.full(len(person), -1)
    first, second = (rng.choice(members, len(person)) for _ in range(2))
    other = np.where(first == person, second, first)
    return np.where(other == person, -1, other)
