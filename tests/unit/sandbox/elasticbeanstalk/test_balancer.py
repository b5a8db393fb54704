"""The load balancer: whom a request goes to, and what a visitor gets."""

from __future__ import annotations

import http.client
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

import pytest

from sandbox.elasticbeanstalk.balancer import Balancer, route
from sandbox.elasticbeanstalk.fleet import Instance


@dataclass(eq=False)
class Target:
    """As much of an instance as the load balancer sees."""

    port: int = 0
    is_unhealthy: bool = False
    is_new: bool = False
    requests: list[int] = field(default_factory=list)

    def served(self, status: int, seconds: float) -> None:
        self.requests.append(status)


def routed(targets: list[Target], percent: int | None = None, dice: float = 0.0) -> list[int]:
    given = cast("list[Instance]", targets)
    return [given.index(route(given, turn, percent, dice)) for turn in range(6)]


def test_takes_turns() -> None:
    assert routed([Target(), Target(), Target()]) == [0, 1, 2, 0, 1, 2]


def test_leaves_out_unhealthy_ones() -> None:
    assert routed([Target(), Target(is_unhealthy=True), Target()]) == [0, 2, 0, 2, 0, 2]


def test_fails_open_when_all_are_unhealthy() -> None:
    assert routed([Target(is_unhealthy=True), Target(is_unhealthy=True)]) == [0, 1, 0, 1, 0, 1]


def test_splits_traffic_by_percent() -> None:
    targets = [Target(), Target(is_new=True)]
    assert Counter(routed(targets, 10, dice)[0] for dice in range(100)) == {0: 90, 1: 10}


@pytest.fixture
def application() -> Iterator[Any]:
    """An HTTP server that tells what it was asked."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            told = f"{self.path} {self.headers['X-Forwarded-Proto']} {body.decode()}".encode()
            self.send_response(418)
            self.send_header("X-Mine", "yes")
            self.send_header("Content-Length", str(len(told)))
            self.end_headers()
            self.wfile.write(told)

        def log_message(self, format: str, *args: Any) -> None:
            """A request is no news in a test."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def ask(balancer: Balancer) -> tuple[int, str, str | None]:
    connection = http.client.HTTPConnection(balancer.address, timeout=5)
    with closing(connection):
        connection.request("POST", "/buy?n=1", b"basket")
        answer = connection.getresponse()
        return answer.status, answer.read().decode(), answer.getheader("X-Mine")


def balancing(*targets: Target) -> Balancer:
    return Balancer(lambda: cast("list[Instance]", list(targets)))


def test_passes_requests_and_answers_on(application: Any) -> None:
    target = Target(application.server_port)
    balancer = balancing(target)
    assert ask(balancer) == (418, "/buy?n=1 http basket", "yes")
    assert target.requests == [418]
    balancer.close()


def test_503_when_nothing_is_registered() -> None:
    balancer = balancing()
    assert ask(balancer)[0] == 503
    balancer.close()


def test_502_when_the_application_does_not_answer() -> None:
    target = Target(port=1)
    balancer = balancing(target)
    assert ask(balancer)[0] == 502
    assert target.requests == [502]
    balancer.close()


def test_nothing_listens_after_it_is_closed() -> None:
    balancer = balancing()
    balancer.close()
    with pytest.raises(ConnectionRefusedError):
        ask(balancer)
