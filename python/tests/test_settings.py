"""Where a run pushes to and as whom. No message shows a secret."""

from __future__ import annotations

import datetime
import re
from pathlib import Path
from typing import Any

import pytest
from support.waiting import pusher_threads

import simplepipe
from simplepipe._gateway import Address, Group, Settings

PASSWORD = "s3cret-pass"
BCRYPT = "$2b$04$Iwsf.ipg46nWCkttcqHp0.GFHyTZ/U8JibmdI1m/wU3wLM6slu/ae"
"""Of the password."""


def found(gateway: str | None = None, **environment: str) -> str:
    settings = Settings.find(gateway, environment)
    return str(settings and settings.address)


def credentials(**environment: str) -> tuple[str, str] | None:
    settings = Settings.find(None, {"PUSHGATEWAY_URL": "http://host:1", **environment})
    assert settings is not None
    found = settings.credentials
    return None if found is None else (found.username, found.read_password())


def test_the_argument_comes_before_the_url_before_the_host_name() -> None:
    both = {"PUSHGATEWAY_URL": "http://second:1", "PUSH_GATEWAY_HOSTNAME": "third:1"}
    assert found("first:1", **both) == "http://first:1"
    assert found(**both) == "http://second:1"
    assert found(PUSHGATEWAY_URL=" ", PUSH_GATEWAY_HOSTNAME="third:1") == "http://third:1"
    assert found() == "None"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("pushgateway:9091", "http://pushgateway:9091"),
        ("HTTP://pushgateway", "http://pushgateway"),
        (" http://pushgateway:9091/\n", "http://pushgateway:9091"),
        ("https://push.example.com/gateway/", "https://push.example.com/gateway"),
        ("[::1]:9091", "http://[::1]:9091"),
        ("127.0.0.1:9091/a b", "http://127.0.0.1:9091/a%20b"),
        (f"https://user:{PASSWORD}@push.example.com", "https://push.example.com"),
        (f"user:{PASSWORD}@pushgateway:9091", "http://pushgateway:9091"),
    ],
)
def test_addresses_are_shown_as_typed_without_password(text: str, shown: str) -> None:
    address = Address.parse(text, "x")
    assert str(address) == shown
    assert PASSWORD not in repr(address)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "gateway from argument gateway is empty; write http://HOST:PORT"),
        (
            "pushgateway",
            'gateway from argument gateway "pushgateway" has no port; write HOST:9091, or http://HOST for port 80',
        ),
        (
            f"ftp://user:{PASSWORD}@host",
            'gateway from argument gateway "ftp://host" is neither http nor https; write http://HOST:PORT',
        ),
        (
            f"user:{PASSWORD}://more@host:9091",
            'gateway from argument gateway "host:9091" is neither http nor https; write http://HOST:PORT',
        ),
        (
            "http://host:9091/push/metrics/",
            'gateway from argument gateway "http://host:9091/push/metrics/" has the path of a push, which is added by '
            "itself; write it without /metrics and what follows",
        ),
        (
            "host:9091/metrics/job/train",
            'gateway from argument gateway "host:9091/metrics/job/train" has the path of a push, which is added by '
            "itself; write it without /metrics and what follows",
        ),
        (
            f"http://user:{PASSWORD}@host:x",
            'gateway from argument gateway "http://host:x" is not an address; write http://HOST:PORT',
        ),
        (
            f"http://{'a' * 64}:9091",
            f'gateway from argument gateway "http://{"a" * 64}:9091" is not an address; write http://HOST:PORT',
        ),
        (
            "http://host\u202e:9091",
            'gateway from argument gateway "http://host\\u{202e}:9091" has a character that does not print; write '
            "http://HOST:PORT",
        ),
        (
            "http://host:9091/#a",
            'gateway from argument gateway "http://host:9091/#a" has a fragment; write http://HOST:PORT, with a path '
            "where the gateway has a prefix",
        ),
        (
            "http://host:9091?job=a",
            'gateway from argument gateway "http://host:9091?job=a" has a query; write http://HOST:PORT, with a path '
            "where the gateway has a prefix",
        ),
        (
            f"http://user:1/{PASSWORD}@host:9091",
            'gateway from argument gateway "http://host:9091" has an @ in its path (a / in a password is written %2F); '
            "write http://HOST:PORT, with a path where the gateway has a prefix",
        ),
    ],
)
def test_other_addresses_are_refused_before_a_strict_run_begins(text: str, message: str) -> None:
    with pytest.raises(simplepipe.SettingsError) as refusal:
        simplepipe.run("train", gateway=text, strict=True)
    assert str(refusal.value) == message
    assert PASSWORD not in repr(refusal.value)


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        (
            {"PUSHGATEWAY_URL": f"ftp://user:{PASSWORD}@host"},
            'gateway from PUSHGATEWAY_URL "ftp://host" is neither http nor https; write http://HOST:PORT',
        ),
        (
            {"PUSHGATEWAY_URL": "host:9091", "PUSHGATEWAY_USERNAME": "u", "PUSHGATEWAY_PASSWORD_FILE": "/missing"},
            'the file "/missing" from PUSHGATEWAY_PASSWORD_FILE can\'t be read: No such file or directory',
        ),
    ],
)
def test_wrong_settings_cost_the_metrics_and_not_the_training(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, environment: dict[str, str], message: str
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with simplepipe.run("train") as run:
        run.gauge("accuracy", 0.9)
        assert pusher_threads() == []
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("ERROR", f"run train: nothing is pushed: {message}")
    ]
    with pytest.raises(simplepipe.SettingsError, match=message.partition(" ")[0]):
        simplepipe.run("train", strict=True)


def test_credentials_are_found(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("in file\n")
    of_url = {"PUSHGATEWAY_URL": "http://url:in%2Furl@host:1"}
    assert credentials() is None
    assert credentials(**of_url) == ("url", "in/url")
    assert credentials(PUSHGATEWAY_USERNAME="env", PUSHGATEWAY_PASSWORD="p", **of_url) == ("env", "p")
    assert credentials(PUSHGATEWAY_PASSWORD="p", **of_url) == ("url", "p")
    assert credentials(PUSHGATEWAY_USERNAME="env", PUSHGATEWAY_PASSWORD="p", PUSHGATEWAY_PASSWORD_FILE=str(file)) == (
        "env",
        "in file",
    )
    file.write_text("of Windows\r\n")
    assert credentials(PUSHGATEWAY_PASSWORD_FILE=str(file), **of_url) == ("url", "of Windows")
    assert credentials(PUSHGATEWAY_USERNAME="env\n", PUSHGATEWAY_PASSWORD="of an editor\r\n") == ("env", "of an editor")
    assert credentials(PUSHGATEWAY_PASSWORD_FILE=f"{file}\n", **of_url) == ("url", "of Windows")
    file.write_text("no\u00a0break")
    assert credentials(PUSHGATEWAY_PASSWORD_FILE=str(file), **of_url) == ("url", "no\u00a0break")
    assert credentials(PUSHGATEWAY_PASSWORD="two ends\n\n", **of_url) == ("url", "two ends\n")
    settings = Settings.find(None, {"PUSHGATEWAY_USERNAME": "env", "PUSHGATEWAY_PASSWORD": PASSWORD, **of_url})
    assert PASSWORD not in repr(settings)


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        (
            {"PUSHGATEWAY_USERNAME": "alice"},
            'user "alice" has no password; set PUSHGATEWAY_PASSWORD_FILE or PUSHGATEWAY_PASSWORD',
        ),
        ({"PUSHGATEWAY_PASSWORD": PASSWORD}, "a password is set and no user; set PUSHGATEWAY_USERNAME"),
        (
            {"PUSHGATEWAY_USERNAME": "a:b", "PUSHGATEWAY_PASSWORD": PASSWORD},
            "PUSHGATEWAY_USERNAME has a colon, which basic authentication can't carry",
        ),
        (
            {"PUSHGATEWAY_URL": f"http://a%3Ab:{PASSWORD}@host:1"},
            "the address's user has a colon, which basic authentication can't carry",
        ),
        (
            {"PUSHGATEWAY_USERNAME": "alice", "PUSHGATEWAY_PASSWORD": f"{PASSWORD}\udce9"},
            "user and password are not text in UTF-8; write them so",
        ),
        (
            {"PUSHGATEWAY_USERNAME": "alice", "PUSHGATEWAY_PASSWORD_FILE": "/missing"},
            'the file "/missing" from PUSHGATEWAY_PASSWORD_FILE can\'t be read: No such file or directory',
        ),
        (
            {"PUSHGATEWAY_CA_FILE": "/ca"},
            "PUSHGATEWAY_CA_FILE is given, and http://host:1 is not https; write https:// in the address",
        ),
        (
            {"PUSHGATEWAY_URL": "https://host", "PUSHGATEWAY_CA_FILE": "/missing"},
            'the file "/missing" from PUSHGATEWAY_CA_FILE can\'t be used: No such file or directory',
        ),
        (
            {"PUSHGATEWAY_URL": "https://host", "PUSHGATEWAY_KEY_FILE": "/key"},
            "a client certificate wants both PUSHGATEWAY_CERT_FILE and PUSHGATEWAY_KEY_FILE",
        ),
    ],
)
def test_half_of_settings_is_refused_before_the_run_begins(environment: dict[str, str], message: str) -> None:
    with pytest.raises(simplepipe.SettingsError) as refusal:
        credentials(**environment)
    assert str(refusal.value) == message


@pytest.mark.parametrize("content", ["", "\n", f"{PASSWORD}\nmore\n", f"{PASSWORD}\x07", "x" * 5000, "\udcff"])
def test_a_password_file_holds_one_line(tmp_path: Path, content: str) -> None:
    file = tmp_path / "password"
    file.write_text(content, errors="surrogateescape")
    with pytest.raises(simplepipe.SettingsError, match="PUSHGATEWAY_PASSWORD_FILE") as refusal:
        credentials(PUSHGATEWAY_USERNAME="alice", PUSHGATEWAY_PASSWORD_FILE=str(file))
    assert PASSWORD not in str(refusal.value)


@pytest.mark.parametrize(
    ("job", "labels", "message"),
    [
        ("", {}, "job is empty"),
        ("a\nb", {}, "job .* has a control character"),
        ("a\x9fb", {}, "job .* has a control character"),
        ("caf\udce9", {}, r'job "caf\\u{dce9}" is what UTF-8 can\'t hold'),
        ("train", {"job": "x"}, 'grouping label "job" is the job\'s own'),
        ("train", {"a-b": "x"}, 'grouping label "a-b" is not a label name'),
        ("train", {"__a": "x"}, 'grouping label "__a" begins with __'),
        ("train", {"simplepipe_a": "x"}, "begins as Simplepipe's own labels do"),
        ("train", {"rank": 0.5}, 'grouping label "rank" is float, not a string; write it as text'),
        ("train", {"rank": True}, 'grouping label "rank" is bool, not a string'),
        ("train", {"rank": None}, 'grouping label "rank" is NoneType, not a string'),
        (0, {}, "job is int, not a string"),
        ("train", {"rank": ""}, 'grouping label "rank" is empty'),
    ],
)
def test_wrong_groups_are_refused(job: Any, labels: dict[str, Any], message: str) -> None:
    with pytest.raises(simplepipe.SettingsError, match=message):
        simplepipe.run(job, grouping_labels=labels)


def test_a_group_has_its_labels_in_any_order() -> None:
    assert Group.of("train", {"rank": "0", "fold": "1"}) == Group.of("train", {"fold": "1", "rank": "0"})


def test_a_whole_number_as_a_grouping_label_is_its_text() -> None:
    assert Group.of("train", {"rank": 0}) == Group.of("train", {"rank": "0"})


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("ttl", "7d", "ttl is str; write a number of seconds, such as 7 * 86400"),
        ("interval", "15s", "interval is str; write a number of seconds, such as 15"),
        ("interval", None, "interval is NoneType; write a number of seconds, such as 15"),
        ("patience", datetime.timedelta(seconds=10), "patience is timedelta; write a number of seconds, such as 10"),
        ("ttl", True, "ttl is bool; write a number of seconds"),
    ],
)
def test_times_are_numbers_of_seconds(name: str, value: object, message: str) -> None:
    with pytest.raises(simplepipe.SettingsError, match=re.escape(message)):
        simplepipe.run("train", **{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["interval", "patience", "ttl"])
@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf"), 1e10])
def test_times_are_above_zero_and_can_be_waited_for(name: str, seconds: float) -> None:
    with pytest.raises(simplepipe.SettingsError, match=f"{name} is .*; write a number of seconds above 0, and"):
        simplepipe.run("train", **{name: seconds})  # type: ignore[arg-type]
