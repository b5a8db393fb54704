"""A notice: what one person tells another about what happened, before any channel dresses it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Severity(StrEnum):
    """How much it matters, and so who hears of it."""

    CRITICAL = "critical"
    """Production is bad and nothing automatic will mend it."""
    ERROR = "error"
    """Something failed."""
    ACTION = "action"
    """A person has to do something before it goes on."""
    WARNING = "warning"
    """Something ended otherwise than planned."""
    SUCCESS = "success"
    INFO = "info"
    """A milestone that needs nobody."""
    PROGRESS = "progress"
    """A step on the way: shown where a message is kept up to date, posted nowhere."""


class Tier(StrEnum):
    """Which of the three environments it is about."""

    DEV = "dev"
    TEST = "test"
    PROD = "prod"


class IncidentMove(StrEnum):
    """What it does to a page that is open for its stage."""

    OPEN = "open"
    CLOSE = "close"


@dataclass(frozen=True, slots=True)
class Fact:
    """One line of the short list: `Reason: 2 of 14 tests failed`."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Link:
    """Where to look; `key` is its name for machines: execution, external, review, log, commit."""

    key: str
    label: str
    url: str


@dataclass(frozen=True, slots=True)
class Stop:
    """One stage of a release on its way: its name, and how it stands in CodePipeline's word."""

    name: str
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Everything a channel may show. Texts are clean of secrets, and may be long."""

    severity: Severity
    state: str
    """The one word for it: FAILED, REJECTED, SUCCEEDED, …"""
    headline: str
    """One sentence that can be acted on without reading on."""
    facts: tuple[Fact, ...] = ()
    links: tuple[Link, ...] = ()
    """The first is the one to open."""
    next_steps: tuple[str, ...] = ()
    log_tail: tuple[str, ...] = ()
    pipeline: str | None = None
    stage: str | None = None
    action: str | None = None
    execution_id: str | None = None
    region: str | None = None
    account: str | None = None
    at: datetime | None = None
    failure_reason: str | None = None
    tier: Tier | None = None
    incident: IncidentMove | None = None
    incident_keys: tuple[str, ...] = ()
    """The same for what opens an incident and what ends it."""
    command: str | None = None
    """What to run next, ready to paste."""
    log_source: str | None = None
    """Whose log the tail is from."""
    track: tuple[Stop, ...] = ()
    """The stages of its release, in their order, as far as they were seen."""
    heard_as: Severity | None = None
    """Who hears of it, where that is not whoever hears of its own severity."""
    may_repeat: bool = False

    @property
    def in_one_sentence(self) -> str:
        """The headline, with the reason where the headline does not end in it already."""
        if not self.failure_reason:
            return self.headline
        told = self.headline.rpartition(": ")[2].rstrip("…")
        is_told = bool(told) and told in self.failure_reason
        return self.headline if is_told else f"{self.headline}: {self.failure_reason}"
