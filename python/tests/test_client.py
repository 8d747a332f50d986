"""One push over HTTP."""

from __future__ import annotations

import base64
import socket
import threading
import time

import pytest
from support.faulty import FaultyServer
from support.gateway import Pushgateway

import simplepipe
from simplepipe._gateway import Client, Group, Settings, client
from simplepipe.errors import PushError


def client_of(address: str) -> Client:
    settings = Settings.find(address, {})
    assert settings is not None
    return Client(settings)


def refusal(*answers: bytes) -> PushError:
    server = FaultyServer(*answers)
    try:
        with pytest.raises(PushError) as error:
            client_of(server.address).push("POST", Group.of("train"), b"a 1\n")
    finally:
        server.close()
    return error.value


def test_a_push_is_one_request_below_the_gateways_path() -> None:
    server = FaultyServer(b"HTTP/1.1 202 Accepted\r\n\r\n")
    client_of(f"http://{server.address}/push gateway/").push("PUT", Group.of("train", {"rank": "0"}), b"a 1\n")
    server.close()
    head, _, body = server.requests[0].decode().partition("\r\n\r\n")
    first, *headers = head.split("\r\n")
    assert first == "PUT /push%20gateway/metrics/job/train/rank/0 HTTP/1.1"
    assert {
        f"User-Agent: simplepipe-python/{simplepipe.__version__}",
        "Content-Type: text/plain; version=0.0.4; charset=utf-8",
        "Connection: close",
    } <= set(headers)
    assert body == "a 1\n"


@pytest.mark.parametrize(
    ("status", "transient"),
    [(400, False), (401, False), (404, False), (308, False), (408, True), (429, True), (500, True), (502, True)],
)
def test_an_answer_says_whether_another_try_may_help(status: int, transient: bool) -> None:
    error = refusal(f"HTTP/1.1 {status} Why\r\n\r\n".encode())
    assert f"it answered {status} Why" in str(error)
    assert error.transient == transient


def test_a_password_that_a_server_sends_back_is_not_shown() -> None:
    pair = base64.b64encode(b"alice:s3cret").decode()
    server = FaultyServer(f"HTTP/1.1 400 Why\r\n\r\ngot Authorization: Basic {pair} and more".encode())
    with pytest.raises(PushError) as error:
        client_of(f"http://alice:s3cret@{server.address}").push("POST", Group.of("train"), b"a 1\n")
    server.close()
    assert str(error.value) == "refused the push: it answered 400 Why: got Authorization: Basic ... and more"


def test_a_page_that_is_not_there_is_no_pushgateways() -> None:
    error = refusal(b"HTTP/1.1 404 Not Found\r\n\r\n404 page not found")
    assert str(error) == (
        "refused the push: it answered 404 Not Found: 404 page not found; no Pushgateway answers there: see to the "
        "host, the port and the path of its address"
    )


@pytest.mark.parametrize("kind", ["text/html", "Text/HTML; charset=utf-8"])
def test_a_web_page_is_no_gateway_whatever_its_status(kind: str) -> None:
    error = refusal(f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n\r\n<p>Log in".encode())
    assert str(error) == "is not the gateway: it answered 200 OK: a web page; name the gateway's own address"
    assert not error.transient


def test_of_a_long_answer_the_beginning_is_told() -> None:
    assert str(refusal(b"HTTP/1.1 400 No\r\n\r\n" + b"x" * 100_000)).endswith(f"400 No: {'x' * 400}...")


def test_an_answer_before_the_whole_push_is_heard() -> None:
    listener = socket.create_server(("127.0.0.1", 0))

    def refuse() -> None:
        connection, _ = listener.accept()
        connection.recv(1)
        connection.sendall(b"HTTP/1.1 413 Too large\r\n\r\n")
        connection.close()

    refuser = threading.Thread(target=refuse)
    refuser.start()
    with pytest.raises(PushError, match="refused the push: it answered 413 Too large") as error:
        client_of(f"127.0.0.1:{listener.getsockname()[1]}").push("POST", Group.of("train"), b"a 1\n" * 5_000_000)
    refuser.join()
    listener.close()
    assert not error.value.transient


def test_a_gateway_that_hangs_is_told_with_the_time_that_it_had(hanging: FaultyServer) -> None:
    with pytest.raises(PushError, match=r"^did not answer within 0\.2 s$") as error:
        client_of(hanging.address).push("POST", Group.of("train"), b"a 1\n", timeout=0.2)
    assert error.value.transient


@pytest.mark.parametrize(("address", "port"), [("http://h", 80), ("https://h", 443), ("https://h:9091", 9091)])
def test_an_address_without_a_port_has_its_schemes(address: str, port: int) -> None:
    assert client_of(address)._make_connection(1).port == port


def test_a_host_that_swallows_packets_is_given_up_before_one_that_thinks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "CONNECT_TIMEOUT", 0.2)
    listener = socket.create_server(("127.0.0.1", 0), backlog=1)
    address = listener.getsockname()
    target = client_of(f"127.0.0.1:{address[1]}")

    def think() -> None:
        connection, _ = listener.accept()
        time.sleep(0.6)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        connection.close()

    thinker = threading.Thread(target=think)
    thinker.start()
    target.push("POST", Group.of("train"), b"a 1\n")
    thinker.join()

    # The system swallows packets for a queue that is full.
    full = [socket.socket() for _ in range(3)]
    for each in full:
        each.setblocking(False)
        each.connect_ex(address)
    began = time.monotonic()
    with pytest.raises(PushError, match="can't be reached: timed out"):
        target.push("POST", Group.of("train"), b"a 1\n")
    assert time.monotonic() - began < 5
    for each in (*full, listener):
        each.close()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_no_proxy_is_asked(gateway: Pushgateway, monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    """`simplepipe push` asks none either for a name of the cluster: one without a dot, as in ConfigMap `simplepipe`."""
    proxy = FaultyServer(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://{proxy.address}")
    monkeypatch.setenv("NO_PROXY", "example.corp")
    client_of(f"{host}:{gateway.address.rpartition(':')[2]}").push("POST", Group.of("train"), b"a 1\n")
    assert gateway.value("a") == 1
    proxy.close()
    assert proxy.requests == []
