from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest
from support.faulty import FaultyServer
from support.gateway import Pushgateway
from support.waiting import pusher_threads

VARIABLES = (
    "PUSHGATEWAY_URL",
    "PUSH_GATEWAY_HOSTNAME",
    "PUSHGATEWAY_USERNAME",
    "PUSHGATEWAY_PASSWORD",
    "PUSHGATEWAY_PASSWORD_FILE",
    "PUSHGATEWAY_CA_FILE",
    "PUSHGATEWAY_CERT_FILE",
    "PUSHGATEWAY_KEY_FILE",
    "PUSHGATEWAY_RESERVED_METRICS",
    "PUSHGATEWAY_RESERVED_JOBS",
)

# A shell's background command ignores Ctrl-C, and so would all programs that the tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _environment_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def _no_thread_left_behind() -> Iterator[None]:
    yield
    assert pusher_threads() == []


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pushgateway]:
    """A real one, to which runs push that name no other."""
    gateway = Pushgateway()
    monkeypatch.setenv("PUSHGATEWAY_URL", f"http://{gateway.address}")
    yield gateway
    gateway.kill()


@pytest.fixture
def hanging() -> Iterator[FaultyServer]:
    """A gateway that takes connections and never answers."""
    server = FaultyServer(None)
    yield server
    server.close()
