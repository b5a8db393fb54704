"""CloudWatch alarms."""

from __future__ import annotations

from dataclasses import replace

from notify import links
from notify.compose.parts import health_key, in_region, over_notice, place, shown, tier_of
from notify.happening import AlarmEvent, AlarmState, Over
from notify.notice import Fact, IncidentMove, Link, Notice, Severity
from notify.wording import one_line, span

_WORDS = {
    AlarmState.OK: "OK",
    AlarmState.ALARM: "in alarm",
    AlarmState.INSUFFICIENT_DATA: "without data",
}


def alarm_notice(
    event: AlarmEvent,
    *,
    is_recovery: bool = False,
    over: Over | None = None,
    is_silent: bool = False,
) -> Notice:
    """What an alarm says now, and what it said before.

    OK after ALARM is a recovery; `is_recovery` says so where data were missing in between.
    """
    is_recovery = event.is_well and (is_recovery or event.was_bad)
    pipeline = event.pipeline_that_waits
    if pipeline and event.state is not AlarmState.INSUFFICIENT_DATA:
        notice = _overdue(event, pipeline, is_recovery=is_recovery)
        was = _was_overdue(event, pipeline, over) if over else ""
        return over_notice(notice, over, was, Severity.INFO) if over else notice
    reason = shown(event.reason)
    is_bad = event.state is AlarmState.ALARM
    notice = Notice(
        severity=_severity(event, is_recovery=is_recovery),
        state=event.state.value,
        headline=_headline(event, is_recovery=is_recovery),
        facts=_facts(event, reason),
        links=_links(event),
        next_steps=_next_steps(event),
        region=event.origin.region,
        account=event.origin.account,
        at=event.origin.at,
        failure_reason=reason if is_bad else None,
        tier=tier_of(event.environment or event.name),
        incident=_incident(event),
        incident_keys=(_incident_key(event),),
    )
    if over:
        return over_notice(notice, over, _was(event, over))
    return _silent(event, notice, is_recovery=is_recovery) if is_silent else notice


def _incident_key(event: AlarmEvent) -> str:
    """An alarm on an environment's health is about what the environment itself tells of too."""
    if event.is_on_health:
        return health_key(event.origin, event.environment)
    return event.arn or f"alarm {event.name}"


def _overdue(event: AlarmEvent, pipeline: str, *, is_recovery: bool) -> Notice:
    """An approval that nobody answers: something to do, no failure, and nobody's page.

    That it was answered is told by the release itself, so the end of the alarm is a mere note.
    """
    region = event.origin.region
    at = in_region(pipeline, region)
    is_overdue = event.state is AlarmState.ALARM and not event.suppressed
    return Notice(
        severity=_how_overdue(event, is_recovery=is_recovery),
        state=event.state.value,
        headline=(
            f"Your approval is overdue: {at} still waits for it"
            if event.state is AlarmState.ALARM
            else f"No approval is overdue in {at}"
        ),
        facts=(
            Fact("Pipeline", pipeline),
            *_facts(replace(event, metric=None, dimensions=()), shown(event.reason)),
        ),
        links=(
            (
                Link("pipeline", "The pipeline", links.pipeline(region, pipeline)),
                *_links(event),
            )
            if region
            else ()
        ),
        next_steps=(
            (
                "Look at what runs in Test, then approve or reject it in the pipeline: until then "
                "no later release enters Test.",
            )
            if is_overdue
            else ()
        ),
        pipeline=pipeline,
        region=region,
        account=event.origin.account,
        at=event.origin.at,
    )


def _how_overdue(event: AlarmEvent, *, is_recovery: bool) -> Severity:
    match event.state:
        case AlarmState.ALARM if not event.suppressed:
            return Severity.ACTION
        case AlarmState.OK if not is_recovery:
            return Severity.PROGRESS
        case _:
            return Severity.INFO


def _severity(event: AlarmEvent, *, is_recovery: bool) -> Severity:
    match event.state:
        case AlarmState.ALARM if event.suppressed:
            return Severity.INFO
        case AlarmState.ALARM:
            return Severity.ERROR
        case AlarmState.OK if is_recovery:
            return Severity.SUCCESS
        case _:
            return Severity.PROGRESS


def _incident(event: AlarmEvent) -> IncidentMove | None:
    if event.state is AlarmState.ALARM and not event.suppressed:
        return IncidentMove.OPEN
    return IncidentMove.CLOSE if event.state is AlarmState.OK else None


def _headline(event: AlarmEvent, *, is_recovery: bool) -> str:
    name = in_region(event.name, event.origin.region)
    match event.state:
        case AlarmState.ALARM:
            held = ", while its actions are held back" if event.suppressed else ""
            return f"Alarm: {name} went off{held}"
        case AlarmState.OK if is_recovery:
            return f"Alarm over: {name} is OK again"
        case AlarmState.OK:
            return f"{name} is OK"
        case AlarmState.INSUFFICIENT_DATA:
            return f"{name} has no data to judge by"


def _silent(event: AlarmEvent, notice: Notice, *, is_recovery: bool) -> Notice:
    """OK for want of data is no recovery, and ends nobody's page."""
    name = in_region(event.name, event.origin.region)
    return replace(
        notice,
        severity=Severity.WARNING if is_recovery else notice.severity,
        headline=(
            f"Alarm without data: {name} is OK, but {event.environment} was not well when it was "
            "last heard of"
        ),
        next_steps=("Open the environment and see whether its instances still report.",),
        incident=None,
    )


def _was(event: AlarmEvent, over: Over) -> str:
    name = in_region(event.name, event.origin.region)
    began, ended = span(event.origin.at, over.since)
    if over.is_bad_again:
        return f"Alarm: {name} went off at {began}, was OK at {ended}, and has gone off again"
    return f"Alarm over: {name} went off at {began}, is OK since {ended}"


def _was_overdue(event: AlarmEvent, pipeline: str, over: Over) -> str:
    began, ended = span(event.origin.at, over.since)
    then = f"none was at {ended}, one is again" if over.is_bad_again else f"none is since {ended}"
    where = in_region(pipeline, event.origin.region)
    return f"An approval was overdue at {began} in {where}, {then}"


def _facts(event: AlarmEvent, reason: str | None) -> tuple[Fact, ...]:
    facts = [Fact("Alarm", event.name)]
    if said := shown(event.description):
        facts.append(Fact("What it watches", said))
    if event.previous:
        facts.append(Fact("State", f"{_WORDS[event.state]}, was {_WORDS[event.previous]}"))
    if reason:
        facts.append(Fact("Reason", reason))
    if event.metric:
        facts.append(Fact("Metric", one_line(event.metric)))
    facts += [Fact(name, one_line(value)) for name, value in event.dimensions]
    if event.suppressed:
        facts.append(Fact("Held back", one_line(event.suppressed)))
    return (*facts, *place(event.origin))


def _links(event: AlarmEvent) -> tuple[Link, ...]:
    if not event.origin.region:
        return ()
    return (Link("alarm", "The alarm in CloudWatch", links.alarm(event.origin.region, event.name)),)


def _next_steps(event: AlarmEvent) -> tuple[str, ...]:
    match event.state:
        case AlarmState.ALARM:
            return ("Open the alarm and see when it began and what was released before it.",)
        case AlarmState.INSUFFICIENT_DATA:
            return ("If it stays so, see whether what it watches still reports.",)
        case AlarmState.OK:
            return ()
