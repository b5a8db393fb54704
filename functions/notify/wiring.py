"""Putting the office together: clients, ledger and channels, made once for all invocations."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from notify import route
from notify.channels.email import Email, Pace
from notify.config import Config
from notify.deliver import Desk, Sender
from notify.gather import Gatherer
from notify.queue import NotifyQueue
from notify.route import Channel
from notify.workflow import Office
from trellis.errors import ConfigError
from trellis.ledger import Ledger
from trellis.observability import count, logger
from trellis.session import Clients
from trellis.table import BlankTable, DynamoTable

_EMAILS_A_SECOND = 4
"""Two workers at most: together they stay below SNS's ten e-mails a second for an account."""

_REST_SECONDS = 30
"""Lambda closes connections that are not used, while the function is frozen too."""

_ASKING_SECONDS = 2
_LEDGER_SECONDS = 2
_SECRET_KEPT_SECONDS = 300
_SHORTEST_LIFE = timedelta(seconds=30)


class Fresh:
    """Clients whose connections are made anew after a rest.

    A connection that was closed while the function was frozen looks open until something is sent
    over it, and then nobody can say what became of that.
    """

    def __init__(self, clients: Clients, now: Callable[[], float]) -> None:
        self._clients, self._now = clients, now
        self._used_at: dict[str, float] = {}

    def get(self, service: str, *, timeout_seconds: float = 5, attempts: int = 3) -> Any:
        """The client of a service, as `Clients.get` makes it."""
        client = self._clients.get(service, timeout_seconds=timeout_seconds, attempts=attempts)
        now = self._now()
        if now - self._used_at.get(service, now) > _REST_SECONDS:
            client.close()  # only its connections: the next request makes a new one
        self._used_at[service] = now
        return client


@dataclass(frozen=True, slots=True)
class _Fittings:
    """What lives as long as the execution environment."""

    clients: Clients
    email: Email
    gatherer: Gatherer
    ledger: Ledger


@cache
def _fittings(config: Config) -> _Fittings:
    clients = Clients(config.region)
    # The clock on the wall: whether the monotonic one runs while frozen is nowhere promised.
    fresh = Fresh(clients, time.time)
    return _Fittings(
        clients=clients,
        email=Email(
            lambda: fresh.get("sns", attempts=1),
            config.topic_arn,
            Pace(_EMAILS_A_SECOND, time.monotonic, time.sleep),
        ),
        gatherer=Gatherer(
            lambda service: fresh.get(service, timeout_seconds=_ASKING_SECONDS, attempts=1),
            _unanswered,
            time.monotonic,
        ),
        ledger=Ledger(
            DynamoTable(
                clients.get("dynamodb", timeout_seconds=_LEDGER_SECONDS), config.ledger_table
            )
        ),
    )


def open_office(config: Config, context: Any, *, is_blind: bool = False) -> Office:
    """The office for one invocation; `context` is Lambda's, and says how long it may take.

    A blind office has no ledger: it is for a last try when the ledger does not answer.
    """
    fittings = _fittings(config)
    ledger = Ledger(BlankTable()) if is_blind else fittings.ledger
    remaining = getattr(context, "get_remaining_time_in_millis", None)
    life = timedelta(milliseconds=remaining()) if remaining else _SHORTEST_LIFE
    chat = _chat(config, ledger)
    return Office(
        config=config,
        rules=route.parse(config.routes),
        gatherer=fittings.gatherer,
        senders=[fittings.email, *chat.senders],
        problem=chat.problem,
        absent=chat.absent,
        queue=open_queue(config),
        desk=Desk(
            ledger=ledger,
            owner=str(getattr(context, "aws_request_id", "by hand")),
            now=lambda: datetime.now(UTC),
            sleep=time.sleep,
            deadline=datetime.now(UTC) + life,
            is_blind=is_blind,
        ),
    )


def open_queue(config: Config) -> NotifyQueue | None:
    """The queue this function is fed by, if it is told which."""
    if config.queue_url is None:
        return None
    clients = _fittings(config).clients
    return NotifyQueue(lambda: clients.get("sqs"), config.queue_url, config.dead_letter_url)


@dataclass(frozen=True, slots=True)
class _Chat:
    """The channels beside e-mail; which of them are not there though they should be, and why."""

    senders: list[Sender]
    problem: Exception | None = None
    absent: frozenset[Channel] = frozenset(Channel) - {Channel.EMAIL}


def _chat(config: Config, ledger: Ledger) -> _Chat:
    """The channels beside e-mail; whatever is wrong with some, the others are there."""
    found: list[Sender] = []
    there = [Channel.EMAIL]
    try:
        if config.chat_secret_arn is not None:
            from notify.chat import ChatSettings, senders

            settings = ChatSettings.from_secret(_secret(config, config.chat_secret_arn))
            found = senders(settings, lambda: ledger)
            there += settings.channels()
    except ConfigError as err:
        return _complained(_Chat([], err))
    except ValueError as err:  # whose text may quote what nobody should read
        mend = f"see docs/notifications.md ({type(err).__name__})"
        return _complained(_Chat([], ConfigError("CHAT_SECRET_ARN", "(hidden)", mend)))
    if lacking := route.lacking(config.routes, there):
        return _complained(_Chat(found, route.complaint(lacking), lacking))
    return _Chat(found)


def _complained(chat: _Chat) -> _Chat:
    logger.error("the chat channels are not set up", reason=str(chat.problem))
    return chat


def _secret(config: Config, arn: str) -> str:
    from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError

    try:
        found = _provider(config).get(arn, max_age=_SECRET_KEPT_SECONDS)
    except GetParameterError as err:
        raise ConfigError("CHAT_SECRET_ARN", arn, f"let this function read it: {err}") from err
    return found.decode() if isinstance(found, bytes) else str(found)


@cache
def _provider(config: Config) -> Any:
    from aws_lambda_powertools.utilities.parameters import SecretsProvider

    return SecretsProvider(boto3_client=_fittings(config).clients.get("secretsmanager"))


def _unanswered(question: str, error: Exception) -> None:
    logger.warning("AWS did not answer", question=question, reason=str(error))
    count("QuestionsUnanswered")
