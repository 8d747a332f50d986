"""A run of a group that this process already runs, as of a notebook's cell that is run twice."""

from __future__ import annotations

import socket
import threading
import time
from http.client import HTTPConnection

import pytest
from support.faulty import FaultyServer
from support.gateway import Pushgateway
from support.waiting import pusher_threads, wait_for

import simplepipe
from simplepipe import _run
from simplepipe._gateway import client

ENDED = (
    "run nb: a run of the same job and grouping labels still went on in this process; it was ended, without a last "
    "push; end each run by with, or finish(), before the next one"
)


def test_a_notebooks_cell_that_is_run_twice_leaves_the_second_runs_values(
    gateway: Pushgateway, caplog: pytest.LogCaptureFixture
) -> None:
    def cell(accuracy: float) -> simplepipe.Run:
        run = simplepipe.run("nb", interval=0.05)
        run.start()
        run.gauge("accuracy", accuracy)
        return run

    first = cell(0.1)
    gateway.wait_for_value("accuracy", 0.1, job="nb")
    second = cell(0.2)
    assert caplog.messages == [ENDED]
    assert pusher_threads() == ["simplepipe-pusher"]
    assert simplepipe.current_run() is second
    gateway.wait_for_value("accuracy", 0.2, job="nb")
    # Whoever still has the first run does no harm.
    first.gauge("accuracy", 0.3)
    first.finish(1)
    second.finish()
    assert gateway.value("accuracy", job="nb") == 0.2
    assert gateway.value("run_exit_code", job="nb") == 0
    assert pusher_threads() == []
    assert _run._runs == []
    assert caplog.messages == [ENDED]


def test_runs_of_other_groups_go_on(gateway: Pushgateway, caplog: pytest.LogCaptureFixture) -> None:
    with simplepipe.run("nb") as one, simplepipe.run("nb", grouping_labels={"rank": "1"}) as other:
        with simplepipe.run("nb2") as another:
            for value, run in enumerate((one, other, another)):
                run.gauge("accuracy", value)
    assert gateway.value("accuracy", job="nb") == 0
    assert gateway.value("accuracy", job="nb", rank="1") == 1
    assert gateway.value("accuracy", job="nb2") == 2
    assert caplog.messages == []


def test_one_that_was_finished_is_no_matter(gateway: Pushgateway, caplog: pytest.LogCaptureFixture) -> None:
    for accuracy in (0.1, 0.2):
        with simplepipe.run("nb") as run:
            run.gauge("accuracy", accuracy)
    assert gateway.value("accuracy", job="nb") == 0.2
    assert caplog.messages == []


def test_a_gateway_that_hangs_keeps_the_new_run_no_longer_than_a_moment(hanging: FaultyServer) -> None:
    simplepipe.run("nb", gateway=hanging.address).start()
    wait_for(lambda: hanging.requests, lambda: "the first push")
    began = time.monotonic()
    second = simplepipe.run("nb", gateway=hanging.address, patience=0.1).start()
    assert time.monotonic() - began < 5
    assert len(pusher_threads()) == 1
    second.finish()


def test_a_push_that_still_looks_for_its_host_comes_to_nothing(
    gateway: Pushgateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where name servers take their time: then nothing can be broken off."""
    found, looking = threading.Event(), threading.Event()

    def connect(connection: HTTPConnection) -> socket.socket:
        if threading.current_thread().name == "simplepipe-pusher" and not looking.is_set():
            looking.set()
            found.wait()
        return connect_at_once(connection)

    connect_at_once = client._connect
    monkeypatch.setattr(client, "_connect", connect)
    first = simplepipe.run("nb")
    first.gauge("only_of_the_first", 1)
    first.start()
    assert looking.wait(60)
    with simplepipe.run("nb") as second:
        found.set()
        second.gauge("accuracy", 0.2)
    wait_for(lambda: not pusher_threads(), lambda: f"{pusher_threads()} are gone")
    assert gateway.value("accuracy", job="nb") == 0.2
    assert gateway.value("only_of_the_first", job="nb") is None
