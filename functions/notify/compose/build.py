"""Builds. Those that a pipeline started are told by their release; here are the others."""

from __future__ import annotations

from notify import links
from notify.compose.mend import mend
from notify.compose.parts import in_region, place, shown
from notify.happening import BuildEvent, BuildStatus
from notify.notice import Fact, Link, Notice, Severity
from notify.wording import one_line

_ENDINGS = {
    BuildStatus.SUCCEEDED: "succeeded",
    BuildStatus.FAILED: "failed",
    BuildStatus.FAULT: "failed: CodeBuild itself had a fault",
    BuildStatus.TIMED_OUT: "took too long and was ended",
    BuildStatus.STOPPED: "was stopped",
    BuildStatus.IN_PROGRESS: "is running",
    BuildStatus.CLIENT_ERROR: "failed: its settings are wrong",
}
_SEVERITIES = {
    BuildStatus.SUCCEEDED: Severity.INFO,
    BuildStatus.STOPPED: Severity.WARNING,
    BuildStatus.IN_PROGRESS: Severity.PROGRESS,
}


def build_notice(event: BuildEvent) -> Notice:
    """How a build, or one of its phases, ended."""
    is_bad = event.status not in (BuildStatus.SUCCEEDED, BuildStatus.IN_PROGRESS)
    reason = shown(event.reason)
    told_elsewhere = event.is_phase or event.pipeline is not None
    severity = _SEVERITIES.get(event.status, Severity.ERROR)
    return Notice(
        severity=Severity.PROGRESS if told_elsewhere else severity,
        state=event.status.value,
        headline=_headline(event),
        facts=_facts(event, reason),
        links=_links(event),
        next_steps=_next_steps(event, reason) if is_bad else (),
        pipeline=event.pipeline,
        region=event.origin.region,
        account=event.origin.account,
        at=event.origin.at,
        failure_reason=reason if is_bad else None,
    )


def _headline(event: BuildEvent) -> str:
    project = in_region(event.project, event.origin.region)
    ending = _ENDINGS[event.status]
    if event.is_phase:
        return f"A build of {project}: phase {event.phase or 'unknown'} {ending}"
    return f"A build of {project} {ending}"


def _facts(event: BuildEvent, reason: str | None) -> tuple[Fact, ...]:
    facts = [Fact("Project", event.project)]
    if event.pipeline:
        facts.append(Fact("Pipeline", event.pipeline))
    elif event.initiator:
        facts.append(Fact("Started by", one_line(event.initiator)))
    if event.phase:
        facts.append(Fact("Phase", event.phase))
    if reason:
        facts.append(Fact("Reason", reason))
    if event.source_version:
        facts.append(Fact("Source version", one_line(event.source_version)))
    if event.number is not None:
        facts.append(Fact("Build number", str(event.number)))
    return (*facts, *place(event.origin))


def _links(event: BuildEvent) -> tuple[Link, ...]:
    found = []
    if event.origin.region and event.build_id:
        url = links.build(event.origin.region, event.project, event.build_id)
        found.append(Link("build", "The build", url))
    if event.log_url:
        found.append(Link("log", "Its log", event.log_url))
    return tuple(found)


def _next_steps(event: BuildEvent, reason: str | None) -> tuple[str, ...]:
    if event.status is BuildStatus.STOPPED:
        return ("Somebody stopped it; start it again if it is still wanted.",)
    known = mend(reason, event.status.value)
    return (known or "Read the end of its log, mend the cause and build again.",)
