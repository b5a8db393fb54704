"""A clean environment for every test, and clients that are judged by AWS's own models."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.stub import Stubber

_KEPT = ("PATH", "HOME", "LANG", "TMPDIR", "VIRTUAL_ENV", "PYTHONPATH", "PYTEST_CURRENT_TEST")


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name not in _KEPT:
            monkeypatch.delenv(name)
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "rollback")
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Trellis")


@pytest.fixture
def stubbed() -> Iterator[Callable[[str], tuple[Any, Stubber]]]:
    """A client of a service and its stub; requests and answers must fit botocore's model."""
    made: list[Stubber] = []

    def make(service: str) -> tuple[Any, Stubber]:
        create: Any = boto3.client
        client = create(
            service,
            region_name="us-east-1",
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
            config=Config(retries={"total_max_attempts": 1}),
        )
        stubber = Stubber(client)
        stubber.activate()
        made.append(stubber)
        return client, stubber

    yield make
    for stubber in made:
        stubber.assert_no_pending_responses()
