"""How many requests each client may still make: a token bucket each.

A bucket holds a second's worth of requests, and one at least, and fills up as time passes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Buckets:
    """One bucket a client. Safe for several threads.

    Args:
        now: a clock that only goes forward, in seconds.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._filled: dict[str, tuple[float, float]] = {}

    def take(self, client: str, rate: float) -> float:
        """Take one request out of a client's bucket.

        Args:
            rate: requests a second.

        Returns:
            0 if there was one; else after how many seconds there will be.
        """
        with self._lock:
            now = self._now()
            most = max(1.0, rate)
            there, since = self._filled.get(client, (most, now))
            there = min(most, there + (now - since) * rate)
            if there >= 1:
                self._filled[client] = there - 1, now
                return 0.0
            self._filled[client] = there, now
            return (1 - there) / rate
