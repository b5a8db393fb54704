"""Putting the office together: clients, ledger and channels, made once for all invocations."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from notify import route
from notify.channels.email import Email, Pace
from notify.config import Config
from notify.deliver import Desk
from notify.gather import Gatherer
from notify.queue import NotifyQueue
from notify.workflow import Office
from trellis.ledger import Ledger
from trellis.observability import count, logger
from trellis.session import Clients
from trellis.table import DynamoTable

_EMAILS_A_SECOND = 4
"""Two workers at most: together they stay below SNS's ten e-mails a second for an account."""

_ASKING_SECONDS = 2
_SHORTEST_LIFE = timedelta(seconds=30)


@cache
def _made(config: Config) -> tuple[Clients, Email]:
    clients = Clients(config.region)
    email = Email(
        lambda: clients.get("sns", attempts=1),
        config.topic_arn,
        Pace(_EMAILS_A_SECOND, time.monotonic, time.sleep),
    )
    return clients, email


def open_office(config: Config, context: Any) -> Office:
    """The office for one invocation; `context` is Lambda's, and says how long it may take."""
    clients, email = _made(config)
    remaining = getattr(context, "get_remaining_time_in_millis", None)
    life = timedelta(milliseconds=remaining()) if remaining else _SHORTEST_LIFE
    return Office(
        config=config,
        rules=route.parse(config.routes),
        gatherer=Gatherer(
            lambda service: clients.get(service, timeout_seconds=_ASKING_SECONDS, attempts=1),
            _unanswered,
        ),
        senders=[email],
        queue=NotifyQueue(clients.get("sqs"), config.queue_url) if config.queue_url else None,
        desk=Desk(
            ledger=Ledger(DynamoTable(clients.get("dynamodb"), config.ledger_table)),
            owner=str(getattr(context, "aws_request_id", "by hand")),
            now=lambda: datetime.now(UTC),
            sleep=time.sleep,
            deadline=datetime.now(UTC) + life,
        ),
    )


def _unanswered(question: str, error: Exception) -> None:
    logger.warning("AWS did not answer", question=question, reason=str(error))
    count("QuestionsUnanswered")
