"""Instants as JSON, many at once: a matrix of characters, a row an instant.

RFC 3339 with as many digits of a second as protobuf's JSON gives: none, three or six.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]

_SECOND, _DAY = 1_000_000, 86_400_000_000
# Two digits each, as one number of two bytes.
_PAIRS = np.frombuffer("".join(f"{n:02}" for n in range(100)).encode(), "<u2")
_FORM = b'"0000-00-00T00:00:00.000000Z",'
_FIELDS = {
    **{"century": 1, "year": 3, "month": 6, "day": 9, "hour": 12, "minute": 15, "second": 18},
    **{"f1": 21, "f2": 23, "f3": 25},
}
_ROW = np.dtype(
    {
        "names": list(_FIELDS),
        "formats": ["<u2"] * len(_FIELDS),
        "offsets": list(_FIELDS.values()),
        "itemsize": len(_FORM),
    }
)
# Where seconds end, and milliseconds; and where the end begins.
_SECONDS, _MILLIS, _END = 20, 24, 27


class InstantTexts:
    """The texts of some instants.

    Args:
        micros: microseconds since 1970, of years 1 to 9999.
    """

    def __init__(self, micros: Integers) -> None:
        days = micros // _DAY
        rest = micros - days * _DAY
        seconds = rest // _SECOND
        fraction = rest - seconds * _SECOND
        dates = days.view("M8[D]")
        months = dates.astype("M8[M]")
        month = months.view(np.int64)
        years = month // 12
        minutes = seconds // 60
        hours = minutes // 60
        hundreds = fraction // 100
        years_of_era = years + 1970
        centuries = years_of_era // 100
        ten_thousands = fraction // 10_000
        text = np.frombuffer(bytearray(_FORM * len(micros)), _ROW)
        for name, pair in (
            ("century", centuries),
            ("year", years_of_era - centuries * 100),
            ("month", month - years * 12 + 1),
            ("day", days - months.astype("M8[D]").view(np.int64) + 1),
            ("hour", hours),
            ("minute", minutes - hours * 60),
            ("second", seconds - minutes * 60),
            ("f1", ten_thousands),
            ("f2", hundreds - ten_thousands * 100),
            ("f3", fraction - hundreds * 100),
        ):
            text[name] = _PAIRS[pair]
        self._text = text.view(np.uint8).reshape(len(micros), len(_FORM))
        self._ends = np.where(
            fraction % 1_000 != 0, _END, np.where(fraction != 0, _MILLIS, _SECONDS)
        )

    def json(self, begin: int, end: int) -> bytes:
        """Those from `begin` up to `end` as a list."""
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
