"""The clients of the sandbox's own services: few stay open, and none is lost to its holder."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from sandbox.ministack.clients import Clients

UNREAD = Path("an authority that plain HTTP does not need")


class Service(BaseHTTPRequestHandler):
    """Answers every request as S3 answers HeadBucket, and keeps the connection."""

    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing to standard error."""


@pytest.fixture
def endpoint() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Service) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def session_of(number: int) -> tuple[str, str, str | None]:
    return (f"ASIA{number:016}", "secret", "token")


def test_the_same_credentials_get_the_same_client(endpoint: str) -> None:
    clients = Clients(endpoint, UNREAD)
    assert clients.get("s3", "us-east-1", session_of(1)) is clients.get(
        "s3", "us-east-1", session_of(1)
    )
    assert clients.get("s3", "us-east-1", session_of(1)) is not clients.get(
        "s3", "us-west-2", session_of(1)
    )
    assert clients.get("s3", "us-east-1", session_of(1)) is not clients.get(
        "s3", "us-east-1", session_of(2)
    )


def test_a_client_that_made_room_for_others_still_works(endpoint: str) -> None:
    """A build holds its client for as long as it runs, however many others begin meanwhile."""
    clients = Clients(endpoint, UNREAD, kept=2)
    first = clients.get("s3", "us-east-1", session_of(1))
    first.head_bucket(Bucket="b")
    for number in (2, 3, 4):
        clients.get("s3", "us-east-1", session_of(number)).head_bucket(Bucket="b")
    first.head_bucket(Bucket="b")
    assert clients.get("s3", "us-east-1", session_of(1)) is not first


def test_the_latest_used_stay(endpoint: str) -> None:
    clients = Clients(endpoint, UNREAD, kept=2)
    first = clients.get("s3", "us-east-1", session_of(1))
    clients.get("s3", "us-east-1", session_of(2))
    assert clients.get("s3", "us-east-1", session_of(1)) is first
    clients.get("s3", "us-east-1", session_of(3))
    assert clients.get("s3", "us-east-1", session_of(1)) is first
