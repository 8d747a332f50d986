"""A server with the faults of networks and gateways."""

from __future__ import annotations

import contextlib
import socket
import threading

# For the next part of a request, in seconds.
PATIENCE = 5


class FaultyServer:
    """Answers each request once it is whole: the first ones with these answers, further ones with the last of them.
    None is no answer at all, ever. Who connects and sends none, as by a port number that another server had, counts for
    nothing."""

    def __init__(self, *answers: bytes | None) -> None:
        self._answers = answers
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
            if request is None:
                connection.close()
                continue
            answer = self._answers[min(len(self.requests), len(self._answers) - 1)]
            self.requests.append(request)
            if answer is None:
                self._held.append(connection)
                continue
            # A client may have left before the end of an answer.
            with contextlib.closing(connection), contextlib.suppress(OSError):
                connection.sendall(answer)

    def close(self) -> None:
        """Ends it."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        for connection in self._held:
            connection.close()


def _read_request(connection: socket.socket) -> bytes | None:
    """Head and body; none where the client has left before the end, or sends nothing."""
    request, length = b"", None
    connection.settimeout(PATIENCE)
    while length is None or len(request) < length:
        try:
            received = connection.recv(65536)
        except OSError:
            return None
        if not received:
            return None
        request += received
        head, end, _ = request.partition(b"\r\n\r\n")
        if end and length is None:
            lengths = [line.split(b":")[1] for line in head.split(b"\r\n") if line.startswith(b"Content-Length:")]
            length = len(head) + len(end) + sum(map(int, lengths))
    return request
