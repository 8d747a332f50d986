"""A gateway that is away, slow or wrong costs the training nothing."""

from __future__ import annotations

import contextlib
import logging
import re
import resource
import socket
import threading
import time

import pytest
from support.faulty import FaultyServer
from support.gateway import Pushgateway
from support.waiting import wait_for

import simplepipe
from simplepipe._gateway import Client, Group, Settings
from simplepipe._store import MAX_SERIES


def test_a_gateway_that_is_killed_and_comes_back_has_the_last_values(
    gateway: Pushgateway, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "simplepipe")
    with simplepipe.run("train", interval=0.05) as run:
        run.gauge("accuracy", 0.1)
        gateway.wait_for_value("accuracy", 0.1)
        gateway.kill()
        wait_for(lambda: "can't be reached" in caplog.text, lambda: caplog.text)
        run.gauge("accuracy", 0.2)
        run.gauge("accuracy", 0.3)
        gateway.start()
        gateway.wait_for_value("accuracy", 0.3)
    assert gateway.value("run_succeeded") == 1
    # Before these, a push that was under way may tell how it was cut.
    assert [(record.levelname, record.getMessage()) for record in caplog.records][-2:] == [
        (
            "WARNING",
            f"run train: not pushed: http://{gateway.address} can't be reached: Connection refused; the run goes on, "
            "and so do the tries",
        ),
        ("INFO", f"run train: http://{gateway.address} takes pushes again"),
    ]


def test_a_gateway_that_comes_back_during_the_last_push_has_the_last_values(gateway: Pushgateway) -> None:
    gateway.kill()
    run = simplepipe.run("train", patience=60).start()
    run.gauge("accuracy", 0.9)
    threading.Timer(0.3, gateway.start).start()
    run.finish()
    assert gateway.value("accuracy") == 0.9
    assert gateway.value("run_succeeded") == 1


def test_a_gateway_that_never_was_there_is_given_up_at_the_end(caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
    began = time.monotonic()
    with simplepipe.run("train", gateway=address, patience=0.5) as run:
        run.gauge("accuracy", 0.9)
        wait_for(lambda: caplog.messages, lambda: "the first try")
    assert time.monotonic() - began < 10
    assert caplog.messages == [
        f"run train: not pushed: http://{address} can't be reached: Connection refused; the run goes on, and so do the "
        "tries",
        f"run train: the last values were not pushed: http://{address} can't be reached: Connection refused; all that "
        "the run recorded is lost; see that the gateway is up, or give it longer with patience=",
    ]


def test_the_last_push_says_what_is_lost_and_not_that_the_run_goes_on(
    gateway: Pushgateway, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "simplepipe")
    gateway.kill()
    with simplepipe.run("train", patience=0.5) as run:
        run.gauge("accuracy", 0.1)
        wait_for(lambda: caplog.messages, lambda: "the first try")
        gateway.start()
        # The answer is here. That the gateway has the value does not say so yet.
        wait_for(lambda: "takes pushes again" in caplog.text, lambda: caplog.text)
        run.gauge("accuracy", 0.9)
        gateway.kill()
    _, _, message = caplog.messages
    assert re.fullmatch(
        f"run train: the last values were not pushed: http://{gateway.address} can't be reached: Connection refused; "
        "all that came after the push [0-9]+ s ago is lost; see that the gateway is up, or give it longer with "
        "patience=",
        message,
    )


def test_the_last_push_is_tried_for_all_the_time_that_it_has(caplog: pytest.LogCaptureFixture) -> None:
    server = FaultyServer(b"HTTP/1.1 503 Not yet\r\n\r\n")
    began = time.monotonic()
    with simplepipe.run("train", gateway=server.address, patience=5):
        pass
    server.close()
    assert time.monotonic() - began > 4.9
    assert "can't take the push now: it answered 503 Not yet" in caplog.messages[-1]


def test_a_gateway_that_hangs_costs_neither_time_nor_memory(
    hanging: FaultyServer, caplog: pytest.LogCaptureFixture
) -> None:
    began = time.monotonic()
    with simplepipe.run("train", gateway=hanging.address, interval=0.01, patience=1) as run:
        wait_for(lambda: hanging.requests, lambda: "the first push hangs")
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for step in range(200_000):
            run.gauge("accuracy", 0.5, step=step)
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        recorded = time.monotonic()
    ended = time.monotonic()
    assert grown < 8 * 1024, f"{grown} KiB for 200,000 values of one series"
    assert recorded - began < 60
    assert ended - recorded < 10, "the last push has one second"
    assert "gave no proper answer" not in caplog.text, "a try that is broken off is not told as the gateway's fault"
    message = (
        f"run train: the last values were not pushed: http://{hanging.address} did not answer within [0-9.]+ s; all"
    )
    assert re.match(message, caplog.messages[-1])


def test_a_try_that_hangs_does_not_use_up_the_time_of_the_last_push(caplog: pytest.LogCaptureFixture) -> None:
    server = FaultyServer(None, b"HTTP/1.1 200 OK\r\n\r\n")
    with simplepipe.run("train", gateway=server.address, patience=4) as run:
        wait_for(lambda: server.requests, lambda: "the first push hangs")
        run.gauge("accuracy", 0.9)
        began = time.monotonic()
    server.close()
    assert time.monotonic() - began < 4
    assert b"\naccuracy 0.9\n" in server.requests[1]
    assert "the last values were not pushed" not in caplog.text


def test_an_answer_that_never_ends_is_given_up_in_time(caplog: pytest.LogCaptureFixture) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    address = f"127.0.0.1:{listener.getsockname()[1]}"
    answering = threading.Event()

    def answer_for_ever() -> None:
        # Until the test shuts the listener, and for each connection until the client has left.
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection, contextlib.suppress(OSError):
                    connection.sendall(b"HTTP/1.1 503 Busy\r\nX: ")
                    while True:
                        connection.sendall(b"x")
                        answering.set()
                        time.sleep(0.02)

    server = threading.Thread(target=answer_for_ever)
    server.start()
    began = time.monotonic()
    with simplepipe.run("train", gateway=address, patience=1):
        answering.wait()
    assert time.monotonic() - began < 8
    listener.shutdown(socket.SHUT_RDWR)
    server.join()
    listener.close()
    assert f"http://{address} did not answer within 1 s; all that" in caplog.messages[-1]


def test_labels_without_bound_are_cut_off(gateway: Pushgateway, caplog: pytest.LogCaptureFixture) -> None:
    with simplepipe.run("train") as run:
        for step in range(MAX_SERIES + 1000):
            run.gauge("accuracy", 0.5, labels={"step": step})
        run.gauge("accuracy", 0.6, labels={"step": 0})
    assert gateway.value("accuracy", step="0") == 0.6
    assert gateway.value("run_succeeded") == 1
    assert sum(name.startswith("accuracy") for name in gateway.series()) == MAX_SERIES
    assert [record.getMessage() for record in caplog.records] == [
        'run train: left out: "accuracy" is left out: the run has 10000 series already; use few names, and labels '
        "with few values"
    ]


def test_a_push_that_is_refused_is_told_once_with_the_gateways_reason(
    gateway: Pushgateway, caplog: pytest.LogCaptureFixture
) -> None:
    with simplepipe.run("other") as run:
        run.summary("accuracy", 0.9)
    with simplepipe.run("train", interval=0.02) as run:
        run.gauge("accuracy", 0.9)
        wait_for(lambda: "refused the push" in caplog.text, lambda: caplog.text)
    assert caplog.text.count("the run goes on") == 1
    assert 'refused the push: metric "accuracy" has another type in group job "other" than in this push' in caplog.text


def test_a_metric_that_is_refused_does_not_hide_how_the_run_went(gateway: Pushgateway) -> None:
    with simplepipe.run("other") as run:
        run.summary("accuracy", 0.9)
    with simplepipe.run("train") as run:
        run.gauge("accuracy", 0.9)
    assert gateway.value("run_exit_code", job="train") == 0
    assert gateway.value("run_succeeded", job="train") == 1


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (
            b"HTTP/1.1 503 Gone home\r\n\r\nback\nat \x1b[2J nine",
            "can't take the push now: it answered 503 Gone home: back at [2J nine",
        ),
        (
            b"HTTP/1.1 302 Found\r\nLocation: http://elsewhere/\r\n\r\n",
            "is not the gateway: it answered 302 Found: see http://elsewhere/; name the gateway's own address",
        ),
        (b"no HTTP\r\n\r\n", "gave no proper answer: no HTTP"),
        (b"", "gave no proper answer: Remote end closed connection without response"),
    ],
)
def test_wrong_answers_are_told_in_words(answer: bytes, message: str, caplog: pytest.LogCaptureFixture) -> None:
    server = FaultyServer(answer)
    with simplepipe.run("train", gateway=server.address, patience=1):
        pass
    server.close()
    assert f"the last values were not pushed: http://{server.address} {message}" in caplog.text


@pytest.mark.parametrize(
    ("host", "number", "is_advised"),
    [
        ("pushgateway", socket.EAI_NONAME, True),
        ("push.example.com", socket.EAI_NONAME, False),
        ("pushgateway", socket.EAI_AGAIN, False),
    ],
    ids=["no gateway", "another host", "no name server"],
)
def test_a_name_of_the_cluster_without_an_address_is_told_with_what_may_be_missing(
    monkeypatch: pytest.MonkeyPatch, host: str, number: int, is_advised: bool
) -> None:
    def no_address(*_: object, **__: object) -> None:
        raise socket.gaierror(number, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", no_address)
    settings = Settings.find(f"{host}:9091", {})
    assert settings is not None
    with pytest.raises(simplepipe.PushError) as error:
        Client(settings).push("PUT", Group.of("train"), b"a 1\n")
    assert str(error.value).startswith("can't be reached: Name or service not known")
    assert (
        str(error.value).endswith("; is there a MetricsNamespace in this namespace? See kubectl get mns") == is_advised
    )
