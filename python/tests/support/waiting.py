"""Waits for what comes about, and not for a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

LONGEST = 60.0
"""Far more than anything needs, in seconds."""


def wait_for(condition: Callable[[], object], what: Callable[[], str]) -> None:
    """Returns when the condition holds."""
    deadline = time.monotonic() + LONGEST
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not so: {what()}")
        time.sleep(0.01)


def pusher_threads() -> list[str]:
    """Of this package, that are alive."""
    return [each.name for each in threading.enumerate() if each.name.startswith("simplepipe")]
