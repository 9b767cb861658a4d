"""Events as lines of JSON, whole and clean: faults come after."""

from __future__ import annotations

import json
from itertools import permutations

import numpy as np
import pyarrow as pa

from profilestore.sources.simulator import text, vocabulary
from profilestore.sources.simulator.catalogue import Catalogue
from profilestore.sources.simulator.chance import Columns
from profilestore.sources.simulator.dirt import Kind, other_form
from profilestore.sources.simulator.network import COMMENT, POST, VERBS
from profilestore.sources.simulator.population import BY_DEVICE, DEVICES, People
from profilestore.sources.simulator.shop import TYPES
from profilestore.sources.simulator.vocabulary import BRANDS, CATEGORIES, COUNTRIES, WORDS

_WORDS = [
    word
    for language in range(len(vocabulary.LANGUAGES))
    for one in CATEGORIES
    for word in one.words[language].split()
]
_PAIRS = [
    f'"{first} {second}"'
    for begin in range(0, len(_WORDS), WORDS)
    for first, second in permutations(_WORDS[begin : begin + WORDS], 2)
]
_BRANDS = [one.name for one in BRANDS]
# Where an index can be -1, the last one stands for nothing.
_QUERIES = [*_PAIRS, *(f'"{one}"' for one in _BRANDS), "null"]
_CURRENCIES = [*(f'"{one}"' for one in vocabulary.CURRENCIES), "null"]
_QUANTITIES = ["null", *map(str, range(1, 10))]
_GEO = [f'{{"country":"{one.code}","city":"{city}"}}' for one in COUNTRIES for city in one.cities]


class EventLines:
    """Lines of the events of one shard's people."""

    def __init__(self, people: People, catalogue: Catalogue) -> None:
        self._people, self._category, self._brand = people, catalogue.category, catalogue.brand
        self._items, self._accounts, self._handles = (
            pa.concat_arrays([text.join('"', ids, '"'), pa.array(["null"])])
            for ids in (catalogue.ids(), people.account_ids(), people.handles())
        )
        devices = text.join('"', people.device_ids(), '"')
        linked = np.append(people.link == BY_DEVICE, False)[people.person]
        self._devices = text.where(people.app, devices, "null")
        self._social_devices = text.where(people.app & linked, devices, "null")

    def web(self, rows: Columns) -> pa.Array:
        """Web events, a line each, with its line feed."""
        people, person, device = self._people, rows["person"], rows["device"]
        form, skew = people.form[device], people.skew[device]
        happened = text.instant_form(
            rows["happened"] + skew, np.where(form == 3, 1, form), people.offset[person]
        )
        bought = np.flatnonzero(rows["quantity"])
        orders = text.join('"o-', text.hexadecimal(rows["order"][bought]), '"')
        return text.join(
            *('{"event_id":"', text.hexadecimal(rows["event"])),
            *('","type":"', text.choose(TYPES, rows["type"]), '","ts":', happened),
            *(',"sent_at":"', text.instant(rows["sent"] + skew)),
            *('Z","received_at":"', text.instant(rows["received"])),
            *('Z","anonymous_id":"c-', text.hexadecimal(rows["cookie"])),
            *('","device_id":', text.choose(self._devices, device), ',"user_id":'),
            text.choose(self._accounts, np.where(rows["known"], person, -1)),
            *(',"session_id":"s-', text.hexadecimal(rows["visit"])),
            *('","item_id":', text.choose(self._items, rows["item"])),
            *(',"query":', text.choose(_QUERIES, rows["query"])),
            *(',"order_id":', text.only_at(bought, orders, len(person))),
            *(',"quantity":', text.choose(_QUANTITIES, rows["quantity"])),
            *(',"price":', text.cents(rows["cents"]), ',"currency":'),
            text.choose(_CURRENCIES, np.where(rows["cents"] < 0, -1, rows["currency"])),
            *(',"device":', text.choose(DEVICES, people.model[device]), ',"geo":'),
            *(
                text.choose(_GEO, people.country[person] * 4 + people.city[person]),
                ',"login_with":',
            ),
            *(text.choose(self._handles, np.where(rows["by_network"], person, -1)), "}\n"),
        )

    def social(self, rows: Columns) -> pa.Array:
        """Social events, a line each, with its line feed."""
        people, person, device = self._people, rows["person"], rows["device"]
        form, skew = people.form[device], people.skew[device]
        happened = text.instant_form(rows["happened"] + skew, form, people.offset[person])
        lines = text.join(
            *('{"id":"', text.hexadecimal(rows["event"])),
            *('","verb":"', text.choose(VERBS, rows["verb"]), '","created":', happened),
            *(',"sent_at":"', text.instant(rows["sent"] + skew)),
            *('Z","received_at":"', text.instant(rows["received"])),
            *('Z","handle":', text.choose(self._handles, person)),
            *(',"device_id":', text.choose(self._social_devices, device)),
            *(',"item_id":', text.choose(self._items, rows["item"])),
            *(',"target":', text.choose(self._handles, rows["target"])),
            *(',"text":', self._texts(rows), ',"lang":"'),
            *(text.choose(vocabulary.LANGUAGES, people.language[person]), '","geo":'),
            text.choose(_GEO, people.country[person] * 4 + people.city[person]),
            "}\n",
        )
        odd = np.flatnonzero(rows["kinds"] & int(Kind.TEXT_FORM))
        found = zip(lines.take(pa.array(odd)).to_pylist(), rows["flavour"][odd, 5], strict=True)
        others = [_in_other_form(line, decomposed=bool(flavour % 2)) for line, flavour in found]
        return text.laid_over(lines, odd, pa.array(others, pa.string()))

    def _texts(self, rows: Columns) -> pa.Array:
        writes = np.flatnonzero((rows["verb"] == POST) | (rows["verb"] == COMMENT))
        item, flavour = rows["item"][writes], rows["flavour"][writes]
        language = self._people.language[rows["person"][writes]]
        words = (language * len(CATEGORIES) + self._category[item]) * WORDS
        place = flavour[:, 1] % WORDS
        one = text.choose(_WORDS, words + place)
        other = text.choose(_WORDS, words + (place + 1 + flavour[:, 2] % (WORDS - 1)) % WORDS)
        brand = text.choose(_BRANDS, self._brand[item])
        opening = text.choose(vocabulary.OPENINGS, language * 4 + flavour[:, 3] % 4)
        maker = text.join(text.choose(vocabulary.FROM, language), brand)
        ending = text.choose(vocabulary.ENDINGS, language * 3 + flavour[:, 4] % 3)
        post = text.join('"', opening, one, maker, ", ", ending, " #", other, '"')
        comment = text.join('"', brand, " ", other, ": ", one, ", ", ending, '"')
        texts = text.where(rows["verb"][writes] == POST, post, comment)
        return text.only_at(writes, texts, len(rows["verb"]))


def _in_other_form(line: str, *, decomposed: bool) -> str:
    row = json.loads(line)
    row["text"] = other_form(row["text"], decomposed=decomposed)
    return json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n"
