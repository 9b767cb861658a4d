"""From feature columns to the arrays a tower takes: one code for training and for serving.

The encoding of a feature follows from its type and from what its YAML says of it, so a column that
dbt adds to a mart is in the next model with no edit:

| column | becomes |
| --- | --- |
| number, boolean, decimal | one float, `sign(x) log(1 + |x|)`, and whether it is there |
| timestamp | its age in days when asked, then as a number |
| text or list of texts with `vocabulary: <name>` | ids in that vocabulary |
| list of texts that also says `along: <column>` | ids beside that column's, value for value |
| list of numbers with `weights_of: <column>` | weights beside that column's ids |
| list of numbers with `vector: <length>` | those numbers as they are, zeros where there is none |
| anything else | left out, and named in `Encoding.left_out` |

A number that is missing is the column's declared default, else 0. Ids start at 2: 0 pads, 1 is a
value that training never saw.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from profilestore.errors import ProfilestoreError

PAD, UNKNOWN, FIRST_ID = 0, 1, 2
LIST_LENGTH = 50
_DAY_US = 86_400_000_000

Arrays = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Feature:
    """A feature as a feature service declares it.

    Attributes:
        view, name: where it comes from; its column is `<view>__<name>`.
        entity: `user` or `item`.
        kind: `number`, `timestamp`, `text`, `list_of_text`, `list_of_number` or `other`.
        tags: what the mart's YAML says of the column.
    """

    view: str
    name: str
    entity: str
    kind: str
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def column(self) -> str:
        return f"{self.view}__{self.name}"


@dataclass(frozen=True)
class Encoding:
    """How the features of one entity become arrays.

    Attributes:
        numbers, ages: columns that become one float each, in this order.
        ids: column -> vocabulary, of single texts.
        id_lists: column -> vocabulary, of lists.
        weights: column of a list of texts -> column of its weights.
        left_out: column -> why the model does not read it.
        defaults: column of numbers -> what stands for a missing one, where dbt declares it.
        along: list of ids -> the list of ids that it runs along, value for value.
        vectors: list of numbers -> its length.
    """

    entity: str
    numbers: tuple[str, ...]
    ages: tuple[str, ...]
    ids: Mapping[str, str]
    id_lists: Mapping[str, str]
    weights: Mapping[str, str]
    left_out: Mapping[str, str]
    defaults: Mapping[str, float] = field(default_factory=dict)
    along: Mapping[str, str] = field(default_factory=dict)
    vectors: Mapping[str, int] = field(default_factory=dict)

    @property
    def columns(self) -> list[str]:
        """Every column that is read."""
        lists = (*self.id_lists, *self.weights.values(), *self.vectors)
        return [*self.numbers, *self.ages, *self.ids, *lists]

    @property
    def floats(self) -> int:
        """Width of the `numbers` array: a value and a presence for each."""
        return 2 * (len(self.numbers) + len(self.ages))

    @property
    def vocabularies(self) -> set[str]:
        return {*self.ids.values(), *self.id_lists.values()}

    def histories(self, items: str) -> list[str]:
        """The first list of ids of the vocabulary `items`, and the lists that run along it."""
        lists = self.id_lists.items()
        first = next((name for name, vocabulary in lists if vocabulary == items), None)
        if first is None:
            return []
        return [first, *(name for name, of in self.along.items() if of == first)]

    def without_ages(self, why: str) -> Encoding:
        """The same encoding, timestamps left out."""
        return replace(self, ages=(), left_out={**self.left_out, **dict.fromkeys(self.ages, why)})

    def encode(
        self,
        columns: Mapping[str, pa.Array],
        asked_at_us: npt.NDArray[np.int64],
        vocabularies: Mapping[str, Vocabulary],
    ) -> Arrays:
        """Arrays of `len(asked_at_us)` rows.

        Returns:
            `numbers` float32 [rows, floats]; for each id column int32 [rows]; for each id list
            int32 [rows, LIST_LENGTH], padded at the end with 0; for each weighted list
            `<column>__weights` float32 [rows, LIST_LENGTH]; for each vector float32 [rows, length].

        Raises:
            ProfilestoreError: a vector is of another length.
        """
        rows = len(asked_at_us)
        floats = np.zeros((rows, self.floats), np.float32)
        for position, name in enumerate((*self.numbers, *self.ages)):
            value, there = (
                _number(columns[name])
                if name in self.numbers
                else _age_days(columns[name], asked_at_us)
            )
            if name in self.defaults:
                value = np.where(there, value, self.defaults[name])
            floats[:, 2 * position] = np.sign(value) * np.log1p(np.abs(value))
            floats[:, 2 * position + 1] = there
        arrays: Arrays = {"numbers": floats}
        for name, vocabulary in self.ids.items():
            arrays[name] = vocabularies[vocabulary].ids(columns[name])
        for name, vocabulary in self.id_lists.items():
            flat, row, slot = _flatten(columns[name])
            padded = np.zeros((rows, LIST_LENGTH), np.int32)
            padded[row, slot] = vocabularies[vocabulary].ids(flat)
            arrays[name] = padded
        for name, weights in self.weights.items():
            flat, row, slot = _flatten(columns[weights])
            padded = np.zeros((rows, LIST_LENGTH), np.float32)
            padded[row, slot] = np.nan_to_num(_number(flat)[0])
            arrays[f"{name}__weights"] = padded
        for name, length in self.vectors.items():
            arrays[name] = _vectors(name, columns[name], length)
        return arrays

    def encode_row(
        self,
        values: Mapping[str, Any],
        asked_at: datetime,
        vocabularies: Mapping[str, Vocabulary],
    ) -> Arrays:
        """One row from plain Python values (a column that is absent is null).

        Raises:
            TypeError, ValueError: a value is not of its column's type.
        """
        for name in self.id_lists:
            if isinstance(values.get(name), str):  # Arrow would take it for a list of letters
                raise TypeError(f"{name}: found a text, needed a list")
        typed = {
            **dict.fromkeys(self.numbers, pa.float64()),
            **dict.fromkeys(self.ages, pa.timestamp("us", tz="UTC")),
            **dict.fromkeys(self.ids, pa.string()),
            **dict.fromkeys(self.id_lists, pa.list_(pa.string())),
            **dict.fromkeys((*self.weights.values(), *self.vectors), pa.list_(pa.float64())),
        }
        columns = {name: pa.array([_plain(values.get(name))], kind) for name, kind in typed.items()}
        asked_at_us = np.array([_epoch_us(asked_at)], np.int64)
        return self.encode(columns, asked_at_us, vocabularies)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Encoding:
        return cls(**{**values, "numbers": tuple(values["numbers"]), "ages": tuple(values["ages"])})


class Vocabulary:
    """Known values of a kind, in order; value number n has id n + 2."""

    def __init__(self, name: str, values: Sequence[str]) -> None:
        self.name = name
        self.values = list(values)
        self._values = pa.array(self.values, pa.string())

    def __len__(self) -> int:
        """Number of ids, padding and unknown included."""
        return len(self.values) + FIRST_ID

    def ids(self, texts: pa.Array) -> npt.NDArray[np.int32]:
        """int32 ids of a string array: unknown values 1, nulls 0."""
        found = pc.index_in(texts, value_set=self._values)
        ids = pc.fill_null(found, UNKNOWN - FIRST_ID).to_numpy(zero_copy_only=False) + FIRST_ID
        return np.where(texts.is_null().to_numpy(zero_copy_only=False), PAD, ids).astype(np.int32)

    def grown(self, columns: Iterable[pa.Array]) -> Vocabulary:
        """This vocabulary and, after its values, those of text columns or lists of texts that it
        does not have, sorted. Ids that it has stay what they are."""
        held = set(self.values)
        seen: set[str] = set()
        for column in columns:
            flat = _flatten(column)[0] if pa.types.is_list(column.type) else column
            seen.update(flat.unique().drop_null().to_pylist())
        return Vocabulary(self.name, [*self.values, *sorted(seen - held)])


def plan(features: Iterable[Feature], entity: str) -> Encoding:
    """The encoding of one entity's features.

    Raises:
        ProfilestoreError: `weights_of` or `along` names a column that the view does not have, the
            default of a number is none, or the length of a vector.
    """
    chosen = [feature for feature in features if feature.entity == entity]
    known = {feature.column for feature in chosen}
    numbers, ages, left_out = [], [], {}
    ids, id_lists, weights, defaults, along, vectors = {}, {}, {}, {}, {}, {}
    for feature in chosen:
        vocabulary = feature.tags.get("vocabulary")
        if feature.kind == "number":
            numbers.append(feature.column)
            if "default" in feature.tags:
                defaults[feature.column] = _default(feature)
        elif feature.kind == "timestamp":
            ages.append(feature.column)
        elif feature.kind == "text" and vocabulary:
            ids[feature.column] = vocabulary
        elif feature.kind == "list_of_text" and vocabulary:
            id_lists[feature.column] = vocabulary
            if "along" in feature.tags:
                along[feature.column] = _sibling(feature, "along", known)
        elif feature.kind == "list_of_number" and "weights_of" in feature.tags:
            weighted = _sibling(feature, "weights_of", known)
            if weighted in weights:
                left_out[feature.column] = f"{weighted} has weights already"
            else:
                weights[weighted] = feature.column
        elif feature.kind == "list_of_number" and "vector" in feature.tags:
            vectors[feature.column] = _length(feature)
        else:
            left_out[feature.column] = (
                "text without a vocabulary" if "text" in feature.kind else f"a {feature.kind}"
            )
    for weighted in weights.keys() - id_lists.keys():
        left_out[weights.pop(weighted)] = f"weights of {weighted}, which has no ids"
    return Encoding(
        entity,
        tuple(numbers),
        tuple(ages),
        ids,
        id_lists,
        weights,
        left_out,
        defaults,
        along,
        vectors,
    )


def _sibling(feature: Feature, tag: str, known: set[str]) -> str:
    """The column of the same view that a tag names."""
    column = f"{feature.view}__{feature.tags[tag]}"
    if column not in known:
        raise ProfilestoreError(
            f"feature {feature.column}: {tag} names {column}, "
            "which the feature service does not have. Correct the mart's YAML."
        )
    return column


def _default(feature: Feature) -> float:
    said = feature.tags["default"]
    try:
        value = float(json.loads(said))
    except (TypeError, ValueError):
        value = math.nan
    if not math.isfinite(value):
        raise ProfilestoreError(
            f"feature {feature.column}: its default is {said}, needed a number. Correct it where "
            "the feature is declared."
        )
    return value


def _length(feature: Feature) -> int:
    said = feature.tags["vector"]
    if not said.isdecimal() or not int(said):
        raise ProfilestoreError(
            f"feature {feature.column}: its tag vector is {said}, needed how many numbers it has. "
            "Correct the mart's YAML."
        )
    return int(said)


def vocabularies_to_json(vocabularies: Mapping[str, Vocabulary]) -> str:
    return json.dumps({name: v.values for name, v in vocabularies.items()}, ensure_ascii=False)


def vocabularies_from_json(text: str) -> dict[str, Vocabulary]:
    return {name: Vocabulary(name, values) for name, values in json.loads(text).items()}


def _plain(value: Any) -> Any:
    """The same value, numbers as floats: Arrow makes a double neither of a decimal nor of an
    integer above 2^53, and both come from the online store."""
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return float(value) if isinstance(value, int | Decimal) else value


def _number(column: pa.Array) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Values with 0 for null and NaN, and 1.0 where there is one."""
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    values = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    there = np.isfinite(values)
    return np.where(there, values, 0.0), there.astype(np.float64)


def _age_days(
    column: pa.Array, asked_at_us: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    at = column.cast(pa.timestamp("us", tz="UTC")).cast(pa.int64())
    there = ~at.is_null().to_numpy(zero_copy_only=False)
    at_us = pc.fill_null(at, 0).to_numpy(zero_copy_only=False)
    return np.where(there, (asked_at_us - at_us) / _DAY_US, 0.0), there.astype(np.float64)


def _flatten(
    column: pa.Array,
) -> tuple[pa.Array, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The first LIST_LENGTH values of each list, with their row and their place in the list."""
    lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False)
    values = column.flatten()
    row = np.repeat(np.arange(len(lengths)), lengths)
    starts = np.repeat(np.cumsum(lengths) - lengths, lengths)
    slot = np.arange(len(row)) - starts
    kept = slot < LIST_LENGTH
    return values.filter(pa.array(kept)), row[kept], slot[kept]


def _vectors(name: str, column: pa.Array, length: int) -> npt.NDArray[np.float32]:
    there = column.is_valid().to_numpy(zero_copy_only=False)
    lengths = pc.list_value_length(column).drop_null()
    if pc.any(pc.not_equal(lengths, length)).as_py():
        raise ProfilestoreError(
            f"feature {name}: found a vector of {pc.max(lengths).as_py()} numbers, needed {length} "
            "as its tag vector says. Correct the mart's YAML or its SQL."
        )
    vectors = np.zeros((len(there), length), np.float32)
    numbers = column.flatten().cast(pa.float32()).fill_null(0.0).to_numpy(zero_copy_only=False)
    vectors[there] = np.where(np.isfinite(numbers), numbers, 0.0).reshape(-1, length)
    return vectors


def _epoch_us(at: datetime) -> int:
    # Timestamps as integers: a float of seconds would round microseconds away.
    return int(pa.scalar(at, pa.timestamp("us", tz="UTC")).cast(pa.int64()).as_py())
