"""Pushes that collide with what another group holds: which metric and groups, and that others are taken as before."""

from __future__ import annotations

import time

import pytest
from support.faulty import FaultyServer
from support.gateway import Pushgateway
from support.waiting import wait_for

import simplepipe
from simplepipe._gateway import Client, Group, Settings
from simplepipe.errors import PushError

HELD = b"""# TYPE rows gauge
rows{kind="a"} 1
rows{kind="b"} 1
# TYPE time summary
time_sum 1
time_count 1
"""
HOLDER = 'group job "train", zone "eu"'
REFUSED = ". The gateway refused this push only. "
DELETE = f"or delete {HOLDER} if that is yours"


def client_of(address: str) -> Client:
    settings = Settings.find(address, {})
    assert settings is not None
    return Client(settings)


def refused(client: Client, job: str, text: bytes) -> str:
    with pytest.raises(PushError) as error:
        client.push("PUT", Group.of(job), text)
    explained = client.explained(error.value, Group.of(job))
    assert not explained.transient
    return str(explained)


@pytest.mark.parametrize(
    ("text", "job", "message"),
    [
        (
            b'# TYPE rows gauge\nrows{kind="b",zone="eu"} 2\n',
            "train",
            f'metric "rows" has the same labels in {HOLDER} as in this push, which is of group job "train"{REFUSED}'
            f'Rename metric "rows", {DELETE}',
        ),
        (
            b"# TYPE rows counter\nrows 2\n",
            "other",
            f'metric "rows" has another type in {HOLDER} than in this push, which is of group job "other"{REFUSED}'
            'Give it the type gauge too (in text by the line "# TYPE rows gauge"; without such a line a metric is '
            f"untyped), or rename it, {DELETE}",
        ),
        (
            b"time_sum 2\n",
            "other",
            f'metric "time_sum" of this push, which is of group job "other", and metric "time" in {HOLDER} take the '
            f'same name{REFUSED}Rename metric "time_sum", {DELETE}',
        ),
    ],
    ids=["series", "type", "name"],
)
def test_a_collision_names_the_metric_and_both_groups_and_the_next_push_is_taken(
    gateway: Pushgateway, text: bytes, job: str, message: str
) -> None:
    client = client_of(gateway.address)
    client.push("PUT", Group.of("train", {"zone": "eu"}), HELD)
    assert refused(client, job, text) == f"refused the push: {message}, then push again"
    client.push("PUT", Group.of(job), b"# TYPE rows gauge\nrows 2\n")
    assert gateway.value("rows", job=job) == 2


def test_a_gateway_that_takes_nothing_any_more_is_told_with_the_group_to_delete(gateway: Pushgateway) -> None:
    client = client_of(gateway.address)
    client.push("PUT", Group.of("train"), b"rows 1\n")
    with pytest.raises(PushError):
        # What no client of ours lets anybody ask for.
        client.push("PUT", Group("train", (("instance", ""),)), b"rows 1\n")
    told = refused(client, "other", b"rows 1\n")
    assert told.startswith('refused the push: groups job "train" and job "train", instance "" are one but for an empty')


@pytest.mark.parametrize("answer", [b"HTTP/1.1 404 Not Found\r\n\r\n", b'HTTP/1.1 200 OK\r\n\r\n{"data": 1}', None])
def test_a_gateway_that_does_not_tell_its_groups_is_asked_once_and_not_for_long(answer: bytes | None) -> None:
    body = (
        b'collected metric "rows" { label:{name:"job"  value:"train"}  gauge:{value:1}} was collected before with the '
        b"same name and label values"
    )
    refusal = b"HTTP/1.1 400 Bad Request\r\n\r\n" + body
    server = FaultyServer(refusal, answer, refusal)
    client = client_of(server.address)
    began = time.monotonic()
    end = (
        "was collected before with the same name and label values; another group has this metric with the same labels. "
        "The gateway refused this push only. Rename the metric, or delete that group if it is yours, then push again"
    )
    assert refused(client, "train", b"rows 1\n").endswith(end)
    assert time.monotonic() - began < 10
    # A run pushes again and again.
    assert refused(client, "train", b"rows 1\n").endswith(end)
    server.close()
    assert [request.split()[0] for request in server.requests] == [b"PUT", b"GET", b"PUT"]


def test_what_was_refused_is_asked_once_all_is_pushed_and_not_beyond_the_patience(
    caplog: pytest.LogCaptureFixture,
) -> None:
    cause = b'collected metric "a" { label:{name:"job"  value:"x"}  gauge:{value:1}} is not a COUNTER'
    refusal, taken = b"HTTP/1.1 400 Bad Request\r\n\r\n" + cause, b"HTTP/1.1 200 OK\r\n\r\n"
    # First and last push: the values, then how the run went by itself, then the question.
    other = refusal.replace(b'"a"', b'"b"')
    server = FaultyServer(refusal, taken, b"HTTP/1.1 404 Not Found\r\n\r\n", other, taken, None)
    with simplepipe.run("train", gateway=server.address, patience=1) as run:
        run.gauge("a", 1)
        wait_for(lambda: len(server.requests) == 3, lambda: f"{server.requests} are three")
    assert "did not answer" not in caplog.text
    assert caplog.text.count("refused the push: it answered 400 Bad Request") == 2
    methods = [request.split()[0] for request in server.requests]
    assert methods == [b"POST", b"POST", b"GET", b"POST", b"POST", b"GET"]
    server.close()
