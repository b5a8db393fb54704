"""A fake `Cloud` that remembers, and a loopback HTTP server that answers for services of ours.

With both, an unpatched boto3 talks to CodePipeline or Elastic Beanstalk without MiniStack.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import boto3
from botocore.config import Config

from sandbox.assumptions import Assumptions
from sandbox.cloud import AccessDeniedError, Caller, Scope
from sandbox.service import Service

ACCOUNT = "123456789012"


@dataclass(frozen=True, slots=True)
class Emitted:
    scope: Scope
    source: str
    detail_type: str
    detail: dict[str, Any]
    resources: tuple[str, ...]


@dataclass
class FakeCloud:
    """Keeps events, log lines and data points; hands out the clients it was given.

    `clients` maps a service's name to a boto3 client or a fake of one. `denied` holds the actions
    (`s3:GetObject`) that every caller is refused.
    """

    clients: dict[str, Any] = field(default_factory=dict)
    denied: set[str] = field(default_factory=set)
    events: list[Emitted] = field(default_factory=list)
    logs: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    metrics: list[tuple[str, str, float, dict[str, str]]] = field(default_factory=list)
    authorized: list[tuple[str, str]] = field(default_factory=list)
    failures: list[BaseException] = field(default_factory=list)
    assumptions: Assumptions = field(default_factory=Assumptions)

    def emit(
        self,
        scope: Scope,
        source: str,
        detail_type: str,
        detail: Mapping[str, Any],
        resources: Sequence[str] = (),
    ) -> None:
        self.events.append(Emitted(scope, source, detail_type, dict(detail), tuple(resources)))

    def client(
        self,
        scope: Scope,
        service: str,
        *,
        role_arn: str,
        service_principal: str,
        session_name: str,
        source_arn: str | None = None,
    ) -> Any:
        return self.clients[service]

    def forward(self, scope: Scope, service: str, caller: Caller) -> Any:
        return self.clients[service]

    def environment(
        self,
        scope: Scope,
        *,
        role_arn: str,
        service_principal: str,
        session_name: str,
        source_arn: str | None = None,
    ) -> dict[str, str]:
        return {"AWS_REGION": scope.region, "AWS_DEFAULT_REGION": scope.region}

    def authorize(
        self,
        scope: Scope,
        caller: Caller,
        action: str,
        resource: str,
        context: Mapping[str, Any] | None = None,
    ) -> None:
        self.authorized.append((action, resource))
        if action in self.denied:
            raise AccessDeniedError(caller.arn, action, resource)

    def log(self, scope: Scope, group: str, stream: str, lines: Sequence[str]) -> None:
        self.logs.setdefault((group, stream), []).extend(lines)

    def metric(
        self, scope: Scope, namespace: str, name: str, value: float, dimensions: Mapping[str, str]
    ) -> None:
        self.metrics.append((namespace, name, value, dict(dimensions)))

    def start(self, name: str, work: Callable[[], None]) -> None:
        def run() -> None:
            try:
                work()
            except BaseException as error:
                self.failures.append(error)
                raise

        threading.Thread(target=run, name=name, daemon=True).start()


@contextmanager
def serve(*services: Service) -> Iterator[str]:
    """Answer for services on a free loopback port; gives the endpoint address."""
    by_name = {service.name: service for service in services}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            # The credential scope of SigV4 is KEY/date/region/service/aws4_request.
            scope = self.headers["Authorization"].split("Credential=")[1].split(",")[0].split("/")
            key, region, name = scope[0], scope[2], scope[3]
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, headers, written = by_name[name].answer(
                Scope(ACCOUNT, region),
                Caller(f"arn:aws:iam::{ACCOUNT}:root", key),
                "POST",
                self.path,
                {k.lower(): v for k, v in self.headers.items()},
                body,
                {},
            )
            self.send_response(status)
            for header, value in headers.items():
                self.send_header(header, value)
            self.send_header("Content-Length", str(len(written)))
            self.end_headers()
            self.wfile.write(written)

        def log_message(self, format: str, *args: Any) -> None:
            """A request is no news in a test."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def client(endpoint: str, service: str, region: str = "us-east-1") -> Any:
    """An ordinary boto3 client for a service that `serve` answers."""
    make: Any = boto3.client  # the stubs know one overload per service, and none for a variable
    return make(
        service,
        region_name=region,
        endpoint_url=endpoint,
        aws_access_key_id=ACCOUNT,
        aws_secret_access_key="test",
        config=Config(retries={"max_attempts": 0}),
    )
