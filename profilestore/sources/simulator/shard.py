"""The events of one shard: from what people do to files, a day at a time."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from profilestore.sources.simulator.catalogue import Catalogue
from profilestore.sources.simulator.chance import DAY, Columns, place, stream
from profilestore.sources.simulator.dirt import plant, spoiled_json, spoiled_order_line
from profilestore.sources.simulator.lines import EventLines
from profilestore.sources.simulator.network import day_of_posts
from profilestore.sources.simulator.orders import LINES_HEADER, day_of_lines, order_lines
from profilestore.sources.simulator.population import SLOTS, People
from profilestore.sources.simulator.shop import PURCHASE, Shop
from profilestore.sources.simulator.truth import Truth
from profilestore.sources.simulator.writing import Log

_SPOILED_WEB = partial(spoiled_json, kind="type", time="ts", actor="anonymous_id")
_SPOILED_SOCIAL = partial(spoiled_json, kind="verb", time="created", actor="handle")


def write_shard(
    people: People, catalogue: Catalogue, folder: Path, truth: Truth,
    *, bot_events: float, calls: float,
) -> Iterator[None]:  # fmt: skip
    """Write the web and social events and the order lines of a shard; a step for each day.

    Args:
        bot_events: web events of all bots together in a day, on average.
        calls: orders by telephone that each person makes in a day, on average.
    """
    lines = EventLines(people, catalogue)
    items, accounts = catalogue.ids(), people.account_ids()
    web, social, ordered = (
        Log(folder, kind, f"-{people.shard:03}.{ending}", people.start // DAY, people.days, truth,
            spoil, header=header, prefix=prefix)
        for kind, ending, spoil, header, prefix in (
            ("web/events", "jsonl", _SPOILED_WEB, "", ""),
            ("social/events", "jsonl", _SPOILED_SOCIAL, "", ""),
            ("orders/lines", "csv", spoiled_order_line, LINES_HEADER, "o-"),
        )
    )  # fmt: skip
    shop = Shop(people, bot_events=bot_events)
    seen = np.full(len(people.device), -1)
    for day in range(people.days):
        shelf = catalogue.shelf(day)
        rng = stream(people.seed, "dirt", people.shard, day)
        visits = shop.day(day, shelf)
        _tell_cookies(people, day, visits, seen, truth)
        bought = {name: found[visits["type"] == PURCHASE] for name, found in visits.items()}

        def planted(
            rows: Columns, name: str, day: int = day, rng: np.random.Generator = rng
        ) -> Columns:
            count = len(rows["event"])
            ids = place(people.shard, day, count, after=count)
            rows = plant(rng, rows, ids, seed=people.seed, name=name)
            return rows | {"number": people.number[rows["person"]]}

        rows = planted(visits, "web")
        web.write(rng, day, rows, lines.web(rows))
        rows = planted(day_of_posts(people, day, shelf), "social")
        social.write(rng, day, rows, lines.social(rows))
        rows = planted(day_of_lines(people, day, shelf, bought, calls), "line")
        ordered.write(rng, day, rows, order_lines(items, accounts, rows))
        yield


def _tell_cookies(
    people: People, day: int, visits: Columns, seen: np.ndarray, truth: Truth
) -> None:
    """Write down the cookies of people that have not been used before; `seen` is kept up."""
    used = np.unique(visits["device"])
    used = used[used < people.count * SLOTS]
    generation = people.generation(day)
    new = used[seen[used] != generation[used]]
    seen[new] = generation[new]
    truth.of_cookies(people, new, people.cookies(new, generation[new]))
