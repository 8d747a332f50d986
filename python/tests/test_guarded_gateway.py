"""Gateways that want TLS, a password or a certificate. No message shows a secret."""

from __future__ import annotations

import logging
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import certificates
from support.certificates import Certificate
from support.faulty import FaultyServer
from support.gateway import Pushgateway
from support.waiting import wait_for

import simplepipe
from simplepipe import MetricCollector, PushError
from simplepipe._gateway import Settings

PASSWORD = "s3cret-pass"
BCRYPT = "$2b$04$Iwsf.ipg46nWCkttcqHp0.GFHyTZ/U8JibmdI1m/wU3wLM6slu/ae"
"""Of the password."""
OF_ADDRESS = ("-addext", "subjectAltName=IP:127.0.0.1")


@pytest.fixture
def guarded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pushgateway]:
    """A gateway over TLS that wants a user and a password."""
    own = certificates.make(tmp_path, "gateway", *OF_ADDRESS)
    config = tmp_path / "web.yaml"
    config.write_text(
        f'tls_server_config: {{cert_file: "{own.file}", key_file: "{own.key}"}}\n'
        f'basic_auth_users: {{alice: "{BCRYPT}"}}\n'
    )
    gateway = Pushgateway([f"--web.config.file={config}"])
    gateway.open_as("alice", PASSWORD, ssl.create_default_context(cafile=str(own.file)))
    monkeypatch.setenv("PUSHGATEWAY_URL", f"https://{gateway.address}")
    monkeypatch.setenv("PUSHGATEWAY_CA_FILE", str(own.file))
    monkeypatch.setenv("PUSHGATEWAY_USERNAME", "alice")
    yield gateway
    gateway.kill()


def test_a_gateway_over_tls_that_wants_a_password_gets_it(
    guarded: Pushgateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PUSHGATEWAY_PASSWORD", PASSWORD)
    with simplepipe.run("train") as run:
        run.gauge("accuracy", 0.9)
    assert guarded.value("accuracy") == 0.9


def test_a_password_that_changes_during_the_run_is_read_anew(
    guarded: Pushgateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "password"
    file.write_text("an old one")
    monkeypatch.setenv("PUSHGATEWAY_PASSWORD_FILE", str(file))
    with simplepipe.run("train", interval=0.05) as run:
        run.gauge("accuracy", 0.9)
        file.write_text(PASSWORD + "\n")
        guarded.wait_for_value("accuracy", 0.9)


def test_a_password_file_that_is_just_being_replaced_is_awaited(
    guarded: Pushgateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "password"
    file.write_text(PASSWORD)
    monkeypatch.setenv("PUSHGATEWAY_PASSWORD_FILE", str(file))
    with simplepipe.run("train", interval=0.05) as run:
        file.unlink()
        wait_for(lambda: caplog.messages, lambda: "a push without it")
        run.gauge("accuracy", 0.9)
        file.write_text(PASSWORD)
        guarded.wait_for_value("accuracy", 0.9)
    assert "can't be spoken to: the file" in caplog.messages[0]
    assert "can't be read: No such file or directory; the run goes on, and so do the tries" in caplog.messages[0]


def test_no_secret_is_logged_at_any_level(
    guarded: Pushgateway, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("PUSHGATEWAY_PASSWORD", "wr0ng-pass")
    with simplepipe.run("train", patience=1):
        pass
    assert "refused the push: it answered 401 Unauthorized" in caplog.text
    monkeypatch.delenv("PUSHGATEWAY_CA_FILE")
    with simplepipe.run("train", gateway=f"https://alice:wr0ng-pass@{guarded.address}", patience=1):
        pass
    assert "can't be spoken to over TLS: " in caplog.text
    assert "wr0ng-pass" not in caplog.text
    assert "Basic" not in caplog.text


def test_a_redirect_is_not_followed_with_the_password(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    elsewhere = FaultyServer(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    server = FaultyServer(f"HTTP/1.1 307 Moved\r\nLocation: http://{elsewhere.address}/\r\n\r\n".encode())
    with simplepipe.run("train", gateway=f"alice:{PASSWORD}@{server.address}", patience=1):
        pass
    server.close()
    elsewhere.close()
    assert b"Authorization: Basic YWxpY2U6czNjcmV0LXBhc3M=" in server.requests[0]
    assert elsewhere.requests == []


def test_a_password_beyond_ascii_is_sent_in_utf_8(monkeypatch: pytest.MonkeyPatch) -> None:
    server = FaultyServer(b"HTTP/1.1 200 OK\r\n\r\n")
    monkeypatch.setenv("PUSHGATEWAY_USERNAME", "zoë")
    monkeypatch.setenv("PUSHGATEWAY_PASSWORD", "påss")
    with simplepipe.run("train", gateway=server.address):
        pass
    server.close()
    assert b"Authorization: Basic em/Dqzpww6Vzcw==" in server.requests[0]


def push(gateway: Pushgateway) -> None:
    MetricCollector(f"https://{gateway.address}").parse_and_push(
        [{"name": "accuracy", "value": 0.9, "metric_type": "gauge"}], "train"
    )


def refusal(gateway: Pushgateway) -> str:
    """One that stays."""
    with pytest.raises(PushError, match="can't be spoken to over TLS: ") as error:
        push(gateway)
    assert not error.value.transient
    return str(error.value)


def test_a_gateway_is_who_its_certificate_says(guarded: Pushgateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUSHGATEWAY_PASSWORD", PASSWORD)
    push(guarded)
    port = guarded.address.rpartition(":")[2]
    with pytest.raises(PushError, match="certificate verify failed: Hostname mismatch") as error:
        MetricCollector(f"https://localhost:{port}").parse_and_push(
            [{"name": "accuracy", "value": 0.9, "metric_type": "gauge"}], "train"
        )
    assert not error.value.transient


def serve(folder: Path, certificate: Certificate) -> Pushgateway:
    config = folder / "web.yaml"
    config.write_text(f'tls_server_config: {{cert_file: "{certificate.file}", key_file: "{certificate.key}"}}\n')
    return Pushgateway([f"--web.config.file={config}"])


def test_a_certificate_is_trusted_where_it_is_named_and_its_authority_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = certificates.make(tmp_path, "authority")
    # Since 3.13, Python wants certificates to name the key that signed them.
    nameless = ("-addext", "subjectKeyIdentifier=none", "-addext", "authorityKeyIdentifier=none")
    own = certificates.make(tmp_path, "127.0.0.1", *OF_ADDRESS, *nameless, signed_by=authority)
    gateway = serve(tmp_path, own)
    for trusted in (own, authority):
        monkeypatch.setenv("PUSHGATEWAY_CA_FILE", str(trusted.file))
        push(gateway)
    gateway.kill()


HOST_ADVICE = "; use a host that the certificate has in its subjectAltName, or make one with this host there"


@pytest.mark.parametrize(
    ("more", "named", "words"),
    [
        ([], "own", HOST_ADVICE),
        (["-addext", "subjectAltName=DNS:pushgateway"], "own", HOST_ADVICE),
        (
            list(OF_ADDRESS),
            "other",
            "; name the certificate of who signed its own, or that very certificate, in PUSHGATEWAY",
        ),
    ],
    ids=["for no host", "for another host", "another is named"],
)
def test_a_certificate_that_signed_itself_is_refused_with_what_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: list[str], named: str, words: str
) -> None:
    # As `openssl req -x509` makes it; its common name counts for nothing.
    made = {
        "own": certificates.make(tmp_path, "127.0.0.1", *more),
        "other": certificates.make(tmp_path, "other", *OF_ADDRESS),
    }
    gateway = serve(tmp_path, made["own"])
    monkeypatch.setenv("PUSHGATEWAY_CA_FILE", str(made[named].file))
    assert words in refusal(gateway)
    gateway.kill()


@pytest.fixture
def members_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Pushgateway, Certificate]]:
    """A gateway that wants a certificate which the other one has signed."""
    own, club = certificates.make(tmp_path, "gateway", *OF_ADDRESS), certificates.make(tmp_path, "club")
    config = tmp_path / "web.yaml"
    config.write_text(
        f'tls_server_config: {{cert_file: "{own.file}", key_file: "{own.key}", client_ca_file: "{club.file}", '
        "client_auth_type: RequireAndVerifyClientCert}\n"
    )
    gateway = Pushgateway([f"--web.config.file={config}"])
    monkeypatch.setenv("PUSHGATEWAY_CA_FILE", str(own.file))
    yield gateway, club
    gateway.kill()


def show(certificate: Certificate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUSHGATEWAY_CERT_FILE", str(certificate.file))
    monkeypatch.setenv("PUSHGATEWAY_KEY_FILE", str(certificate.key))


def test_a_gateway_that_wants_a_certificate_gets_it(
    members_only: tuple[Pushgateway, Certificate], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway, club = members_only
    show(certificates.make(tmp_path, "member", signed_by=club), monkeypatch)
    with simplepipe.run("train", gateway=f"https://{gateway.address}", strict=True) as run:
        run.gauge("accuracy", 0.9)


def test_without_the_right_certificate_a_push_is_refused(
    members_only: tuple[Pushgateway, Certificate], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway, _ = members_only
    assert "certificate required" in refusal(gateway)
    show(certificates.make(tmp_path, "stranger"), monkeypatch)
    assert "unknown ca" in refusal(gateway)


def test_nobody_is_asked_for_the_password_of_a_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    member = certificates.make(tmp_path, "member")
    locked = Certificate(member.file, tmp_path / "locked.key")
    subprocess.run(
        f"openssl ec -in {member.key} -aes256 -passout pass:{PASSWORD} -out {locked.key}".split(),
        check=True,
        capture_output=True,
    )
    show(locked, monkeypatch)
    with pytest.raises(simplepipe.SettingsError, match="from PUSHGATEWAY_CERT_FILE, with PUSHGATEWAY_KEY_FILE can't"):
        Settings.find("https://gateway")


def test_a_gateway_that_leaves_during_the_handshake_is_tried_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"

        def leave() -> None:
            connection, _ = listener.accept()
            # All that came is read, so that the client sees an end and no reset.
            connection.recv(65536)
            connection.close()

        server = threading.Thread(target=leave)
        server.start()
        with pytest.raises(PushError, match="can't be spoken to over TLS: ") as error:
            MetricCollector(f"https://{address}").parse_and_push(
                [{"name": "accuracy", "value": 0.9, "metric_type": "gauge"}], "train"
            )
        server.join()
    assert error.value.transient
