"""What is done around a fork."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable


class _Mask(threading.local):
    """The signals that the forking thread had blocked before."""

    def __init__(self) -> None:
        self.before: set[int | signal.Signals] = set()


_mask = _Mask()


def at_fork(in_child: Callable[[], None]) -> None:
    """Has this called in each child. SIGTERM waits meanwhile: Python drops a signal that a child gets before its own
    handlers are in order, and a child that is told to end the moment it is there would live on."""
    if sys.platform == "win32":
        return

    def restore() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, _mask.before)

    def in_child_first() -> None:
        try:
            in_child()
        finally:
            restore()

    def block() -> None:
        _mask.before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})

    os.register_at_fork(before=block, after_in_parent=restore, after_in_child=in_child_first)
