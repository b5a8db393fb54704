"""Which channels hear of a notice.

The routing table is one line of text, so that a template parameter can hold it and its allowed
pattern can check it at deploy:

    critical=all error@prod=all error=email+slack action=email+slack progress=none

A rule is `severity=channels` or `severity@environment=channels`. The first rule that fits decides.
`all` is every channel that is set up, `none` is nobody; a severity that no rule names is told to
nobody. Of `all`, PagerDuty hears only what opens or ends an incident; what ends one goes there
whatever the rules say, since it would stay open otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from notify.notice import IncidentMove, Notice, Severity, Tier
from trellis.errors import ConfigError

SETTING = "NOTIFICATION_ROUTES"


class Channel(StrEnum):
    EMAIL = "email"
    SLACK = "slack"
    TEAMS = "teams"
    PAGERDUTY = "pagerduty"
    WEBHOOK = "webhook"


_SEVERITY = "|".join(severity.value for severity in Severity)
_TIER = "|".join(tier.value for tier in Tier)
_CHANNEL = "|".join(channel.value for channel in Channel)
_RULE = rf"({_SEVERITY})(@({_TIER}))?=(all|none|({_CHANNEL})(\+({_CHANNEL}))*)"
PATTERN = rf"^({_RULE}( {_RULE})*)?$"
"""What the whole table looks like: the template's AllowedPattern for its parameter."""

DEFAULT = "critical=all error=all action=all warning=all success=all info=slack progress=none"


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of the table; no channels at all means `all`."""

    severity: Severity
    tier: Tier | None
    channels: frozenset[Channel] | None


@dataclass(frozen=True, slots=True)
class Routing:
    """Where a notice goes, and why."""

    channels: tuple[Channel, ...]
    reason: str


def parse(text: str) -> tuple[Rule, ...]:
    """The rules of a table, the default ones for an empty text.

    Raises ConfigError for the first rule that does not read as one.
    """
    rules = []
    for written in (text.strip() or DEFAULT).split():
        match = re.fullmatch(_RULE, written)
        if match is None:
            raise ConfigError(
                SETTING,
                written,
                f"write each rule as severity=channels or severity@environment=channels, with "
                f"severity one of {_SEVERITY}, environment one of {_TIER}, channels one or more "
                f"of {_CHANNEL} joined by +, or all, or none",
            )
        severity, _, tier, channels = match.group(1, 2, 3, 4)
        rules.append(
            Rule(
                severity=Severity(severity),
                tier=Tier(tier) if tier else None,
                channels=None if channels == "all" else _channels(channels),
            )
        )
    return tuple(rules)


def lacking(text: str, configured: Collection[Channel]) -> frozenset[Channel]:
    """The channels that a table of the user's own names and that are not set up."""
    named = {channel for rule in parse(text) for channel in rule.channels or ()}
    return frozenset(named.difference(configured)) if text.strip() else frozenset()


def complaint(missing: Collection[Channel]) -> ConfigError:
    """What is wrong with a table that names channels which are not set up."""
    names = sorted(channel.value for channel in missing)
    return ConfigError(
        SETTING,
        f"…={'+'.join(names)}",
        f"add {', '.join(names)} to the chat secret (ChatSecretArn), or take it out of the rules",
    )


def route(notice: Notice, rules: tuple[Rule, ...], configured: Collection[Channel]) -> Routing:
    """The channels a notice goes to, in the order of `Channel`."""
    rule = next((rule for rule in rules if _fits(rule, notice)), None)
    wanted = _wanted(rule, notice)
    if notice.incident is IncidentMove.CLOSE:
        wanted |= {Channel.PAGERDUTY}
    found = tuple(channel for channel in Channel if channel in wanted and channel in configured)
    kind = f"{_heard_as(notice).value} notices"
    if found:
        return Routing(found, f"{kind} go to {', '.join(found)}")
    if rule is None:
        return Routing((), f"no rule tells anyone of {kind}")
    return Routing(
        (), f"no channel for {kind} is set up" if wanted else f"{kind} are told to nobody"
    )


def _wanted(rule: Rule | None, notice: Notice) -> set[Channel]:
    if rule is None:
        return set()
    if rule.channels is not None:
        return set(rule.channels)
    return {
        channel
        for channel in Channel
        if channel is not Channel.PAGERDUTY or notice.incident is not None
    }


def _fits(rule: Rule, notice: Notice) -> bool:
    is_meant = rule.severity is _heard_as(notice)
    return is_meant and (rule.tier is None or rule.tier is notice.tier)


def _heard_as(notice: Notice) -> Severity:
    return notice.heard_as or notice.severity


def _channels(text: str) -> frozenset[Channel]:
    return frozenset(Channel(name) for name in text.split("+")) if text != "none" else frozenset()
