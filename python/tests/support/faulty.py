"""A server with the faults of networks and gateways."""

from __future__ import annotations

import contextlib
import socket
import threading


class FaultyServer:
    """Gives each connection the same answer, after the whole request; without an answer it never gives one."""

    def __init__(self, answer: bytes | None) -> None:
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.requests: list[bytes] = []
        self._held: list[socket.socket] = []
        self._thread = threading.Thread(target=self._serve, name="faulty-server", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            request = _read_request(connection)
            if request is not None:
                self.requests.append(request)
            if self._answer is None:
                self._held.append(connection)
                continue
            # A client may have left before the end of an answer.
            with contextlib.closing(connection), contextlib.suppress(OSError):
                connection.sendall(self._answer)

    def close(self) -> None:
        """Ends it."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        for connection in self._held:
            connection.close()


def _read_request(connection: socket.socket) -> bytes | None:
    """Head and body; none where the client has left before the end."""
    request, length = b"", None
    while length is None or len(request) < length:
        received = connection.recv(65536)
        if not received:
            return None
        request += received
        head, end, _ = request.partition(b"\r\n\r\n")
        if end and length is None:
            (body,) = (line.split(b":")[1] for line in head.split(b"\r\n") if line.startswith(b"Content-Length:"))
            length = len(head) + len(end) + int(body)
    return request
