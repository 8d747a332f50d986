"""How long to wait before a push is tried again."""

from __future__ import annotations

import random

MIN_WAIT = 0.5
"""The first wait, at most, in seconds; each following one is twice as long."""
MAX_WAIT = 8.0
"""The longest wait, in seconds: a gateway that comes back is not kept waiting for longer."""


class Backoff:
    """Waits that double, and are spread, so that many runs that lost one gateway don't all come back at once."""

    def __init__(self) -> None:
        self._next = MIN_WAIT

    def wait(self) -> float:
        """How long to wait now: between a half and the whole of what the doubling gives."""
        longest = self._next
        self._next = min(longest * 2, MAX_WAIT)
        return longest * random.uniform(0.5, 1)

    def reset(self) -> None:
        """After a success."""
        self._next = MIN_WAIT
