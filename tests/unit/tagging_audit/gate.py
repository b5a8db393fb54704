"""moto's server on loopback, behind a gate at which single requests can be refused or answered.

What moto does not do (throttle, deny, let a token expire, remember that a resource once was
tagged) happens at the gate, over the wire, so that botocore takes part in it.
"""

from __future__ import annotations

import io
import json
import logging
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server


@dataclass(frozen=True, slots=True)
class Request:
    """One request: which service it is for, which operation, and what is asked."""

    service: str
    operation: str
    """As the API names it; for a REST API its method and path."""
    region: str
    body: str


type Answer = tuple[int, dict[str, Any] | str]
type Rule = Callable[[Request], Answer | None]


@dataclass
class Gate:
    """What happens to requests before moto sees them, and what was asked."""

    endpoint: str = ""
    rules: list[Rule] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)

    def asked(self, operation: str) -> int:
        return sum(one.operation == operation for one in self.requests)

    def refuse(
        self, operation: str, code: str, *, status: int = 400, times: int | None = None
    ) -> None:
        """Answer an operation with an error, always or a number of times."""
        left = [times]

        def rule(request: Request) -> Answer | None:
            if request.operation != operation or left[0] == 0:
                return None
            if left[0] is not None:
                left[0] -= 1
            return status, error(request, code)

        self.rules.append(rule)

    def answer(self, operation: str, found: dict[str, Any]) -> None:
        """Answer an operation of a JSON API with this."""
        self.rules.append(lambda request: (200, found) if request.operation == operation else None)


def error(request: Request, code: str) -> dict[str, Any] | str:
    """An error as the service's protocol writes it."""
    said = f"made up: {code}"
    if request.body.startswith("Action=") or request.service == "s3":
        return (
            f"<ErrorResponse><Error><Code>{code}</Code><Message>{said}</Message></Error>"
            f"<Code>{code}</Code></ErrorResponse>"
        )
    return {"__type": code, "message": said}


@contextmanager
def gate() -> Iterator[Gate]:
    """A gate with moto behind it, for the length of a `with`."""
    made = Gate()
    moto = DomainDispatcherApplication(create_backend_app)

    def application(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        length = int(environ.get("CONTENT_LENGTH") or 0)
        body = environ["wsgi.input"].read(length)
        environ["wsgi.input"] = io.BytesIO(body)
        request = _request(environ, body)
        made.requests.append(request)
        for rule in made.rules:
            if (answered := rule(request)) is not None:
                status, content = answered
                text = content if isinstance(content, str) else json.dumps(content)
                kind = "text/xml" if isinstance(content, str) else "application/x-amz-json-1.1"
                start(f"{status} Made Up", [("Content-Type", kind)])
                return [text.encode()]
        try:
            answered_by_moto: Iterable[bytes] = moto(environ, start)
        except AttributeError:  # a service that moto does not know
            start("501 Not Implemented", [("Content-Type", "application/json")])
            return [b'{"__type": "NotImplemented", "message": "moto does not know it"}']
        return answered_by_moto

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server("127.0.0.1", 0, application, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    made.endpoint = f"http://127.0.0.1:{server.server_port}"
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _request(environ: dict[str, Any], body: bytes) -> Request:
    text = body.decode(errors="replace")
    scope = re.search(
        r"Credential=[^/]+/\d+/([^/]*)/([^/]+)/", environ.get("HTTP_AUTHORIZATION", "")
    )
    region, service = scope.groups() if scope else ("", "")
    target = environ.get("HTTP_X_AMZ_TARGET", "")
    action = re.match(r"Action=(\w+)", text)
    if target:
        operation = target.rsplit(".", 1)[-1]
    elif action:
        operation = action[1]
    else:
        operation = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}"
    return Request(service, operation, region, text)
