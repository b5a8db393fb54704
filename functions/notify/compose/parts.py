"""What the notices of all kinds are put together from."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime

from notify.happening import Origin, Over
from notify.mask import mask
from notify.notice import Fact, Notice, Severity, Tier
from notify.wording import clean, cut, moment

LONGEST_TEXT = 8000
"""Of an error text: more than any channel shows, little enough to be masked in no time."""

_TIERS = {
    "dev": Tier.DEV,
    "development": Tier.DEV,
    "test": Tier.TEST,
    "testing": Tier.TEST,
    "staging": Tier.TEST,
    "prod": Tier.PROD,
    "production": Tier.PROD,
}
_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")


def tier_of(name: str | None) -> Tier | None:
    """The environment that a stage or an environment is named after: `DeployToProd` is prod."""
    for word in _WORDS.findall(name or ""):
        if word.lower() in _TIERS:
            return _TIERS[word.lower()]
    return None


def shown(text: str | None) -> str | None:
    """A text from outside, cleaned, without its secrets, and cut where it is endless."""
    return mask(cut(clean(text), LONGEST_TEXT)).strip() or None if text else None


def person(arn: str | None) -> str | None:
    """Who an ARN stands for, as people know them: `arn:…:assumed-role/Dev/mina` is mina."""
    return arn.rsplit("/", 1)[-1].rsplit(":", 1)[-1].strip() or None if arn else None


def place(origin: Origin) -> list[Fact]:
    """Where and when it happened."""
    return [*where(origin.region, origin.account), *when(origin.at)]


def where(region: str | None, account: str | None) -> list[Fact]:
    if not region:
        return [Fact("Account", account)] if account else []
    return [Fact("Region", f"{region}, account {account}" if account else region)]


def when(at: datetime | None) -> list[Fact]:
    return [Fact("When", moment(at))] if at else []


def in_region(name: str, region: str | None) -> str:
    """A name with its Region, since two Regions have pipelines of one name."""
    return f"{name} ({region})" if region else name


def stage_key(origin: Origin, pipeline: str, stage: str | None) -> str:
    """The name of an incident of a stage: the next success of the stage ends it."""
    return "/".join((origin.account or "-", origin.region or "-", pipeline, stage or "-"))


def rollback_key(origin: Origin, pipeline: str, stage: str | None) -> str:
    """The name of the incident of a rollback that needs a person.

    It is not the stage's own: an incident that somebody has acknowledged notifies nobody again,
    whatever is added to it (https://support.pagerduty.com/main/docs/incidents).
    """
    return f"{stage_key(origin, pipeline, stage)}/rollback"


def health_key(origin: Origin, environment: str | None) -> str:
    """The name of the incident of an environment that is not well."""
    return stage_key(origin, environment or "?", "health")


def over_notice(
    notice: Notice, over: Over, headline: str, severity: Severity = Severity.SUCCESS
) -> Notice:
    """The notice of something bad that is heard of when it is over.

    Whoever hears of the bad hears of this: it may be all they hear.
    """
    return replace(
        notice,
        severity=Severity.WARNING if over.is_bad_again else severity,
        heard_as=notice.severity,
        state=notice.state if over.is_bad_again else "OK",
        headline=headline,
        facts=(*notice.facts, Fact("Over since", moment(over.since))),
        next_steps=(),
        failure_reason=None,
    )
