"""Instants as JSON: RFC 3339 with as many digits of a second as protobuf's JSON gives.

Those are none, three or six. Many instants are written at once: a matrix of characters, a row an
instant, whose dates and times of day are looked up.
"""

from __future__ import annotations

from datetime import date
from functools import cache, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]

_SECOND, _DAY = 1_000_000, 86_400_000_000
_EPOCH = date(1970, 1, 1).toordinal()
# Dates are looked up from 1970 to 2105; those of other times are written one by one.
_DAYS = 50_000
# Two digits each, as one number of two bytes.
_PAIRS = np.frombuffer("".join(f"{n:02}" for n in range(100)).encode(), "<u2")
_FORM = b'"0000-00-00T00:00:00.000000Z",'
_ROW = np.dtype(
    {
        "names": ["date", "time", "f1", "f2", "f3"],
        "formats": ["V10", "V8", "<u2", "<u2", "<u2"],
        "offsets": [1, 12, 21, 23, 25],
        "itemsize": len(_FORM),
    }
)
# Where seconds end, and milliseconds; and where the end begins.
_SECONDS, _MILLIS, _END = 20, 24, 27


def instant_json(micros: int) -> bytes:
    """One instant, in microseconds since 1970."""
    seconds, fraction = divmod(micros, _SECOND)
    day, second = divmod(seconds, 86_400)
    text = f'"{_date(day)}T{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}'
    if fraction:
        text += f".{fraction:06}" if fraction % 1_000 else f".{fraction // 1_000:03}"
    return f'{text}Z"'.encode()


class InstantTexts:
    """The texts of some instants.

    Args:
        micros: microseconds since 1970, of years 1 to 9999.
    """

    def __init__(self, micros: Integers) -> None:
        self._micros = micros
        days = micros // _DAY
        self._is_near = bool(len(micros) and days.min() >= 0 and days.max() < _DAYS)
        if not self._is_near:
            return
        rest = micros - days * _DAY
        seconds = rest // _SECOND
        fraction = rest - seconds * _SECOND
        dates, times = _tables()
        text = np.frombuffer(bytearray(_FORM * len(micros)), _ROW)
        text["date"] = dates[days]
        text["time"] = times[seconds]
        ends = np.full(len(micros), _SECONDS)
        if fraction.any():
            hundreds = fraction // 100
            ten_thousands = fraction // 10_000
            text["f1"] = _PAIRS[ten_thousands]
            text["f2"] = _PAIRS[hundreds - ten_thousands * 100]
            text["f3"] = _PAIRS[fraction - hundreds * 100]
            ends[fraction != 0] = _MILLIS
            ends[fraction % 1_000 != 0] = _END
        self._text = text.view(np.uint8).reshape(len(micros), len(_FORM))
        self._ends = ends

    def json(self, begin: int, end: int) -> bytes:
        """Those from `begin` up to `end` as a list."""
        if not self._is_near:
            return b"[%s]" % b",".join(map(instant_json, self._micros[begin:end].tolist()))
        text, ends = self._text[begin:end], self._ends[begin:end]
        last = int(ends[0])
        if (ends == last).all():
            if last != _END:
                text = np.concatenate([text[:, :last], text[:, _END:]], axis=1)
            return b"[%s]" % text.tobytes()[:-1]
        rows = (
            row[:last].tobytes() + row[_END:].tobytes()
            for row, last in zip(text, ends.tolist(), strict=True)
        )
        return b"[%s]" % b"".join(rows)[:-1]


@lru_cache(maxsize=4096)
def _date(day: int) -> str:
    return date.fromordinal(_EPOCH + day).isoformat()


@cache
def _tables() -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """The dates from 1970 on, ten characters each, and the seconds of a day, eight."""
    dates = np.datetime_as_string(np.arange(_DAYS).view("M8[D]")).astype("S10").view("V10")
    minutes = [f"{hour:02}:{minute:02}:" for hour in range(24) for minute in range(60)]
    times = "".join(f"{minute}{second:02}" for minute in minutes for second in range(60))
    return dates, np.frombuffer(times.encode(), "V8")
