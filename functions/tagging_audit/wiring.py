"""Putting the office together: clients are made once for all invocations, the rest for each."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

from tagging_audit.config import Config
from tagging_audit.inventory.aws import Aws
from tagging_audit.office import Office
from tagging_audit.pace import Paces
from tagging_audit.policy import Policy
from tagging_audit.queue import AuditQueue
from tagging_audit.store import BucketStore
from trellis.bus import Bus
from trellis.ledger import Ledger
from trellis.session import Clients
from trellis.table import DynamoTable

_FOR_THE_REPORT_SECONDS = 45.0
"""Left over when an audit stops looking and mending: for the reports and the last words."""
_FOR_THE_REPORT_SHARE = 0.3


@dataclass(frozen=True, slots=True)
class _Fittings:
    """What lives as long as the execution environment."""

    clients: Clients
    aws: Aws


@cache
def _fittings(region: str) -> _Fittings:
    clients = Clients(region)
    aws = Aws(
        Paces(time.monotonic, time.sleep),
        lambda other: clients if other == region else clients.apart(other),
    )
    return _Fittings(clients, aws)


def open_office(config: Config, policy: Policy, context: Any) -> Office:
    """The office for one invocation; `context` is Lambda's, and says how long it may take."""
    fittings = _fittings(config.region)
    clients, aws = fittings.clients, fittings.aws
    return Office(
        config=config,
        policy=policy,
        aws=aws,
        store=BucketStore(aws, config.region, config.bucket),
        ledger=Ledger(DynamoTable(clients.get("dynamodb"), config.ledger_table)),
        bus=Bus(clients.get("events")),
        queue=AuditQueue(aws, config.region, config.queue_url) if config.queue_url else None,
        now=lambda: datetime.now(UTC),
        has_time=_has_time(context),
        new_id=lambda: uuid.uuid4().hex[:6],
        owner=str(getattr(context, "aws_request_id", "by hand")),
    )


def _has_time(context: Any) -> Callable[[], bool]:
    remaining = getattr(context, "get_remaining_time_in_millis", None)
    if remaining is None:
        return lambda: True
    kept = min(_FOR_THE_REPORT_SECONDS * 1000, remaining() * _FOR_THE_REPORT_SHARE)
    return lambda: bool(remaining() > kept)
