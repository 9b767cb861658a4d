"""Arrow arrays of text, made without a loop over the rows."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from profilestore.sources.simulator.chance import DAY, HOUR, Flags, Ids, Ints

Chars = NDArray[np.uint8]


def join(*pieces: pa.Array | str) -> pa.Array:
    """One text a row: its pieces in order; a `str` is the same in each row."""
    return pc.binary_join_element_wise(*pieces, "")


def choose(table: Sequence[str] | pa.Array, index: Ints) -> pa.Array:
    """The text of `table` at each index; -1 is its last."""
    texts = table if isinstance(table, pa.Array) else pa.array(table, pa.string())
    return texts.take(pa.array(np.where(index < 0, len(texts) - 1, index)))


def where(condition: Flags, yes: pa.Array | str, no: pa.Array | str) -> pa.Array:
    """`yes` or `no` for each row."""
    return pc.if_else(pa.array(condition), yes, no)


def whole(numbers: Ints) -> pa.Array:
    """Integers."""
    return pa.array(numbers).cast(pa.string())


def cents(amounts: Ints) -> pa.Array:
    """Hundredths as `12.34`; `null` for amounts below 0."""
    known = amounts >= 0
    fraction = choose(
        [*(f".{one:02}" for one in range(100)), ""], np.where(known, amounts % 100, 100)
    )
    return join(where(known, whole(amounts // 100), "null"), fraction)


def hexadecimal(ids: Ids) -> pa.Array:
    """16 digits for each id."""
    digits = np.frombuffer(b"0123456789abcdef", np.uint8)
    octets = ids.astype(">u8").view(np.uint8).reshape(len(ids), 8)
    chars = np.empty((len(ids), 16), np.uint8)
    chars[:, ::2], chars[:, 1::2] = digits[octets >> 4], digits[octets & 15]
    return _fixed(chars)


def date(days: Ints) -> pa.Array:
    """Days since 1970 as `2025-12-01`."""
    return _fixed(_dates(days))


def instant(milliseconds: Ints) -> pa.Array:
    """Milliseconds since 1970 as `2025-12-01T10:00:00.000`: 23 characters, no zone."""
    days, inside = np.divmod(milliseconds, DAY)
    chars = np.empty((len(milliseconds), 23), np.uint8)
    chars[:, :10] = _dates(days)
    chars[:, 10] = ord("T")
    chars[:, 11:19] = _clock()[inside // 1_000]
    chars[:, 19] = ord(".")
    chars[:, 20:] = _numbers(1_000, 3)[inside % 1_000]
    return _fixed(chars)


def instant_form(milliseconds: Ints, form: Ints, offset: Ints) -> pa.Array:
    """JSON values of times in several forms, all of the same instants.

    Args:
        form: 0 `"...Z"`, 1 `"...+08:00"`, 2 milliseconds since 1970, 3
            `"2025-12-01 10:00:00 +0100"` (cut to the second).
        offset: of the local clock from UTC, in hours.
    """
    usual = join('"', instant(milliseconds), 'Z"')
    odd = np.flatnonzero(form)
    if not len(odd):
        return usual
    moment, form, offset = milliseconds[odd], form[odd], offset[odd]
    local = instant(moment + offset * HOUR)
    zones = [f"{hours:+03}" for hours in range(-12, 13)]
    zone = choose(zones, offset + 12)
    spaced = join('"', pc.utf8_slice_codeunits(local, 0, 10), " ",
                  pc.utf8_slice_codeunits(local, 11, 19), " ", zone, '00"')  # fmt: skip
    zoned = join('"', local, zone, ':00"')
    other = where(form == 1, zoned, where(form == 2, whole(moment), spaced))
    return laid_over(usual, odd, other)


def laid_over(texts: pa.Array, rows: Ints, others: pa.Array) -> pa.Array:
    """`texts`, but at `rows` there are the `others`."""
    index = np.arange(len(texts))
    index[rows] = len(texts) + np.arange(len(rows))
    return pa.concat_arrays([texts, others]).take(pa.array(index))


def only_at(rows: Ints, texts: pa.Array, count: int) -> pa.Array:
    """`texts` at `rows`, and `null` in the others of `count` rows."""
    index = np.full(count, len(texts))
    index[rows] = np.arange(len(texts))
    return pa.concat_arrays([texts, pa.array(["null"])]).take(pa.array(index))


def body(lines: pa.Array) -> memoryview:
    """The bytes of all texts, one after the other, without a copy."""
    _, offsets, data = lines.buffers()
    if data is None:
        return memoryview(b"")
    ends = np.frombuffer(offsets, np.int32)[lines.offset : lines.offset + len(lines) + 1]
    return memoryview(data)[ends[0] : ends[-1]]


def _fixed(chars: Chars) -> pa.Array:
    """Texts of the same width from their characters [rows, width]."""
    rows, width = chars.shape
    offsets = np.arange(0, (rows + 1) * width, width, dtype=np.int32)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(chars))]
    return pa.Array.from_buffers(pa.string(), rows, buffers)


def _dates(days: Ints) -> Chars:
    if not len(days):
        return np.empty((0, 10), np.uint8)
    first = int(days.min())
    span = np.arange(first, int(days.max()) + 1).astype("datetime64[D]")
    return _chars(np.datetime_as_string(span))[days - first]


@cache
def _numbers(count: int, width: int) -> Chars:
    return _chars(np.array([f"{one:0{width}}" for one in range(count)]))


@cache
def _clock() -> Chars:
    return _chars(np.datetime_as_string(np.arange(86_400).astype("datetime64[s]")))[:, 11:].copy()


def _chars(texts: NDArray[Any]) -> Chars:
    """The characters of ASCII texts of the same width: [texts, width]."""
    narrow = texts.astype(f"S{len(texts[0])}")
    return narrow.view(np.uint8).reshape(len(texts), narrow.itemsize)
