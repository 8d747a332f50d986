"""A last push when the process is told to end, as Kubernetes does before it takes a pod away.

The handler does next to nothing, since the code that it interrupts may hold any lock: it orders the push and returns.
When that is done, or has failed for good, the pusher's thread raises the signal again, and the handler passes it on to
what was installed before. A second SIGTERM from outside is passed on at once, but for one that comes right after the
first: who signals a whole process group reaches us twice where our parent passes signals on, as `simplepipe run` does.

A handler that comes later may call ours among others, as PyTorch Lightning's does, which then saves a checkpoint. That
one decides how the process ends; ours has the latest values pushed, and neither ends nor judges anything.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType

Done = Callable[[], None]

ECHO = 1.0
"""For how many seconds after a SIGTERM another one counts as the same."""

AGAIN = 0.1
"""Seconds after which an answer that was not noticed is given again."""


class SigtermHandler:
    """Stands before the handler that was there. Each run has its own, and they call one another."""

    def __init__(self, last_push: Callable[[bool, Done], bool]) -> None:
        """`last_push` gets whether the process ends by this signal, and what to call when done; it returns whether
        there is anything to push."""
        self._last_push = last_push
        self._previous: Callable[[int, FrameType | None], object] | int = signal.SIG_DFL
        self._active = False
        self._asked = False
        self._asked_at = 0.0
        self._answered = False
        self._passed_on = 0

    def install(self) -> None:
        """Where Python allows it (the main thread) and somebody listens: a process that ignores SIGTERM goes on so."""
        if sys.platform == "win32" or threading.current_thread() is not threading.main_thread():
            return
        previous = signal.getsignal(signal.SIGTERM)
        if previous is None or previous == signal.SIG_IGN:
            return
        self._previous = previous
        self._active = True
        signal.signal(signal.SIGTERM, self)

    def remove(self) -> None:
        """Puts back what was there. Where somebody else has come since, this stays, and passes on."""
        if not self._active:
            return
        self._active = False
        installed: object = signal.getsignal(signal.SIGTERM)
        if threading.current_thread() is threading.main_thread() and installed is self:
            signal.signal(signal.SIGTERM, self._previous)
        if self._asked:
            # It came too late for the pusher to answer it. Who came since has not seen it, and acts on it alone.
            self._asked = False
            _raise_again()

    def forget(self) -> None:
        """As `remove`, in a child: a signal that the parent is about to act on was not meant for it."""
        self._asked = False
        self.remove()

    def ends_process(self) -> bool:
        """Whether nobody but the system acts on the signal after us."""
        if isinstance(self._previous, SigtermHandler):
            return self._previous.ends_process()
        return self._previous == signal.SIG_DFL

    def __call__(self, signum: int, frame: FrameType | None) -> None:
        if not self._is_installed():
            self._contribute(signum, frame)
        elif self._active and not self._asked:
            self._asked, self._asked_at = True, time.monotonic()
            if not self._last_push(self.ends_process(), self._answer):
                self._pass_on(signum, frame)
        elif not self._asked or self._answered or time.monotonic() - self._asked_at >= ECHO:
            self._pass_on(signum, frame)

    def _is_installed(self) -> bool:
        """Whether the system calls us, itself or by way of other runs."""
        at: object = signal.getsignal(signal.SIGTERM)
        while isinstance(at, SigtermHandler) and at is not self:
            at = at._previous
        return at is self

    def _contribute(self, signum: int, frame: FrameType | None) -> None:
        """Our part in somebody else's handler."""
        self._passed_on += 1
        self._asked = self._answered = False
        if self._active:
            self._last_push(False, lambda: None)
        if callable(self._previous):
            self._previous(signum, frame)

    def _answer(self) -> None:
        """In the pusher's thread. A signal that comes just as Python leaves the handler of the one before it stays
        unnoticed until the next one, hence once is not enough; but for a handler that came since, which may tell us
        nothing."""
        self._answered = True
        before = self._passed_on
        while self._active and self._passed_on == before:
            _raise_again()
            if not self._is_installed():
                return
            time.sleep(AGAIN)

    def _pass_on(self, signum: int, frame: FrameType | None) -> None:
        self._passed_on += 1
        # The answer of a run below comes through here too, and is no new signal.
        self._asked = self._answered = isinstance(self._previous, SigtermHandler)
        if callable(self._previous):
            self._previous(signum, frame)
            if isinstance(self._previous, SigtermHandler):
                self._asked = self._answered = self._previous._asked
        elif self._previous == signal.SIG_DFL:
            signal.signal(signum, signal.SIG_DFL)
            os.kill(os.getpid(), signum)


def _raise_again() -> None:
    if sys.platform != "win32":
        main = threading.main_thread().ident
        if main is not None:
            # To the main thread, which may sit in a system call that only a signal of its own ends.
            signal.pthread_kill(main, signal.SIGTERM)
