"""A receiver of webhooks that records what it gets."""

import base64
import hashlib
import hmac
import json
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any


@dataclass(frozen=True)
class Message:
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    def json(self) -> Any:
        return json.loads(self.body)

    def is_signed_by(self, secret: str) -> bool:
        """Whether the signature is valid by https://github.com/standard-webhooks/standard-webhooks."""
        key = base64.b64decode(secret.removeprefix("whsec_"))
        signed = f"{self.id}.{self.headers['webhook-timestamp']}.".encode() + self.body
        expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        return f"v1,{expected}" in self.headers["webhook-signature"].split(" ")


# The status of the answer to a message that was received; None: the connection is closed without an answer.
Choice = Callable[[Message], int | None]


@dataclass
class Receiver:
    """
    Attributes:
        choose: decides the answer to each message.
        hold: waited for before each answer.
        taken: the messages that were answered with a status below 300.
    """

    port: int
    choose: Choice
    hold: Callable[[], object] = bool
    got: list[Message] = field(default_factory=list)
    taken: list[Message] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?of=mine"

    def answer(self, message: Message) -> int | None:
        self.got.append(message)
        status = self.choose(message)
        self.hold()
        if status is not None and status < 300:
            self.taken.append(message)
        return status


def _one_after_the_other(statuses: Sequence[int]) -> Choice:
    """Answers with the statuses in order, and then with the last one again and again."""
    turns = count(1)
    return lambda _: statuses[min(next(turns), len(statuses)) - 1]


@contextmanager
def receiving(
    statuses: Sequence[int] = (204,),
    hold: Callable[[], object] = bool,
    *,
    choose: Choice | None = None,
    tls: ssl.SSLContext | None = None,
) -> Iterator[Receiver]:
    """A running receiver, in a thread of its own. With the server context `tls` it speaks TLS."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): text for name, text in self.headers.items()}
            if (status := receiver.answer(Message(self.path, headers, body))) is None:
                self.close_connection = True
                return
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("Location", "/elsewhere")
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            """Log nothing."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            """Ignore clients that have closed their connection."""

    with Server(("127.0.0.1", 0), Handler) as server:
        if tls:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        receiver = Receiver(server.server_address[1], choose or _one_after_the_other(statuses), hold)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()
