"""The HTTP client: a push in one try, with an error that a person understands and that holds no secret."""

from __future__ import annotations

import base64
import contextlib
import http.client
import socket
import ssl

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
SHOWN = 400
"""How much of an answer is shown, in characters."""
TEXT_FORMAT = "text/plain; version=0.0.4; charset=utf-8"


class Client:
    """Speaks to one Pushgateway."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._connection: http.client.HTTPConnection | None = None
        self._closed = False

    @property
    def gateway(self) -> str:
        """The gateway's address without user and password."""
        return str(self._settings.address)

    def push(self, method: str, group: Group, exposition: bytes, timeout: float = TIMEOUT) -> None:
        """One try; PUT replaces the group's metrics, POST those of the same name. Raises PushError."""
        try:
            headers = self._headers()
            connection = self._connection = self._make_connection(min(timeout, CONNECT_TIMEOUT))
        except SettingsError as error:  # A file of secrets has gone, or is just being replaced.
            raise PushError(f"can't be spoken to: {error}", transient=True) from None
        with contextlib.closing(connection):
            try:
                _connect(connection)
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
                self._connection = None

    def close(self) -> None:
        """As `abort`, and no further try sends anything."""
        self._closed = True
        self.abort()

    def abort(self) -> None:
        """Breaks off the try that another thread waits for."""
        connection = self._connection
        sock = None if connection is None else connection.sock
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


def _connect(connection: http.client.HTTPConnection) -> None:
    try:
        connection.connect()
    except ssl.SSLError as error:
        raise _tls_error(error) from None
    except (OSError, UnicodeError) as error:
        raise PushError(f"can't be reached: {_cause(error)}", transient=True) from None


def _tls_error(error: ssl.SSLError) -> PushError:
    """All but the mere end of the connection, as of a gateway that is just being restarted, will stay so."""
    transient = isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError)
    return PushError(f"can't be spoken to over TLS: {_cause(error)}", transient=transient)


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
    with contextlib.suppress(OSError, http.client.HTTPException):
        body = response.read(MAX_BODY).decode(errors="replace")
        text = one_line(body.replace(pair, "...") if pair else body, SHOWN)
        answer += f": {text}" if text else ""
    if status >= 500 or status in (408, 429):
        raise PushError(f"can't take the push now: it answered {answer}", transient=True)
    advice = ""
    if status == 404:
        advice = "; no Pushgateway answers there: see to the host, the port and the path of its address"
    raise PushError(f"refused the push: it answered {answer}{advice}", transient=False)


def _cause(error: BaseException) -> str:
    """What the system said, without the number."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return one_line(str(text), SHOWN)
