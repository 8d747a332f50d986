"""The thread that brings a run's values to the gateway.

It takes them when it pushes, so that what happened in between is one push, and a gateway that is away costs neither
time nor memory. Others speak to it through a SimpleQueue alone: its `put` may be called from a signal handler, whatever
the interrupted code holds.
"""

from __future__ import annotations

import contextlib
import logging
import math
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from simplepipe._gateway import Backoff, Client, Group
from simplepipe._gateway.client import TIMEOUT
from simplepipe.errors import PushError

logger = logging.getLogger("simplepipe")

GRACE = 1.0
"""For the thread to notice that its last try was broken off, in seconds."""

QUIET = 1.0
"""For how many seconds the last push is waited for without a word."""


@dataclass(frozen=True)
class LastPush:
    """Asks for a push that is tried until `deadline` (monotonic)."""

    deadline: float
    over: bool
    """Whether the run is over then: what has not arrived is lost."""
    before: Callable[[], None] | None = None
    done: Callable[[PushError | None], None] | None = None
    """Gets what `finish` would return."""
    end: bool = False
    """Whether the thread ends then."""


class Pusher:
    """Pushes what `bodies` gives each `interval` seconds, a request for each, and once more at the end. Where one is
    refused, `core` goes by itself: a metric whose type clashes with another job's must not hide how the run went."""

    def __init__(
        self,
        client: Client,
        group: Group,
        interval: float,
        bodies: Callable[[], Iterable[bytes]],
        core: Callable[[], bytes],
        replace: bool,
    ) -> None:
        self._client = client
        self._group = group
        self._interval = interval
        self._bodies = bodies
        self._core = core
        self._replace = replace
        self._orders: queue.SimpleQueue[LastPush] = queue.SimpleQueue()
        self._taken_up = threading.Event()
        self._backoff = Backoff()
        self._broken_off = False
        self._stopped = False
        self._told: bool | None = None
        self._last_error: PushError | None = None
        self._arrived_at: float | None = None
        self._thread = threading.Thread(target=self._run, name="simplepipe-pusher", daemon=True)

    def start(self) -> None:
        """The first push follows at once."""
        self._thread.start()

    def is_alive(self) -> bool:
        """Whether anybody takes orders."""
        return self._thread.is_alive()

    def order(self, last: LastPush) -> None:
        """Does not wait."""
        self._orders.put(last)

    def order_at_once(self, last: LastPush) -> None:
        """As `order`, and breaks off a try that is going on, which may hang: the last push has all of it too. May be
        called from a signal handler."""
        self._broken_off = True
        self._orders.put(last)
        self._client.abort()

    def finish(self, patience: float) -> PushError | None:
        """The last push. Returns after `patience` seconds at about the latest, with the thread gone. An error names the
        gateway, and what is lost."""
        error = self._end(patience)
        return error and self._lost(error)

    def stop(self) -> None:
        """Ends the thread without a push, and breaks off one that is going on. Nothing is pushed after that, also where
        the thread outlives it, since the system still looks for the gateway's host."""
        self._stopped = True
        self.order(LastPush(time.monotonic(), over=True, end=True))
        self._client.close()
        self._thread.join(GRACE)

    def _end(self, patience: float) -> PushError | None:
        deadline = time.monotonic() + patience
        self.order(LastPush(deadline, over=True, end=True))
        self._thread.join(min(QUIET, patience / 2))
        if self._thread.is_alive():
            self._say_waiting(deadline, "Ctrl-C ends the wait")
        # A try that hangs since before must not use up the time of the last push.
        if not self._taken_up.wait(max(deadline - patience / 2 - time.monotonic(), 0.0)):
            self._break_off()
        self._thread.join(max(deadline - time.monotonic(), 0.0) + GRACE)
        if self._thread.is_alive():
            # What it would say of a try that we broke off is not why.
            self._break_off()
            self._thread.join(GRACE)
            # Where it is alive still, the system looks for the gateway's host and can't be asked to stop.
            if self._thread.is_alive() or self._last_error is not None:
                return PushError(f"did not answer within {patience:g} s", transient=True)
        return self._last_error

    def _lost(self, error: PushError) -> PushError:
        if not error.transient:
            lost = "what it did not take is lost; mend that before the next run"
        else:
            at = self._arrived_at
            what = "the run recorded" if at is None else f"came after the push {time.monotonic() - at:.0f} s ago"
            lost = f"all that {what} is lost; see that the gateway is up, or give it longer with patience="
        return PushError(f"{self._client.gateway} {error}; {lost}", transient=error.transient)

    def _break_off(self) -> None:
        """Ends a try that is going on, which is then not told as the gateway's fault."""
        self._broken_off = True
        self._client.abort()

    def _run(self) -> None:
        wait = 0.0
        while True:
            try:
                last = self._orders.get(timeout=wait)
            except queue.Empty:
                wait = self._regular_push()
                continue
            if self._stopped:
                return
            self._broken_off = False
            if last.end:
                self._taken_up.set()
            if last.before is not None:
                last.before()
            with self._told_to_wait(last):
                error = self._push_until(last.deadline, last.over)
            if last.done is not None:
                last.done(error and self._lost(error))
            if last.end:
                return

    @contextlib.contextmanager
    def _told_to_wait(self, last: LastPush) -> Iterator[None]:
        """Who ends the process by SIGTERM sees why it goes on. In a thread of its own, since a try may hang; what waits
        for `finish` says so itself."""
        if last.end or not last.over:
            yield
            return
        teller = threading.Timer(QUIET, self._say_waiting, (last.deadline, "another SIGTERM ends the wait"))
        teller.daemon = True
        with contextlib.suppress(RuntimeError):  # The system may give no thread.
            teller.start()
        try:
            yield
        finally:
            teller.cancel()

    def _say_waiting(self, deadline: float, way_out: str) -> None:
        left = deadline - time.monotonic()
        if left >= QUIET:
            logger.warning("run %s: waiting up to %.0f s for the last push; %s", self._group.job, left, way_out)

    def _regular_push(self) -> float:
        """Returns how long to wait for the next one."""
        error = self._try()
        if error is None or not error.transient:
            return self._interval
        return min(self._backoff.wait(), self._interval)

    def _push_until(self, deadline: float, over: bool) -> PushError | None:
        self._backoff.reset()
        while True:
            error = self._try(deadline, over)
            if error is None or not error.transient or time.monotonic() >= deadline:
                return error
            time.sleep(max(0.0, min(self._backoff.wait(), deadline - time.monotonic())))

    def _try(self, deadline: float = math.inf, over: bool = False) -> PushError | None:
        """One try of everything that there is to push."""
        try:
            self._last_error = self._push_all(deadline)
        except Exception as error:  # A fault of ours must not end the pushes of days.
            logger.debug("a push failed in an unforeseen way", exc_info=True)
            self._last_error = PushError(f"could not be pushed to ({type(error).__name__})", transient=True)
        self._tell(deadline, over)
        return self._last_error

    def _push_all(self, deadline: float) -> PushError | None:
        """A body that is refused does not keep the others back."""
        first_error = None
        for exposition in self._bodies():
            error = self._push(exposition, deadline)
            first_error = first_error or error
            if error is not None and error.transient:
                return first_error
        if first_error is not None:
            self._push(self._core(), deadline)
        return first_error

    def _push(self, exposition: bytes, deadline: float) -> PushError | None:
        # Once what an earlier run left is gone, pushes add.
        method = "PUT" if self._replace else "POST"
        # Also the last moment is worth a try: 0 would be no timeout but an error.
        timeout = min(TIMEOUT, max(deadline - time.monotonic(), 0.1))
        try:
            self._client.push(method, self._group, exposition, timeout)
        except PushError as error:
            return error
        self._replace = False
        return None

    def _explained(self, error: PushError, deadline: float) -> PushError:
        """Asks the gateway, once all is pushed that it takes, and only where somebody is told what it says."""
        return self._client.explained(error, self._group, deadline - time.monotonic())

    def _tell(self, deadline: float, over: bool) -> None:
        """Once when pushes begin to fail, and once when they arrive again: a log of days is not for each try. Of a run
        that is over its owner says what is lost."""
        error, job, gateway = self._last_error, self._group.job, self._client.gateway
        if error is None:
            self._arrived_at = time.monotonic()
            self._backoff.reset()
            if self._told is not None:
                logger.info("run %s: %s takes pushes again", job, gateway)
                self._told = None
        elif over:
            self._last_error = self._explained(error, deadline)
            logger.debug("run %s: %s %s", job, gateway, self._last_error)
        elif self._told == error.transient or self._broken_off or self._stopped:
            logger.debug("run %s: %s %s", job, gateway, error)
        else:
            error = self._explained(error, deadline)
            tries = ", and so do the tries" if error.transient else ""
            logger.warning("run %s: not pushed: %s %s; the run goes on%s", job, gateway, error, tries)
            self._told = error.transient
