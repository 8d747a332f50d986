"""When a push that did not arrive is tried again."""

from __future__ import annotations

import time

import pytest

from simplepipe._gateway import Backoff, Client, Group, Settings
from simplepipe._pusher import Pusher
from simplepipe.errors import PushError

AWAY = PushError("can't be reached", transient=True)
REFUSED = PushError("refused the push", transient=False)


class Gateway(Client):
    """Fails as it is told to."""

    def __init__(self) -> None:
        settings = Settings.find("gateway:9091", {})
        assert settings is not None
        super().__init__(settings)
        self.error: Exception | None = None
        self.tries = 0

    def push(self, method: str, group: Group, exposition: bytes, timeout: float = 10) -> None:
        self.tries += 1
        if self.error is not None:
            raise self.error


def pusher(gateway: Gateway, interval: float) -> Pusher:
    return Pusher(gateway, Group.of("train"), interval, lambda: [b"a 1\n"], lambda: b"", replace=False)


def test_waits_double_up_to_a_bound_and_are_spread() -> None:
    spread = set()
    for _ in range(50):
        backoff = Backoff()
        waits = [backoff.wait() for _ in range(7)]
        assert all(longest / 2 <= wait <= longest for wait, longest in zip(waits, (0.5, 1, 2, 4, 8, 8, 8), strict=True))
        spread.update(waits)
        backoff.reset()
        assert backoff.wait() <= 0.5
    assert len(spread) > 300


def test_a_push_that_failed_is_tried_again_soon_and_one_that_was_refused_at_its_time() -> None:
    gateway = Gateway()
    pushing = pusher(gateway, interval=6)
    gateway.error = AWAY
    waits = [pushing._regular_push() for _ in range(8)]
    assert waits[0] <= 0.5
    assert waits[-1] >= 4
    assert max(waits) <= 6, "never longer than without a failure"
    gateway.error = None
    assert pushing._regular_push() == 6
    gateway.error = AWAY
    assert pushing._regular_push() <= 0.5, "a gateway that was there is expected back soon"
    gateway.error = REFUSED
    assert pushing._regular_push() == 6


def test_the_last_push_does_not_begin_with_the_longest_wait() -> None:
    gateway = Gateway()
    pushing = pusher(gateway, interval=15)
    gateway.error = AWAY
    while pushing._regular_push() < 4:
        pass
    gateway.tries = 0
    pushing._push_until(time.monotonic() + 1.6, over=True)
    assert gateway.tries > 2


def test_a_fault_of_ours_ends_neither_the_thread_nor_the_tries(caplog: pytest.LogCaptureFixture) -> None:
    gateway = Gateway()
    gateway.error = KeyError("a")
    pushing = pusher(gateway, interval=15)
    assert pushing._regular_push() <= 0.5
    assert caplog.messages == [
        "run train: not pushed: http://gateway:9091 could not be pushed to (KeyError); the run goes on, and so do the "
        "tries"
    ]
