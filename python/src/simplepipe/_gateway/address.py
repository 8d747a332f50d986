"""Where a Pushgateway answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import quote, unquote, urlsplit

from simplepipe._terminal import quoted
from simplepipe.errors import SettingsError


@dataclass(frozen=True)
class Address:
    """The base URL of a Pushgateway. Printed, it never shows the user and password that it may hold."""

    scheme: str
    host: str
    port: int | None
    prefix: str
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, text: str, origin: str) -> Address:
        """Reads `HOST:PORT` or `http[s]://HOST[:PORT][/PREFIX]`; `origin` says where the text came from."""
        text = text.strip()

        def wrong(what: str) -> SettingsError:
            return SettingsError(f"gateway from {origin} {what}")

        if not text:
            raise wrong("is empty; write http://HOST:PORT")
        shown = quoted(_without_credentials(text))
        scheme, separator, rest = text.rpartition("://") if "://" in text else ("", "", text)
        if separator and scheme.lower() not in ("http", "https"):
            raise wrong(f"{shown} is neither http nor https; write http://HOST:PORT")
        if any(not each.isprintable() for each in rest):
            raise wrong(f"{shown} has a character that does not print; write http://HOST:PORT")
        try:
            url = urlsplit(f"{scheme.lower() or 'http'}://{rest}")
            host, port = url.hostname, url.port
            if not host or " " in host:
                raise ValueError
            host.encode("idna")
        except ValueError:  # not chained: its message quotes the whole address, password and all
            raise wrong(f"{shown} is not an address; write http://HOST:PORT") from None

        part = None
        if "?" in rest:
            part = "a query"
        elif "#" in rest:
            part = "a fragment"
        elif "@" in url.path:
            # More likely a password with a slash, whose rest would be taken for a path and shown.
            part = "an @ in its path (a / in a password is written %2F)"
        if part:
            raise wrong(f"{shown} has {part}; write http://HOST:PORT, with a path where the gateway has a prefix")
        if not separator and port is None:
            raise wrong(f"{shown} has no port; write HOST:9091, or http://HOST for port 80")
        if url.path.rstrip("/").endswith("/metrics") or "/metrics/job" in url.path:
            raise wrong(
                f"{shown} has the path of a push, which is added by itself; write it without /metrics and what follows"
            )
        return cls(
            scheme=url.scheme,
            host=host,
            port=port,
            prefix=quote(url.path.rstrip("/"), safe="/%"),
            username=None if url.username is None else unquote(url.username),
            password=None if url.password is None else unquote(url.password),
        )

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port is None else f":{self.port}"
        return f"{self.scheme}://{host}{port}{self.prefix}"


def _without_credentials(text: str) -> str:
    """Leaves out whatever stands before the last `@`, for a text that may not be a URL at all."""
    before, separator, after = text.rpartition("@")
    if not separator:
        return text
    scheme, separator, _ = before.partition("://")
    # A user and a password that has slashes look like a scheme too, but for the colon between them.
    is_name = scheme.isascii() and scheme.isalnum()
    return f"{scheme}://{after}" if separator and is_name else after
