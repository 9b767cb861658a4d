"""A bucket lets through what its rate says, whenever the requests come."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from serving.access.buckets import Buckets

WAITS = st.lists(st.floats(0, 3, allow_nan=False), min_size=1, max_size=200)


@settings(deadline=None)
@given(rate=st.floats(0.1, 50), waits=WAITS)
def test_never_more_than_a_seconds_worth_beyond_the_rate(rate: float, waits: list[float]) -> None:
    clock = 0.0
    buckets = Buckets(lambda: clock)
    through = []
    for wait in waits:
        clock += wait
        seconds = buckets.take("a", rate)
        if seconds == 0:
            through.append(clock)
        else:
            assert 0 < seconds <= 1 / rate + 1e-9
            # Asked again then, it is let through; a hair later, as numbers have ends.
            assert _after(buckets, clock, seconds, rate)
    for first in range(len(through)):
        for last in range(first, len(through)):
            within = through[last] - through[first]
            assert last - first + 1 <= max(1.0, rate) + rate * within + 1e-6


def _after(buckets: Buckets, clock: float, seconds: float, rate: float) -> bool:
    there, since = buckets._filled["a"]
    return there + (clock + seconds - since) * rate >= 1 - 1e-6


def test_one_clients_bucket_is_not_anothers() -> None:
    buckets = Buckets(lambda: 0.0)
    assert [buckets.take("a", 1) for _ in range(2)] == [0.0, 1.0]
    assert buckets.take("b", 1) == 0.0
