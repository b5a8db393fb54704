"""A clean environment for every test, and one moto server for all that ask for it."""

from __future__ import annotations

import os
import urllib.request
from collections.abc import Iterator
from functools import cache
from typing import Any

import boto3
import pytest

from tests.unit.tagging_audit.gate import Gate, gate
from trellis.session import Clients

_KEPT = ("PATH", "HOME", "LANG", "TMPDIR", "VIRTUAL_ENV", "PYTHONPATH", "PYTEST_CURRENT_TEST")


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name not in _KEPT:
            monkeypatch.delenv(name)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "tagging_audit")
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Trellis")


@pytest.fixture(scope="session")
def _server() -> Iterator[Gate]:
    with gate() as opened:
        yield opened


@pytest.fixture
def moto(_server: Gate, monkeypatch: pytest.MonkeyPatch) -> Gate:
    """moto's server, empty, behind a gate without rules; every client goes there."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", _server.endpoint)
    _server.rules.clear()
    reset = urllib.request.Request(f"{_server.endpoint}/moto-api/reset", method="POST")  # noqa: S310  # loopback
    urllib.request.urlopen(reset).close()  # noqa: S310  # loopback
    _server.requests.clear()
    return _server


@cache
def clients(region: str) -> Clients:
    """The clients of a Region, made once for all tests: the server's address stays the same."""
    return Clients(region)


@cache
def client(service: str, region: str = "us-east-1") -> Any:
    """A client to set up what a test needs."""
    return boto3.session.Session().client(service, region_name=region)  # type: ignore[call-overload]  # the name is no literal
