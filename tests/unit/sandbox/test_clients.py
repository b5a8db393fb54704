"""The clients of the sandbox's own services: answered in the process, few kept, none spoilt."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ClientError, ReadTimeoutError

from sandbox import asgi
from sandbox.asgi import Body, Inside
from sandbox.ministack.clients import Clients

ENDPOINT = "https://127.0.0.1:1"
"""Nobody listens there."""

here = contextvars.ContextVar("here", default="nowhere")


class Bucket:
    """An ASGI application that keeps what is put, and gives it back."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.seen: list[dict[str, Any]] = []
        self.failures: list[Exception] = []
        self.contexts: list[str] = []
        self.answers = True

    async def __call__(
        self, scope: dict[str, Any], receive: Callable[[], Any], send: Callable[[Any], Any]
    ) -> None:
        self.seen.append(scope)
        self.contexts.append(here.get())
        body = (await receive())["body"]
        if not self.answers:
            await receive()
        if self.failures:
            raise self.failures.pop()
        status = 200
        if scope["method"] == "PUT":
            self.objects[scope["path"]] = body
            body = b""
        elif scope["path"] in self.objects:
            body = self.objects[scope["path"]]
        else:
            status, body = 404, b"<Error><Code>NoSuchKey</Code><Message>no</Message></Error>"
        headers = [(b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body[:3], "more_body": True})
        await send({"type": "http.response.body", "body": body[3:]})


@pytest.fixture
def bucket() -> Bucket:
    return Bucket()


@pytest.fixture
def clients(bucket: Bucket) -> Iterator[Clients]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    yield Clients(ENDPOINT, Inside(lambda: bucket, loop), kept=2)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def session_of(number: int) -> tuple[str, str, str | None]:
    return (f"ASIA{number:016}", "secret", "token")


def s3(clients: Clients, number: int = 1) -> Any:
    return clients.get("s3", "us-east-1", session_of(number))


@pytest.mark.parametrize("body", [b"", b"bread", BytesIO(b"bread")], ids=["empty", "bytes", "file"])
def test_a_body_goes_there_and_comes_back(clients: Clients, bucket: Bucket, body: Any) -> None:
    s3(clients).put_object(Bucket="b", Key="a key", Body=body)
    expected = b"" if body == b"" else b"bread"
    [kept] = bucket.objects.values()
    assert expected in kept  # over HTTPS botocore frames a file with its checksum
    bucket.objects = {"/b/a key": expected}
    assert s3(clients).get_object(Bucket="b", Key="a key")["Body"].read() == expected


def test_a_body_can_be_read_in_pieces(clients: Clients, bucket: Bucket) -> None:
    bucket.objects = {"/b/k": b"0123456789" * 1000}
    body = s3(clients).get_object(Bucket="b", Key="k")["Body"]
    assert b"".join(body.iter_chunks(1024)) == b"0123456789" * 1000


def test_the_application_sees_a_signed_request_over_tls(clients: Clients, bucket: Bucket) -> None:
    s3(clients).put_object(Bucket="b", Key="ä+b", Body=b"")
    scope = bucket.seen[-1]
    headers = dict(scope["headers"])
    assert (scope["scheme"], scope["path"], scope["raw_path"]) == (
        "https",
        "/b/ä+b",
        b"/b/%C3%A4%2Bb",
    )
    assert headers[b"host"] == b"127.0.0.1:1"
    assert b"Credential=ASIA" in headers[b"authorization"]


def test_an_error_is_the_modelled_one(clients: Clients) -> None:
    with pytest.raises(ClientError) as caught:
        s3(clients).get_object(Bucket="b", Key="k")
    assert type(caught.value).__name__ == "NoSuchKey"


def test_an_application_that_fails_is_asked_again(clients: Clients, bucket: Bucket) -> None:
    bucket.objects = {"/b/k": b"bread"}
    bucket.failures = [RuntimeError("once")]
    assert s3(clients).get_object(Bucket="b", Key="k")["Body"].read() == b"bread"
    assert len(bucket.seen) == 2


def test_an_application_that_never_answers_is_a_timeout(
    clients: Clients, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asgi, "PATIENCE", 0.05)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    bucket.answers = False
    with pytest.raises(ReadTimeoutError, match=ENDPOINT):
        s3(clients).get_object(Bucket="b", Key="k")


def test_what_a_thread_serves_is_not_seen_by_what_it_asks(clients: Clients, bucket: Bucket) -> None:
    here.set("in the midst of another request")
    s3(clients).put_object(Bucket="b", Key="k", Body=b"")
    assert bucket.contexts == ["nowhere"]


def test_many_threads_ask_at_once(clients: Clients, bucket: Bucket) -> None:
    bucket.objects = {f"/b/{number}": str(number).encode() for number in range(40)}
    got: dict[int, bytes] = {}

    def ask(number: int) -> None:
        got[number] = s3(clients, number % 5).get_object(Bucket="b", Key=str(number))["Body"].read()

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == {number: str(number).encode() for number in range(40)}


def test_the_same_credentials_get_the_same_client(clients: Clients) -> None:
    assert s3(clients) is s3(clients)
    assert s3(clients) is not clients.get("s3", "us-west-2", session_of(1))
    assert s3(clients) is not s3(clients, 2)


def test_the_latest_used_are_kept(clients: Clients) -> None:
    first, second = s3(clients, 1), s3(clients, 2)
    assert s3(clients, 1) is first
    s3(clients, 3)
    assert s3(clients, 1) is first
    assert s3(clients, 2) is not second


def test_a_body_ends() -> None:
    answer = AWSResponse("https://b", 200, HTTPHeaders(), Body(b"bread"))
    assert answer.content == b"bread"
