"""Where to push and as whom: from the argument, else from the environment; the same variables as `simplepipe push`."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from simplepipe._gateway.address import Address
from simplepipe._gateway.group import has_control
from simplepipe._terminal import quoted
from simplepipe.errors import SettingsError

GATEWAY_VARIABLES = ("PUSHGATEWAY_URL", "PUSH_GATEWAY_HOSTNAME")
"""Where the address is looked for, in this order. The second is the first Simplepipe's."""
MAX_PASSWORD = 4096
"""Longest password, in bytes: a file that has more is some other file."""


@dataclass(frozen=True)
class Credentials:
    """A user, and where the password is. Printed, it shows no secret."""

    username: str
    password: str = field(default="", repr=False)
    password_file: Path | None = None

    def pair(self) -> bytes:
        """As basic authentication has them."""
        try:
            return f"{self.username}:{self.read_password()}".encode()
        except UnicodeEncodeError:  # not chained: it holds the password
            raise SettingsError("user and password are not text in UTF-8; write them so") from None

    def read_password(self) -> str:
        """The password now: a file is read each time, since a secret may be changed during a long run."""
        return self.password if self.password_file is None else _read_password(self.password_file)


@dataclass(frozen=True)
class Settings:
    """All that a client needs to know."""

    address: Address
    credentials: Credentials | None = None
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None

    @classmethod
    def find(cls, gateway: str | None = None, environment: Mapping[str, str] = os.environ) -> Settings | None:
        """Nothing where neither the argument nor the environment names a gateway."""
        # An empty variable is as good as none, as everywhere in a shell.
        given = {name: _line(value) for name, value in environment.items() if value.strip()}
        address = _address(gateway, given)
        if address is None:
            return None
        settings = cls(
            address,
            _credentials(address, given),
            given.get("PUSHGATEWAY_CA_FILE"),
            given.get("PUSHGATEWAY_CERT_FILE"),
            given.get("PUSHGATEWAY_KEY_FILE"),
        )
        settings.check()
        return settings

    def check(self) -> None:
        """What is wrong is said at once, and not when a training has run for hours."""
        files = {
            "PUSHGATEWAY_CA_FILE": self.ca_file,
            "PUSHGATEWAY_CERT_FILE": self.cert_file,
            "PUSHGATEWAY_KEY_FILE": self.key_file,
        }
        for name, file in files.items():
            if file is not None and self.address.scheme != "https":
                raise SettingsError(f"{name} is given, and {self.address} is not https; write https:// in the address")
        if (self.cert_file is None) != (self.key_file is None):
            raise SettingsError("a client certificate wants both PUSHGATEWAY_CERT_FILE and PUSHGATEWAY_KEY_FILE")
        if self.credentials is not None:
            self.credentials.pair()
        self.tls()

    def tls(self) -> ssl.SSLContext | None:
        """Made anew for each push, since certificates are replaced during long runs."""
        if self.address.scheme != "https":
            return None
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
        except OSError as error:  # ssl.SSLError is one
            raise SettingsError(_unusable(self.ca_file, "PUSHGATEWAY_CA_FILE", error)) from None
        # As `simplepipe push` has it: a certificate is for the hosts of its subjectAltName. One that is named may be
        # the gateway's own, and may lack what Python wants to see in a certificate since 3.13.
        context.hostname_checks_common_name = False
        if self.ca_file is not None:
            context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
            context.verify_flags &= ~ssl.VerifyFlags.VERIFY_X509_STRICT
        if self.cert_file is not None:
            try:
                # The empty password: without one, OpenSSL would ask on the terminal for that of an encrypted key.
                context.load_cert_chain(self.cert_file, self.key_file, password="")
            except OSError as error:
                raise SettingsError(
                    _unusable(self.cert_file, "PUSHGATEWAY_CERT_FILE, with PUSHGATEWAY_KEY_FILE", error)
                ) from None
        return context


def _address(gateway: str | None, given: Mapping[str, str]) -> Address | None:
    if gateway is not None:
        return Address.parse(gateway, "argument gateway")
    name = next((name for name in GATEWAY_VARIABLES if name in given), None)
    return None if name is None else Address.parse(given[name], name)


def _credentials(address: Address, given: Mapping[str, str]) -> Credentials | None:
    """The user and the password are looked for apart, so that an address may name the user and a file the password."""
    username = given.get("PUSHGATEWAY_USERNAME", "")
    password_file = given.get("PUSHGATEWAY_PASSWORD_FILE")
    password = given.get("PUSHGATEWAY_PASSWORD", "")
    if ":" in username:
        raise SettingsError("PUSHGATEWAY_USERNAME has a colon, which basic authentication can't carry")
    if not username and ":" in (address.username or ""):
        raise SettingsError("the address's user has a colon, which basic authentication can't carry")
    if password_file is None and not password:
        if username:
            raise SettingsError(
                f"user {quoted(username)} has no password; set PUSHGATEWAY_PASSWORD_FILE or PUSHGATEWAY_PASSWORD"
            )
        if address.username is None:
            return None
        return Credentials(address.username, address.password or "")
    username = username or address.username or ""
    if not username:
        raise SettingsError("a password is set and no user; set PUSHGATEWAY_USERNAME")
    if password_file is not None:
        return Credentials(username, password_file=Path(password_file))
    return Credentials(username, password)


def _line(text: str) -> str:
    """One line end is the editor's, who made the file, or the Secret."""
    return text.removesuffix("\n").removesuffix("\r")


def _read_password(file: Path) -> str:
    def wrong(problem: str) -> SettingsError:
        return SettingsError(f"the file {quoted(str(file))} from PUSHGATEWAY_PASSWORD_FILE {problem}")

    try:
        with file.open("rb") as opened:
            text = opened.read(MAX_PASSWORD + 1).decode()
    except UnicodeDecodeError:  # not chained: it holds the content
        raise wrong("is no text in UTF-8") from None
    except OSError as error:
        raise wrong(f"can't be read: {error.strerror}") from None
    password = _line(text)
    if not password:
        raise wrong("is empty; write the password into it")
    if has_control(password) or len(text) > MAX_PASSWORD:
        raise wrong("holds more than a password on one line, or a control character")
    return password


def _unusable(file: str | None, origin: str, error: OSError) -> str:
    if file is None:
        return "the system's CA certificates can't be used; name a file of them in PUSHGATEWAY_CA_FILE"
    return f"the file {quoted(file)} from {origin} can't be used: {error.strerror or type(error).__name__}"
