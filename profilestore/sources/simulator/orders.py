"""Orders and customers, as the shop's own systems export them each night."""

from __future__ import annotations

import unicodedata

import numpy as np
import pyarrow as pa

from profilestore.sources.simulator import text
from profilestore.sources.simulator.catalogue import Shelf
from profilestore.sources.simulator.chance import (
    DAY,
    HOUR,
    Columns,
    Floats,
    Ints,
    place,
    scrambled,
    stack,
    stream,
    unit,
)
from profilestore.sources.simulator.dirt import Kind
from profilestore.sources.simulator.population import People
from profilestore.sources.simulator.vocabulary import COUNTRIES, CURRENCIES

EXPORT = 22 * HOUR
"""When in the day, in UTC, orders and customers are exported."""
LINES_HEADER = (
    "order_id,line,ordered_at,exported_at,customer_id,item_id,quantity,unit_price,currency,status\n"
)
CUSTOMERS_HEADER = (
    "customer_id,email,full_name,birth_year,gender,country,city,signed_up_at,exported_at\n"
)


def exported_on(moment: Ints, start: int) -> Ints:
    """The day of the log in whose export something is that happened at `moment`; before it: 0."""
    exported: Ints = np.maximum((moment - start - EXPORT - 1) // DAY + 1, 0)
    return exported


def day_of_lines(people: People, day: int, shelf: Shelf, bought: Columns, phone: float) -> Columns:
    """The order lines of a day: of its web purchases, and of orders by telephone.

    Args:
        bought: web purchases.
        phone: orders by telephone that each person makes in a day, on average.

    Columns [lines]: `event` and `order` (both the id of the order), `line`, `person`, `item`,
    `quantity`, `cents`, `currency`, `happened`, `received` (when exported), `cancelled`, `kinds`.
    """
    rng = stream(people.seed, "orders", people.shard, day)
    web = {name: bought[name] for name in _COLUMNS}
    web["happened"] = web["happened"] + rng.integers(200, 3_000, len(web["order"]))
    web["kinds"] = web["kinds"] & int(Kind.CURRENCY)
    lines = stack((web, _by_telephone(rng, people, day, shelf, phone)))
    count = len(lines["order"])
    lines["event"] = lines["order"]
    exported = exported_on(lines["happened"], people.start)
    lines["received"] = people.start + exported * DAY + EXPORT
    lines["cancelled"] = rng.random(count) < 0.04
    return lines


_COLUMNS = (
    *("order", "line", "person", "item", "quantity", "cents", "currency", "happened", "kinds"),
)


def _by_telephone(
    rng: np.random.Generator, people: People, day: int, shelf: Shelf, phone: float
) -> Columns:
    chance: Floats = phone * people.here(day) * people.has_account
    caller = np.repeat(np.arange(people.count), rng.poisson(chance))
    local = rng.uniform(8, 18, len(caller))
    inside = ((local - people.offset[caller]) % 24 * HOUR).astype(np.int64)
    at = people.start + day * DAY + inside
    known = at >= people.signed_up[caller]
    caller, at = caller[known], at[known]
    steps = rng.integers(1, 4, len(caller))
    call = np.repeat(np.arange(len(caller)), steps)
    person = caller[call]
    item = people.items(rng, shelf, person, people.categories(rng, person))
    currency = people.currency[person]
    numbers = place(people.shard, day, len(caller))
    return {
        "order": scrambled(people.seed, "call", numbers)[call],
        "line": np.arange(len(call)) - np.repeat(np.cumsum(steps) - steps, steps) + 1,
        "person": person,
        "item": item,
        "quantity": np.minimum(rng.geometric(0.7, len(call)), 9),
        "cents": shelf.cents(item, currency),
        "currency": currency,
        "happened": at[call],
        "kinds": np.zeros(len(call), np.int64),
    }


def order_lines(items: pa.Array, accounts: pa.Array, rows: Columns) -> pa.Array:
    """Order lines as CSV lines; `items` and `accounts` are the ids of all."""
    return text.join(
        *("o-", text.hexadecimal(rows["order"]), ",", text.whole(rows["line"]), ","),
        *(text.instant(rows["happened"]), "Z,", text.instant(rows["received"]), "Z,"),
        *(text.choose(accounts, rows["person"]), ",", text.choose(items, rows["item"]), ","),
        *(text.whole(rows["quantity"]), ",", text.cents(rows["cents"]), ","),
        *(text.choose(CURRENCIES, rows["currency"]), ","),
        *(text.where(rows["cancelled"], "cancelled", "paid"), "\n"),
    )


def customer_lines(people: People) -> tuple[pa.Array, pa.Array, Ints]:
    """All customers of a shard by sign-up: CSV lines, ids, and the day of the export each is in."""
    who = np.flatnonzero(people.has_account)
    who = who[np.argsort(people.signed_up[who], kind="stable")]
    exported = exported_on(people.signed_up[who], people.start)

    def chance(name: str) -> Floats:
        return unit(people.seed, name, people.number[who])

    country, accounts = people.country[who], people.account_ids().take(pa.array(who))
    woman = chance("woman") < 0.5
    given = country * 10 + np.where(woman, 0, 5) + (chance("given") * 5).astype(np.int64)
    family = country * 8 + (chance("family") * 8).astype(np.int64)
    names = [name for one in COUNTRIES for name in one.given]
    families = [name for one in COUNTRIES for name in one.family]
    gender = np.where(chance("tells") < 0.25, 2, np.where(woman, 0, 1))
    years = text.whole(1940 + (chance("year") * 66).astype(np.int64))
    cities = [city for one in COUNTRIES for city in one.cities]
    lines = text.join(
        *(accounts, ",", text.choose([_ascii(one) for one in names], given), "."),
        *(text.choose([_ascii(one) for one in families], family), ".", accounts, "@example.com,"),
        *(text.choose(names, given), " ", text.choose(families, family), ","),
        *(text.where(chance("birth") < 0.2, "", years), ","),
        *(text.choose(["f", "m", ""], gender), ","),
        *(text.choose([one.code for one in COUNTRIES], country), ","),
        text.where(chance("moved") < 0.1, "", text.choose(cities, country * 4 + people.city[who])),
        *(",", text.instant(people.signed_up[who]), "Z,"),
        *(text.instant(people.start + exported * DAY + EXPORT), "Z\n"),
    )
    return lines, accounts, exported


def _ascii(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name.replace("ß", "ss"))
    return "".join(letter for letter in plain if letter.isascii()).lower()
