"""The load balancer of an environment: a reverse proxy on a loopback port of its own.

It stands for the Application Load Balancer and for the proxy of each instance: no registered
instance is 503, an application that does not answer is 502. Like AWS's it "fails open": when every
registered instance is unhealthy it routes to all of them
(https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html),
so a visitor sees the broken application itself.
"""

from __future__ import annotations

import http.client
import itertools
import logging
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from sandbox.elasticbeanstalk.fleet import BAD_GATEWAY, Instance

logger = logging.getLogger(__name__)

_HOP_BY_HOP = frozenset(
    (
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    )
)
_SERVICE_UNAVAILABLE = 503


def route(targets: Sequence[Instance], turn: int, new_percent: int | None, dice: float) -> Instance:
    """The instance that a request goes to; `targets` are registered, and at least one.

    `new_percent` is the share of a traffic-splitting deployment's new instances, None without one;
    `dice` is between 0 and 100.
    """
    usable = [one for one in targets if not one.is_unhealthy] or list(targets)
    if new_percent is not None:
        wanted = dice < new_percent
        usable = [one for one in usable if one.is_new is wanted] or usable
    return usable[turn % len(usable)]


class Balancer:
    """A reverse proxy over the instances that `targets` gives at each request."""

    def __init__(self, targets: Callable[[], Sequence[Instance]], timeout: float = 60.0) -> None:
        self.new_percent: int | None = None
        self._targets, self._timeout = targets, timeout
        self._turns: Iterator[int] = itertools.count()
        balancer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def __getattr__(self, name: str) -> Callable[[], None]:
                """`do_GET` and its like: a proxy treats every method the same."""
                if not name.startswith("do_"):
                    raise AttributeError(name)
                return lambda: balancer._forward(self)

            def log_message(self, format: str, *args: object) -> None:
                logger.debug(format, *args)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self.address = f"127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever,
            kwargs={"poll_interval": 0.1},
            name=f"balancer-{self.address}",
            daemon=True,
        )
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _forward(self, visitor: BaseHTTPRequestHandler) -> None:
        body = visitor.rfile.read(int(visitor.headers.get("Content-Length") or 0))
        targets = self._targets()
        if not targets:
            _answer(visitor, _SERVICE_UNAVAILABLE, b"503 Service Temporarily Unavailable\n")
            return
        dice = random.random() * 100  # noqa: S311 - no secret
        target = route(targets, next(self._turns), self.new_percent, dice)
        begun = time.monotonic()
        connection = http.client.HTTPConnection("127.0.0.1", target.port, timeout=self._timeout)
        try:
            connection.request(visitor.command, visitor.path, body or None, self._headers(visitor))
            response = connection.getresponse()
            answer = response.read()
        except (OSError, http.client.HTTPException):
            target.served(BAD_GATEWAY, time.monotonic() - begun)
            _answer(visitor, BAD_GATEWAY, b"502 Bad Gateway\n")
            return
        finally:
            connection.close()
        target.served(response.status, time.monotonic() - begun)
        visitor.send_response_only(response.status)
        for name, value in response.getheaders():
            if name.lower() not in _HOP_BY_HOP and name.lower() != "content-length":
                visitor.send_header(name, value)
        visitor.send_header("Content-Length", str(len(answer)))
        visitor.end_headers()
        if visitor.command != "HEAD":
            visitor.wfile.write(answer)

    def _headers(self, visitor: BaseHTTPRequestHandler) -> dict[str, str]:
        kept = {
            name: value
            for name, value in visitor.headers.items()
            if name.lower() not in _HOP_BY_HOP and name.lower() != "content-length"
        }
        peer = visitor.client_address[0]
        before = visitor.headers.get("X-Forwarded-For")
        kept["X-Forwarded-For"] = f"{before}, {peer}" if before else peer
        kept["X-Forwarded-Proto"] = "http"
        kept["X-Forwarded-Port"] = self.address.rpartition(":")[2]
        return kept


def _answer(visitor: BaseHTTPRequestHandler, status: int, body: bytes) -> None:
    visitor.send_response_only(status)
    visitor.send_header("Content-Type", "text/plain; charset=utf-8")
    visitor.send_header("Content-Length", str(len(body)))
    visitor.end_headers()
    if visitor.command != "HEAD":
        visitor.wfile.write(body)
