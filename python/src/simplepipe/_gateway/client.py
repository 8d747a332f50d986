"""The HTTP client: a push in one try, with an error that a person understands and that holds no secret."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import socket
import ssl
import time
from typing import Any

from simplepipe._gateway.collision import Clash
from simplepipe._gateway.group import Group
from simplepipe._gateway.settings import Settings
from simplepipe._terminal import one_line
from simplepipe._version import VERSION
from simplepipe.errors import PushError, SettingsError

TIMEOUT = 10.0
"""For each wait for the gateway within a try, in seconds."""
CONNECT_TIMEOUT = 5.0
"""For connecting: less, for a host that swallows packets."""
MAX_BODY = 4096
"""How much of an answer is read, in bytes."""
ASK_TIMEOUT = 2.0
"""For asking what a refused push collides with, in seconds in all."""
MAX_HELD = 16 * 1024 * 1024
"""How much of what the gateway holds is read for that, in bytes."""
KNOWN_FOR = 60.0
"""How long what it told then is taken for what it would tell now, in seconds: a run pushes again and again."""
SHOWN = 400
"""How much of an answer is shown, in characters."""
NO_HOST = (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME))
"""By what the system says that a name has no address; a name server that fails says something else."""
NO_GATEWAY = "; is there a MetricsNamespace in this namespace? See kubectl get mns"
TEXT_FORMAT = "text/plain; version=0.0.4; charset=utf-8"


class Client:
    """Speaks to one Pushgateway."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._socket: socket.socket | None = None
        self._closed = False
        self._known: tuple[Clash, Group, str | None, float] | None = None

    @property
    def gateway(self) -> str:
        """The gateway's address without user and password."""
        return str(self._settings.address)

    def push(self, method: str, group: Group, exposition: bytes, timeout: float = TIMEOUT) -> None:
        """One try; PUT replaces the group's metrics, POST those of the same name. Raises PushError."""
        try:
            headers = self._headers()
            connection = self._make_connection(min(timeout, CONNECT_TIMEOUT))
        except SettingsError as error:  # A file of secrets has gone, or is just being replaced.
            raise PushError(f"can't be spoken to: {error}", transient=True) from None
        with contextlib.closing(connection):
            try:
                self._socket = _connect(connection)
                if self._closed:
                    raise PushError("is not pushed to any more", transient=False)
                connection.sock.settimeout(timeout)
                path = self._settings.address.prefix + group.path
                # Who leaves before all is there may have said why.
                with contextlib.suppress(BrokenPipeError, ConnectionResetError, ssl.SSLEOFError):
                    connection.request(method, path, body=exposition, headers=headers)
                with connection.getresponse() as response:
                    _check(response, headers.get("Authorization", "").removeprefix("Basic "))
            except TimeoutError:
                raise PushError(f"did not answer within {timeout:.2g} s", transient=True) from None
            except ssl.SSLError as error:  # Since TLS 1.3 a certificate of ours is refused only here.
                raise _tls_error(error) from None
            except (http.client.HTTPException, OSError, ValueError, AttributeError) as error:
                # The last two are what a connection gives that is aborted meanwhile.
                raise PushError(f"gave no proper answer: {_cause(error)}", transient=True) from None
            finally:
                self._socket = None

    def explained(self, error: PushError, group: Group, within: float = ASK_TIMEOUT) -> PushError:
        """The error of a push to this group, with what it collides with, where it does and the gateway soon tells. Asks
        it for that, so it is for an error that a person is told, once nothing is left to push."""
        clash = Clash.read(error.body) if isinstance(error, _Refused) else None
        told = clash and self._told(clash, group, min(within, ASK_TIMEOUT))
        return error if told is None else PushError(f"refused the push: {told}", transient=False)

    def close(self) -> None:
        """As `abort`, and no further try sends anything."""
        self._closed = True
        self.abort()

    def _told(self, clash: Clash, group: Group, within: float) -> str | None:
        """What it collides with, where the gateway tells."""
        now = time.monotonic()
        if self._known is None or self._known[:2] != (clash, group) or now - self._known[3] > KNOWN_FOR:
            try:
                told = clash.told(self._held(now + within), group)
            # Whatever answers may answer anything, and the refusal is known without it.
            except (
                PushError,
                SettingsError,
                http.client.HTTPException,
                OSError,
                ValueError,
                AttributeError,
                TypeError,
            ):
                told = None
            self._known = (clash, group, told, now)
        return self._known[2]

    def _held(self, deadline: float) -> list[Any]:
        """The groups that the gateway holds."""
        headers = self._headers()
        connection = self._make_connection(_left(deadline))
        body = bytearray()
        with contextlib.closing(connection):
            try:
                # The answer takes it from the connection.
                sock = self._socket = _connect(connection)
                sock.settimeout(_left(deadline))
                connection.request("GET", self._settings.address.prefix + "/api/v1/metrics", headers=headers)
                with connection.getresponse() as response:
                    while part := response.read1(64 * 1024):
                        body += part
                        if len(body) > MAX_HELD:
                            return []
                        # Newer Pythons close the socket with the last part, and then it takes no timeout.
                        if not response.isclosed():
                            sock.settimeout(_left(deadline))
            finally:
                self._socket = None
        groups = json.loads(body)["data"]
        return [each for each in groups if isinstance(each, dict)]

    def abort(self) -> None:
        """Breaks off the try or the question that another thread waits for."""
        sock = self._socket
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def _make_connection(self, timeout: float) -> http.client.HTTPConnection:
        address = self._settings.address
        context = self._settings.tls()
        if context is None:
            return http.client.HTTPConnection(address.host, address.port or 80, timeout=timeout)
        return http.client.HTTPSConnection(address.host, address.port or 443, timeout=timeout, context=context)

    def _headers(self) -> dict[str, str]:
        headers = {"Content-Type": TEXT_FORMAT, "User-Agent": f"simplepipe-python/{VERSION}", "Connection": "close"}
        credentials = self._settings.credentials
        if credentials is not None:
            headers["Authorization"] = "Basic " + base64.b64encode(credentials.pair()).decode()
        return headers


class _Refused(PushError):
    """With the beginning of what the gateway answered."""

    def __init__(self, message: str, body: str) -> None:
        super().__init__(message, transient=False)
        self.body = body


def _connect(connection: http.client.HTTPConnection) -> socket.socket:
    try:
        connection.connect()
    except ssl.SSLError as error:
        raise _tls_error(error) from None
    except (OSError, UnicodeError) as error:
        is_of_no_host = isinstance(error, socket.gaierror) and error.errno in NO_HOST
        # In a namespace's pod, `pushgateway` has an address where the namespace has a gateway.
        advice = NO_GATEWAY if is_of_no_host and "." not in connection.host else ""
        raise PushError(f"can't be reached: {_cause(error)}{advice}", transient=True) from None
    return connection.sock


def _left(deadline: float) -> float:
    """As a timeout. Raises TimeoutError."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _tls_error(error: ssl.SSLError) -> PushError:
    """All but the mere end of the connection, as of a gateway that is just being restarted, will stay so."""
    transient = isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError)
    advice = _tls_advice(error) if isinstance(error, ssl.SSLCertVerificationError) else ""
    return PushError(f"can't be spoken to over TLS: {_cause(error)}{advice}", transient=transient)


def _tls_advice(error: ssl.SSLCertVerificationError) -> str:
    """By OpenSSL's numbers."""
    if error.verify_code in (62, 64):
        return (
            "; use a host that the certificate has in its subjectAltName, or make one with this host there (openssl "
            "req -addext subjectAltName=DNS:HOST)"
        )
    if error.verify_code in (18, 19, 20, 21):
        return "; name the certificate of who signed its own, or that very certificate, in PUSHGATEWAY_CA_FILE"
    return ""


def _check(response: http.client.HTTPResponse, pair: str) -> None:
    """`pair`: the credentials that were sent; some servers answer with the request that they did not like."""
    status = response.status
    answer = f"{status} {one_line(response.reason, SHOWN)}"
    if 200 <= status < 300:
        if not response.getheader("Content-Type", "").lower().startswith("text/html"):
            return
        # As of a page to log in at, which says that all is well.
        raise PushError(
            f"is not the gateway: it answered {answer}: a web page; name the gateway's own address", transient=False
        )
    if 300 <= status < 400:
        # Following unasked could bring the metrics, and a password, to someone else.
        location = one_line(response.getheader("Location", ""), SHOWN)
        see = f": see {location}" if location else ""
        raise PushError(
            f"is not the gateway: it answered {answer}{see}; name the gateway's own address", transient=False
        )
    body = ""
    with contextlib.suppress(OSError, http.client.HTTPException):
        body = response.read(MAX_BODY).decode(errors="replace")
        text = one_line(body.replace(pair, "...") if pair else body, SHOWN)
        answer += f": {text}" if text else ""
    if status >= 500 or status in (408, 429):
        raise PushError(f"can't take the push now: it answered {answer}", transient=True)
    advice = ""
    if status == 404:
        advice = "; no Pushgateway answers there: see to the host, the port and the path of its address"
    if "was collected before" in body:
        advice = (
            "; another group has this metric with the same labels. The gateway refused this push only. Rename the "
            "metric, or delete that group if it is yours, then push again"
        )
    if "collides with previously collected" in body:
        advice = (
            "; the first of the two takes the name of the other. The gateway refused this push only. Rename one, then "
            "push again"
        )
    if "is not a " in body:
        advice = (
            "; it holds a metric of this name with another type, so give it that type (in text by a line # TYPE; "
            "without one it is untyped) or another name"
        )
    raise _Refused(f"refused the push: it answered {answer}{advice}", body)


def _cause(error: BaseException) -> str:
    """What the system said, without the number."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return one_line(str(text), SHOWN)
