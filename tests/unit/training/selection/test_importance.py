"""Permutation importance: of towers whose every reading is known."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from profilestore.encoding import LIST_LENGTH, Encoding
from profilestore.errors import InputError
from training.metrics import ndcg
from training.selection.importance import (
    Importance,
    Part,
    Question,
    gains,
    importance,
    parts_of,
    swapped,
    worth_keeping,
)

ROWS, ITEMS = 400, 20
TASTE = Part(("v__taste",), "user", floats=(0, 1))
IDLE = Part(("v__idle",), "user", floats=(2, 3))
KIND = Part(("i__kind",), "item", floats=(0, 1))
PLAIN = Part(("i__plain",), "item", floats=(2, 3))


def question() -> Question:
    """People turn to the item whose kind is their taste; the towers know it by these alone."""
    random = np.random.default_rng(1)
    taste = random.integers(0, ITEMS, ROWS)
    query, inputs = (np.ones((n, 4), np.float32) for n in (ROWS, 2 * ITEMS))
    query[:, 0], query[:, 2] = taste, random.normal(size=ROWS)
    # Every item changes once, between the rows, and stays what it is.
    inputs[:, 0], inputs[:, 2] = np.tile(np.arange(ITEMS), 2), random.normal(size=2 * ITEMS)
    timeline = SimpleNamespace(
        inputs={"numbers": inputs},
        item=np.tile(np.arange(ITEMS), 2),
        at_us=np.repeat([0, ROWS // 2], ITEMS),
    )
    dataset = SimpleNamespace(
        query={"numbers": query},
        item=taste,
        user=np.arange(ROWS) // 4,
        asked_at_us=np.arange(ROWS),
        item_ids=[str(n) for n in range(ITEMS)],
    )

    def one_hot(given: dict[str, np.ndarray]) -> np.ndarray:
        return np.eye(ITEMS, dtype=np.float32)[given["numbers"][:, 0].astype(int)]

    return Question(one_hot, one_hot, ITEMS, dataset, timeline, np.arange(ROWS), None)  # type: ignore[arg-type]


def test_what_the_towers_read_is_missed_and_what_they_do_not_is_not() -> None:
    asked = question()
    whole = gains(asked, (), 0)
    assert (whole == 1).all()
    # A permuted taste is right one time in ITEMS; else the item is anywhere below the top.
    below = ndcg(np.arange(ITEMS), 10)[1:].mean()
    wanted = (1 - 1 / ITEMS) * (1 - below)
    for part in (TASTE, KIND):
        found = importance(asked, [part], whole, 5)
        assert found.drop == pytest.approx(wanted, abs=0.06)
        assert found.drop > 10 * found.standard_error > 0
    for part in (IDLE, PLAIN):
        assert importance(asked, [part], whole, 2) == Importance(0.0, 0.0)


def test_items_take_what_another_was_known_by() -> None:
    """Permuted kinds are still each of one item: with tastes unpermuted, each row's item is ranked
    first by some item."""
    asked = question()
    seen = []
    tower = asked.candidate_tower

    def noting(given: dict[str, np.ndarray]) -> np.ndarray:
        seen.append(given["numbers"][:, 0])
        return tower(given)

    gains(Question(asked.query_tower, noting, ITEMS, *list(vars(asked).values())[3:]), [KIND], 3)
    kinds = np.concatenate(seen)
    assert len(kinds) == 2 * ITEMS
    for half in (kinds[:ITEMS], kinds[ITEMS:]):
        assert sorted(half) == list(range(ITEMS))
        assert (half != np.arange(ITEMS)).any()


def test_a_part_is_a_column_and_what_goes_with_it() -> None:
    lists = {"h__items": "item_id", "t__tags": "tag"}
    weights = {"t__tags": "t__shares"}
    encoding = Encoding("user", ("a__n",), ("a__at",), {"b__kind": "kind"}, lists, weights, {})
    parts = parts_of(encoding)
    assert [part.columns for part in parts] == [
        *(("a__n",), ("a__at",), ("b__kind",), ("h__items",), ("t__tags", "t__shares")),
    ]
    assert {column for part in parts for column in part.columns} == set(encoding.columns)
    rows, other = np.array([0, 2]), np.array([1, 1])
    inputs = {
        "numbers": np.arange(12.0).reshape(3, 4),
        "b__kind": np.arange(3),
        "h__items": np.arange(3 * LIST_LENGTH).reshape(3, -1),
        "t__tags": np.arange(3),
        "t__tags__weights": np.arange(3.0),
    }
    found = swapped(inputs, rows, other, [parts[1], parts[4]])
    assert found["numbers"].tolist() == [[0, 1, 6, 7], [8, 9, 6, 7]]
    assert found["t__tags"].tolist() == [1, 1]
    assert found["t__tags__weights"].tolist() == [1, 1]
    assert found["b__kind"].tolist() == [0, 2]
    assert (found["h__items"] == inputs["h__items"][rows]).all()
    assert inputs["numbers"].tolist() == np.arange(12.0).reshape(3, 4).tolist()


def test_one_person_is_too_few_to_say_how_sure_a_loss_is() -> None:
    asked = question()
    asked.dataset.user[:] = 0
    with pytest.raises(InputError, match="of one person"):
        importance(asked, [TASTE], gains(asked, (), 0), 1)


def test_twins_are_not_both_left_out() -> None:
    """Either of two features that say the same can go, and not both."""
    parts = [Part((name,), "user") for name in ("one", "twin", "needed", "idle", "vague")]
    worth = {"needed": 0.5, "idle": 0.0, "vague": 0.0}

    def joint(several: list[Part]) -> Importance:
        names = {part.columns[0] for part in several}
        lost = sum(worth.get(name, 0.0) for name in names) + 0.3 * ({"one", "twin"} <= names)
        return Importance(lost, 0.2 if "vague" in names else 0.001)

    alone = [joint([part]) for part in parts]
    alone[0] = Importance(0.001, 0.001)  # which twin goes is decided by chance
    alone[4] = Importance(0.002, 0.2)
    kept = worth_keeping(parts, alone, joint, 0.05)
    assert {part.columns[0] for part in kept} == {"one", "needed", "vague"}
    assert worth_keeping(parts, alone, joint, 9.0) == []
    assert worth_keeping(parts, alone, joint, -1.0) == parts
