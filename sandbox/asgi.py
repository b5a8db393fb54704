"""boto3's requests answered by an ASGI application of the same process, without a socket.

A service of the sandbox calls the others as AWS's services call each other: signed by a role, and
judged. Over TCP each such call would cost two descriptors and TLS with oneself; and an
`ssl.SSLContext` that threads share can crash Python before 3.13.4
(https://github.com/python/cpython/issues/134698).

https://asgi.readthedocs.io/en/latest/specs/www.html
"""

from __future__ import annotations

import asyncio
import contextvars
import io
import logging
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future
from typing import Any
from urllib.parse import unquote, urlsplit

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ReadTimeoutError

logger = logging.getLogger(__name__)

PATIENCE = 60.0
"""Seconds that an answer may take: what botocore waits for one on a connection."""

type Application = Callable[[dict[str, Any], Any, Any], Awaitable[None]]


class Body(io.BytesIO):
    """A response's body, with what botocore reads of urllib3's."""

    def stream(self, amt: int = 2**16, decode_content: bool | None = None) -> Iterator[bytes]:
        """The rest of it, in pieces."""
        while piece := self.read(amt):
            yield piece


class Inside:
    """Takes requests from any thread but the one of `loop`, on which the application runs."""

    def __init__(
        self, application: Callable[[], Application], loop: asyncio.AbstractEventLoop
    ) -> None:
        self._application, self._loop = application, loop

    def __call__(self, request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        """What botocore's `before-send` event asks for: an answer instead of a connection.

        Raises ReadTimeoutError when there is none within PATIENCE; botocore tries again.
        """
        # In a context of its own: the request that this thread may be serving is another one.
        answering: Future[AWSResponse] = contextvars.Context().run(
            asyncio.run_coroutine_threadsafe, self._answer(request, _content(request)), self._loop
        )
        try:
            return answering.result(PATIENCE)
        except TimeoutError as error:
            answering.cancel()
            raise ReadTimeoutError(endpoint_url=request.url, error=error) from error

    async def _answer(self, request: AWSPreparedRequest, content: bytes) -> AWSResponse:
        status, headers, pieces = 500, {}, []
        asked = False

        async def receive() -> dict[str, Any]:
            nonlocal asked
            if asked:
                # Nobody hangs up: whoever waits for that, waits until the answer is whole.
                await asyncio.Event().wait()
            asked = True
            return {"type": "http.request", "body": content, "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            nonlocal status, headers
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = {
                    name.decode("latin-1"): value.decode("latin-1")
                    for name, value in message.get("headers", ())
                }
            elif message["type"] == "http.response.body":
                pieces.append(message.get("body", b""))

        try:
            await self._application()(_scope(request), receive, send)
        except Exception:
            logger.exception("%s %s failed", request.method, request.url)
            status, headers, pieces = 500, {}, []
        return AWSResponse(
            request.url, status, HTTPHeaders.from_dict(headers), Body(b"".join(pieces))
        )


def _content(request: AWSPreparedRequest) -> bytes:
    body: Any = request.body
    if body is None:
        return b""
    if hasattr(body, "read"):
        body = body.read()
    return body.encode() if isinstance(body, str) else bytes(body)


def _scope(request: AWSPreparedRequest) -> dict[str, Any]:
    url = urlsplit(request.url)
    headers = [
        (name.lower().encode("latin-1"), value if isinstance(value, bytes) else value.encode())
        for name, value in request.headers.items()
    ]
    if not any(name == b"host" for name, _ in headers):
        headers.append((b"host", url.netloc.encode()))
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": url.scheme,
        "path": unquote(url.path) or "/",
        "raw_path": (url.path or "/").encode(),
        "query_string": url.query.encode(),
        "root_path": "",
        "headers": headers,
        "client": ("127.0.0.1", 0),
        "server": (url.hostname, url.port),
    }
