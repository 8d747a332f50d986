"""A real Pushgateway, built from its pinned Go module by tests/cluster/tools; python/test says where it lies."""

from __future__ import annotations

import base64
import contextlib
import json
import signal
import ssl
import subprocess
import threading
import urllib.request
from collections.abc import Sequence
from typing import cast

from support.settings import of_python_test
from support.waiting import wait_for

OWN = ("go_", "process_", "pushgateway_", "push_time_seconds", "push_failure_time_seconds", "promhttp_")


class Pushgateway:
    """A gateway of its own for one test, that can be killed and started again on its port."""

    def __init__(self, arguments: Sequence[str] = ()) -> None:
        self._arguments = arguments
        self._address = "127.0.0.1:0"
        self._scheme = "http"
        self._opener = urllib.request.build_opener()
        self.start()

    @property
    def address(self) -> str:
        """HOST:PORT"""
        return self._address

    def start(self) -> None:
        """On the port that it had before, if any."""
        program = of_python_test("PUSHGATEWAY_PROGRAM")
        self._process = subprocess.Popen(
            [program, f"--web.listen-address={self._address}", "--log.format=json", *self._arguments],
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        log = self._process.stderr
        assert log is not None
        seen = []
        for line in log:
            seen.append(line)
            entry = json.loads(line)
            if entry.get("msg") == "Listening on":
                self._address = entry["address"]
                break
        else:
            raise AssertionError(f"the Pushgateway ended: {seen}")
        # For a full pipe would stop it.
        self._drain = threading.Thread(target=lambda: [None for _ in log], name="gateway-log", daemon=True)
        self._drain.start()

    def kill(self) -> None:
        """At once; what was pushed is gone with it."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        self._drain.join()
        assert self._process.stderr is not None
        self._process.stderr.close()

    def open_as(self, user: str, password: str, tls: ssl.SSLContext) -> None:
        """How to look into it."""
        pair = base64.b64encode(f"{user}:{password}".encode()).decode()
        self._scheme = "https"
        self._opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=tls))
        self._opener.addheaders = [("Authorization", f"Basic {pair}")]

    def whole(self) -> str:
        """All that it exposes."""
        with self._opener.open(f"{self._scheme}://{self._address}/metrics", timeout=30) as response:
            return cast(bytes, response.read()).decode()

    def exposition(self) -> str:
        """All that it exposes of what was pushed."""
        lines = (line for line in self.whole().splitlines() if not line.startswith("#") and not line.startswith(OWN))
        return "\n".join(lines)

    def series(self) -> dict[str, str]:
        """The value of each series, named as the gateway names it."""
        return dict(line.rsplit(" ", 1) for line in self.exposition().splitlines())

    def value(self, name: str, job: str = "train", **labels: str) -> float | None:
        """Of the series of that name with these labels, of a job without further grouping labels."""
        pairs = sorted({"instance": "", "job": job, **labels}.items())
        series = name + "{" + ",".join(f'{label}="{value}"' for label, value in pairs) + "}"
        found = self.series().get(series)
        return None if found is None else float(found)

    def wait_for_value(self, name: str, value: float, job: str = "train", **labels: str) -> None:
        """Until it is there."""
        wait_for(lambda: self.value(name, job, **labels) == value, lambda: f"{name} {value} in {self.series()}")
