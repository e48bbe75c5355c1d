"""The server behind the address: requests come in over HTTP and are kept, answers go out as they say they are sent."""

from __future__ import annotations

import json
import select
import socket
import struct
import sys
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

from tradearena.testing.answers import Answer, Reply, completion

_DRIPS, _GLANCE = 1000, 0.02
"""Bytes of an answer that drips, and how often a server that waits looks whether its client still does, in seconds."""


@dataclass(frozen=True)
class Request:
    """What was asked: path, headers (names in lower case), JSON body, and when, in seconds since the server opened."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    at: float = 0.0


class ChatServer:
    """Serves `/chat/completions` and `/v1/chat/completions` while it is open.

    Attributes:
        requests: all that was asked, in the order of arrival.
        waiting: requests that are being answered now. A client that has gone away waits no longer.
        most: the most there ever were at once.
    """

    def __init__(self, reply: Reply) -> None:
        self.reply = reply
        self.requests: list[Request] = []
        self.waiting = self.most = 0
        self._lock, self._closing = threading.Lock(), threading.Event()
        self._opened = time.monotonic()
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    @property
    def url(self) -> str:
        """What a client is given as `api_base`."""
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    def __enter__(self) -> ChatServer:
        self._opened = time.monotonic()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _arrived(self, path: str, headers: dict[str, str], body: dict[str, Any]) -> int:
        """Note a request; returns its number, from 1."""
        with self._lock:
            self.requests.append(Request(path, headers, body, time.monotonic() - self._opened))
            self.waiting += 1
            self.most = max(self.most, self.waiting)
            return len(self.requests)

    def _answered(self) -> None:
        with self._lock:
            self.waiting -= 1


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, chat: ChatServer) -> None:
        self.chat = chat
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no error; one in a test's own function is worth a traceback."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    disable_nagle_algorithm = True
    protocol_version = "HTTP/1.1"  # connections stay open, as those of real services do
    server: _Server
    _counted = False

    def do_POST(self) -> None:
        chat = self.server.chat
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        number = chat._arrived(self.path, {name.lower(): value for name, value in self.headers.items()}, asked)
        self._counted = True
        try:
            answer = self._answer(asked)
            try:
                self._send(answer, asked, number)
            except OSError:  # the client did not wait
                self.close_connection = True
        finally:
            self._done()

    def _answer(self, asked: dict[str, Any]) -> Answer:
        if self.path not in ("/chat/completions", "/v1/chat/completions"):
            return Answer(status=404, body='{"error": {"message": "no such path"}}')
        reply = self.server.chat.reply(asked["messages"])
        return Answer(reply) if isinstance(reply, str) else reply

    def _send(self, answer: Answer, asked: dict[str, Any], number: int) -> None:
        body = answer.body
        if body is None:
            body = json.dumps(completion(asked["model"], asked["messages"], answer, number))
        whole, drips = body.encode() if isinstance(body, str) else body, _DRIPS if answer.drip else 0
        if not self._wait(answer.hang or answer.wait) or answer.hang or answer.drop or answer.reset:
            self.close_connection = True
            if answer.reset:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                for end in (self.rfile, self.wfile, self.connection):
                    end.close()
            return
        self.send_response(answer.status)
        headers = {"Content-Type": "application/json", "Content-Length": str(drips + len(whole))}
        for name, value in (headers | dict(answer.headers)).items():
            self.send_header(name, value)
        self.end_headers()
        for _ in range(drips):
            self.wfile.write(b" ")
            if not self._wait(answer.drip):
                self.close_connection = True
                return
        self._done()  # ahead of the last byte: who has read it may ask again at once
        self.wfile.write(whole[: len(whole) // 2] if answer.cut else whole)
        self.close_connection = self.close_connection or answer.cut

    def _wait(self, seconds: float) -> bool:
        """Let time pass; False as soon as the server closes or the client is gone."""
        until, closing = time.monotonic() + seconds, self.server.chat._closing
        while not closing.is_set():
            rest = until - time.monotonic()
            if rest <= 0:
                return True
            closing.wait(min(rest, _GLANCE))
            readable, _, _ = select.select([self.connection], [], [], 0)
            if readable and not self.connection.recv(1, socket.MSG_PEEK):
                return False
        return False

    def _done(self) -> None:
        """This request waits no longer."""
        if self._counted:
            self._counted = False
            self.server.chat._answered()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name is the base class's
        """Stay quiet."""
