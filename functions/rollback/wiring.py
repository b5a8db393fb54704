"""Putting the desk together: clients are made once, settings are read for each execution."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache

from rollback.alarms import Alarms
from rollback.beanstalk import Beanstalk
from rollback.bundles import Bundles
from rollback.calls import call
from rollback.config import Config
from rollback.desk import Desk
from rollback.executions import Executions
from rollback.measure import SERVICE, Measures
from rollback.pipeline import Pipeline
from rollback.settings import Settings, parse
from trellis.bus import Bus
from trellis.ledger import Ledger
from trellis.observability import measure
from trellis.session import Clients
from trellis.table import DynamoTable

_READING_SECONDS = 10
_ACTING_SECONDS = 20


@cache
def _clients(config: Config) -> tuple[Clients, Clients]:
    """Clients that try again by themselves, and clients that never do."""
    reading = Clients(config.region)
    return reading, reading.apart()


def read_settings(config: Config) -> str:
    """The text of the settings parameter."""
    reading, _ = _clients(config)
    client = reading.get("ssm", timeout_seconds=_READING_SECONDS)
    found = call(client.get_parameter, Name=config.parameter)
    return str(found["Parameter"]["Value"])


def parse_settings(config: Config, text: str) -> Settings:
    """The settings in it; raises ConfigError."""
    return parse(config.parameter, text)


def open_desk(config: Config, settings: Settings) -> Desk:
    """The desk for one execution; its clients are made when they are first used.

    An invocation replays what is done and does one thing more: it needs one or two of the nine.
    """
    reading, acting = _clients(config)

    def ask(service: str) -> object:
        return reading.later(service, timeout_seconds=_READING_SECONDS)

    def act(service: str) -> object:
        return acting.later(service, timeout_seconds=_ACTING_SECONDS, attempts=1)

    return Desk(
        settings=settings,
        pipeline=Pipeline(ask("codepipeline"), act("codepipeline"), settings.pipeline),
        beanstalk=Beanstalk(ask("elasticbeanstalk"), act("elasticbeanstalk"), settings.application),
        bundles=Bundles(ask("s3"), settings.bucket),
        alarms=Alarms(ask("cloudwatch")),
        executions=Executions(ask("lambda"), settings.function),
        ledger=Ledger(DynamoTable(ask("dynamodb"), config.ledger_table)),
        bus=Bus(ask("events")),
        measures=Measures(_emit),
        now=lambda: datetime.now(UTC),
    )


def _emit(dimensions: Mapping[str, str], values: Mapping[str, tuple[str, float]]) -> None:
    measure({"service": SERVICE, **dimensions}, values)
