"""Texts to vectors: near where the meaning is, in any language; a function of the text alone."""

from __future__ import annotations

import numpy as np
import pytest

from profilestore.text_embedding import DIMENSIONS, embed


def cosines(left: list[str], right: list[str]) -> np.ndarray:
    one, other = embed(left), embed(right)
    return (one @ other.T) / np.outer(np.linalg.norm(one, axis=1), np.linalg.norm(other, axis=1))


def test_shape_and_type() -> None:
    assert embed([]).shape == (0, DIMENSIONS)
    found = embed(["a tent", "", "帐篷", "🏕", "x" * 5_000])
    assert found.shape == (5, DIMENSIONS)
    assert found.dtype == np.float32
    assert np.isfinite(found).all()


def test_a_vector_depends_on_its_text_alone() -> None:
    texts = ["A lamp for the desk", "tente", "Laufschuhe für den Herbst", "帐篷", "A lamp"]
    together = embed(texts)
    assert (together[::-1] == embed(texts[::-1])).all()
    for text, vector in zip(texts, together, strict=True):
        assert (embed([text])[0] == vector).all()


# The order is that of the rows and of the columns: the meaning is on the diagonal.
@pytest.mark.parametrize(
    ("left", "right"),
    [
        (["tent", "lamp", "running shoe"], ["Zelt", "Lampe", "Laufschuh"]),
        (["tent", "lamp", "running shoe"], ["tente", "ampoule", "chaussure de course"]),
        (["tent", "lamp", "running shoe"], ["帐篷", "台灯", "跑鞋"]),
        (
            ["Goldeneye (1995), Action", "Babe, Children", "Casper, a ghost"],
            ["James Bond, secret agent", "a pig on a farm", "haunted house"],
        ),
    ],
    ids=["german", "french", "chinese", "films"],
)
def test_what_means_the_like_is_near(left: list[str], right: list[str]) -> None:
    found = cosines(left, right)
    assert (found.argmax(axis=1) == np.arange(len(left))).all(), found


def test_words_about_nothing_weigh_little() -> None:
    lengths = np.linalg.norm(embed(["the", "und", "dans", "tent", "Lampe", "vélo"]), axis=1)
    assert lengths[:3].max() < 0.8 * lengths[3:].min()


def test_the_mean_of_the_words_is_near_the_text() -> None:
    text, other = "I am very happy with the new tent and the backpack", "Bread from our own oven"
    words = embed(text.split()).mean(axis=0)
    near, far = embed([text, other]) @ words
    assert near > 2 * abs(far)
