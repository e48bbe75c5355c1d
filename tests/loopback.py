"""A tiny OpenAI-compatible server on loopback: a function of the messages gives the reply, every request is kept."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

Messages = list[dict[str, str]]


@dataclass(frozen=True)
class Answer:
    """How one request is answered, where it takes more than a text.

    `fields` replace fields of the completion (None takes one out), `body` replaces all of it. `wait` seconds pass
    before the first byte; with `drip` a thousand spaces, which JSON allows, come before the body, so many seconds
    apart. `cut` closes the connection in the middle of the body.
    """

    text: str = ""
    finish: str = "stop"
    fields: dict[str, Any] | None = None
    status: int = 200
    body: str | None = None
    wait: float = 0.0
    drip: float = 0.0
    cut: bool = False


@dataclass(frozen=True)
class Request:
    """What was asked: path, headers (names in lower case), JSON body."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]


class ChatServer:
    """Serves `/chat/completions` and `/v1/chat/completions` while it is open."""

    def __init__(self, reply: Callable[[Messages], str | Answer]) -> None:
        self.reply = reply
        self.requests: list[Request] = []
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    @property
    def url(self) -> str:
        """What a client is given as `api_base`."""
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    def __enter__(self) -> ChatServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def completion(model: str, messages: Messages, answer: Answer) -> dict[str, Any]:
    """A chat completion as OpenAI sends it; a token is a word."""
    words = sum(len(message["content"].split()) for message in messages)
    said = len(answer.text.split())
    whole = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": model,
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": answer.text}, "finish_reason": answer.finish}
        ],
        "usage": {"prompt_tokens": words, "completion_tokens": said, "total_tokens": words + said},
    }
    return {key: value for key, value in (whole | (answer.fields or {})).items() if value is not None}


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no error; one in a test's own function is worth a traceback."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def _handler(chat: ChatServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        disable_nagle_algorithm = True
        protocol_version = "HTTP/1.1"  # connections stay open, as those of real services do

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            headers = {name.lower(): value for name, value in self.headers.items()}
            chat.requests.append(Request(self.path, headers, asked))
            if self.path in ("/chat/completions", "/v1/chat/completions"):
                reply = chat.reply(asked["messages"])
                answer = Answer(reply) if isinstance(reply, str) else reply
            else:
                answer = Answer(status=404, body='{"error": {"message": "no such path"}}')
            try:
                self._send(answer, asked)
            except OSError:  # the client did not wait
                self.close_connection = True

        def _send(self, answer: Answer, asked: dict[str, Any]) -> None:
            body = answer.body
            if body is None:
                body = json.dumps(completion(asked["model"], asked["messages"], answer))
            time.sleep(answer.wait)
            drips = 1000 if answer.drip else 0
            self.send_response(answer.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(drips + len(body.encode())))
            self.end_headers()
            for _ in range(drips):
                self.wfile.write(b" ")
                time.sleep(answer.drip)
            self.wfile.write(body.encode()[: len(body) // 2 if answer.cut else None])
            self.close_connection = self.close_connection or answer.cut

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name is the base class's
            """Stay quiet."""

    return Handler
