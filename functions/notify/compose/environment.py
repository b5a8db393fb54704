"""Elastic Beanstalk environments: their health, their updates, their platform."""

from __future__ import annotations

from notify import links
from notify.compose.mend import mend
from notify.compose.parts import health_key, in_region, over_notice, place, shown, tier_of
from notify.happening import EnvironmentEvent, Health, Over
from notify.notice import Fact, IncidentMove, Link, Notice, Severity
from notify.wording import cut, one_line, span

_BAD_HEALTH = {
    Health.WARNING: Severity.WARNING,
    Health.DEGRADED: Severity.ERROR,
    Health.SEVERE: Severity.ERROR,
    Health.NO_DATA: Severity.WARNING,
}
_ISSUES = "there were issues"
_LONGEST_HEADLINE_PART = 120


def environment_notice(
    event: EnvironmentEvent, *, is_recovery: bool = False, over: Over | None = None
) -> Notice:
    """What happened to an environment.

    Beanstalk's severity is not asked: its failed updates and terminations are INFO. A health that
    is Ok after something bad is a recovery; `is_recovery` says so where the event itself does not.
    """
    is_recovery = event.is_well and (is_recovery or event.was_bad)
    severity = _severity(event, is_recovery=is_recovery)
    is_bad = severity in (Severity.ERROR, Severity.WARNING)
    message = shown(event.message) or event.status or "it did not say what"
    notice = Notice(
        severity=severity,
        state=event.health.name if event.health else (event.status or "CHANGED").upper(),
        headline=_headline(event, message, is_recovery=is_recovery),
        facts=_facts(event, message),
        links=_links(event),
        next_steps=_next_steps(severity, message),
        region=event.origin.region,
        account=event.origin.account,
        at=event.origin.at,
        failure_reason=message if is_bad else None,
        tier=tier_of(event.environment),
        incident=_incident(event),
        incident_keys=(health_key(event.origin, event.environment),),
    )
    return over_notice(notice, over, _was(event, over)) if over else notice


def _severity(event: EnvironmentEvent, *, is_recovery: bool) -> Severity:
    if event.health is not None:
        if event.health in _BAD_HEALTH:
            return _BAD_HEALTH[event.health]
        return Severity.SUCCESS if is_recovery else Severity.PROGRESS
    told = _without_names(event).lower()
    if "managed" in told:
        return Severity.WARNING if "fail" in told else Severity.INFO
    if "fail" in told or _ISSUES in told:
        return Severity.ERROR
    if "termination" in told or "terminateenvironment" in told:
        return Severity.WARNING
    return Severity.PROGRESS


def _without_names(event: EnvironmentEvent) -> str:
    """What is said, without the names in it: a project may be called `failover`."""
    said = f"{event.status or ''} {event.message}"
    for name in (event.environment, event.application):
        said = said.replace(name, "") if name else said
    return said


def _incident(event: EnvironmentEvent) -> IncidentMove | None:
    if event.health in (Health.DEGRADED, Health.SEVERE):
        return IncidentMove.OPEN
    return IncidentMove.CLOSE if event.health is Health.OK else None


def _headline(event: EnvironmentEvent, message: str, *, is_recovery: bool) -> str:
    name = in_region(event.environment or "An environment", event.origin.region)
    if event.health is not None:
        if is_recovery:
            return f"{name} is healthy again"
        before = f", was {event.previous_health.value}" if event.previous_health else ""
        if event.health is Health.NO_DATA:
            return f"{name} sends no health data{before}"
        return f"{name} is {event.health.value}{before}"
    if _ISSUES in message:
        return f"{name} was launched, but with issues"
    if event.status:
        # AWS itself spells it "Managed updated started".
        status = one_line(event.status).replace("Managed updated", "Managed update")
        return f"{name}: {status.removeprefix('Environment ')}"
    return f"{name}: {cut(one_line(message), _LONGEST_HEADLINE_PART)}"


def _was(event: EnvironmentEvent, over: Over) -> str:
    name = in_region(event.environment or "An environment", event.origin.region)
    began, ended = span(event.origin.at, over.since)
    health = event.health.value if event.health else "not well"
    what = "sent no health data" if event.health is Health.NO_DATA else f"was {health}"
    if over.is_bad_again:
        return f"{name} {what} at {began}, was Ok at {ended}, and is not well again"
    return f"{name} {what} at {began}, is Ok since {ended}"


def _facts(event: EnvironmentEvent, message: str) -> tuple[Fact, ...]:
    facts = []
    if event.environment:
        facts.append(Fact("Environment", one_line(event.environment)))
    if event.application:
        facts.append(Fact("Application", one_line(event.application)))
    if event.health:
        before = f", was {event.previous_health.value}" if event.previous_health else ""
        facts.append(Fact("Health", f"{event.health.value}{before}"))
    if event.status:
        facts.append(Fact("Status", one_line(event.status)))
    facts.append(Fact("Message", message))
    return (*facts, *place(event.origin))


def _links(event: EnvironmentEvent) -> tuple[Link, ...]:
    found = []
    if event.origin.region and event.application:
        url = links.application(event.origin.region, event.application)
        found.append(Link("environment", "The environment in Elastic Beanstalk", url))
    if event.url:
        found.append(Link("external", "The application itself", event.url))
    return tuple(found)


def _next_steps(severity: Severity, message: str) -> tuple[str, ...]:
    if severity not in (Severity.ERROR, Severity.WARNING):
        return ()
    return (mend(message) or "Open the environment and read its recent events and its health.",)
