"""What Trellis itself did: rollbacks, bakes, tagging audits."""

from __future__ import annotations

from collections.abc import Sequence

from notify import links
from notify.compose.change import in_one_line
from notify.compose.parts import in_region, place, rollback_key, shown, tier_of
from notify.happening import Change, Origin, OwnHappening
from notify.notice import Fact, IncidentMove, Link, Notice, Severity, Tier
from notify.wording import counted, moment
from trellis.events import (
    AuditFinding,
    BakeState,
    BakeStateChange,
    Revision,
    RollbackMode,
    RollbackState,
    RollbackStateChange,
    TaggingAuditCompleted,
    Verdict,
)

_MOST_EVIDENCE = 8


def own_notice(happening: OwnHappening) -> Notice:
    """The notice of an event of ours."""
    match happening.event:
        case RollbackStateChange() as event:
            return _rollback(event, happening.origin)
        case BakeStateChange() as event:
            return _bake(event, happening.origin)
        case TaggingAuditCompleted() as event:
            return _audit(event, happening.origin)


def _rollback(event: RollbackStateChange, origin: Origin) -> Notice:
    tier = tier_of(event.environment) or tier_of(event.stage)
    severity = _rollback_severity(event, tier)
    facts = [
        Fact("Pipeline", event.pipeline),
        Fact("Stage", event.stage),
        Fact("Environment", event.environment),
    ]
    if reason := shown(event.reason):
        facts.append(Fact("Reason", reason))
    if _is_refused_order(event):
        facts.append(Fact("Ordered", shown(event.ordered_version) or "the known-good version"))
    else:
        facts += _way(event)
    if event.route:
        facts.append(Fact("By way of", event.route.value))
    if event.evidence:
        said = [shown(line) or "" for line in event.evidence[:_MOST_EVIDENCE]]
        facts.append(Fact("Evidence", "\n".join(line for line in said if line)))
    if event.is_frozen:
        facts.append(Fact("Frozen", f"no new release enters {event.stage} until it is unfrozen"))
    is_bad = event.state is not RollbackState.SUCCEEDED
    return Notice(
        severity=severity,
        state=f"ROLLBACK_{event.state.value}",
        headline=_rollback_headline(event, origin),
        facts=(*facts, *place(origin)),
        links=_release_links(origin, event.pipeline, event.execution_id),
        next_steps=_rollback_steps(event),
        command=event.next_command,
        pipeline=event.pipeline,
        stage=event.stage,
        action=event.action,
        execution_id=event.execution_id,
        region=origin.region,
        account=origin.account,
        at=origin.at or event.at,
        failure_reason=reason if is_bad else None,
        tier=tier,
        incident=_rollback_incident(event, severity),
        incident_keys=(rollback_key(origin, event.pipeline, event.stage),),
    )


def _way(event: RollbackStateChange) -> list[Fact]:
    away = [Fact("Away from", _version(event.bad))] if event.bad else []
    return away + ([Fact("Back to", _version(event.good))] if event.good else [])


def _rollback_incident(event: RollbackStateChange, severity: Severity) -> IncidentMove | None:
    """What needs a person opens one; going back after all ends it."""
    if severity in (Severity.CRITICAL, Severity.ERROR):
        return IncidentMove.OPEN
    return IncidentMove.CLOSE if event.state is RollbackState.SUCCEEDED else None


def _is_observed(event: RollbackStateChange) -> bool:
    """Whether nothing is done, only said; what a person orders is done all the same.

    A watch that could not go on has observed nothing: that it failed is told as in any mode.
    """
    is_said = event.state is RollbackState.REFUSED and not event.is_ordered
    return is_said and event.mode is RollbackMode.OBSERVE


def _is_refused_order(event: RollbackStateChange) -> bool:
    """Whether it is the answer to an order: it says nothing of how the environment is."""
    return event.is_ordered and event.state is RollbackState.REFUSED


def _rollback_severity(event: RollbackStateChange, tier: Tier | None) -> Severity:
    if _is_observed(event) or _is_refused_order(event):
        return Severity.WARNING
    match event.state:
        case RollbackState.STARTED | RollbackState.SUCCEEDED:
            return Severity.WARNING
        case RollbackState.FAILED | RollbackState.REFUSED | RollbackState.HELD:
            return Severity.CRITICAL if tier in (Tier.PROD, None) else Severity.ERROR
        case RollbackState.AWAITING_APPROVAL:
            return Severity.ACTION


def _rollback_headline(event: RollbackStateChange, origin: Origin) -> str:
    environment = in_region(event.environment, origin.region)
    if _is_observed(event):
        if event.good is None:
            return f"Observed only: {environment} turned out bad"
        return f"Observed only: {environment} would have been rolled back"
    if _is_refused_order(event):
        return f"Your order was refused: {environment} was not rolled back"
    what = "the ordered version" if event.ordered_version else "the last good version"
    match event.state:
        case RollbackState.STARTED:
            return f"Rolling back: {environment} is going back to {what}"
        case RollbackState.SUCCEEDED:
            return f"Rolled back: {environment} runs {what} again"
        case RollbackState.FAILED:
            return f"Rollback failed: {environment} needs a person now"
        case RollbackState.REFUSED:
            return f"Not rolled back: {environment} needs a person now"
        case RollbackState.HELD:
            return f"Rollback held: {environment} is bad, but marked not safe to undo"
        case RollbackState.AWAITING_APPROVAL:
            return f"May {environment} be rolled back? It waits for your yes"


def _rollback_steps(event: RollbackStateChange) -> tuple[str, ...]:
    if _is_refused_order(event):
        return (
            "See what it runs and what it can go back to: the command plan (make plan) says it.",
            "If it should still go back, order a version by its revision; one in quarantine has "
            "to be lifted first.",
        )
    steps = []
    match event.state:
        case RollbackState.SUCCEEDED:
            steps.append("Mend the bad version; it stays in quarantine until it is lifted.")
        case RollbackState.FAILED | RollbackState.REFUSED:
            steps.append("Look at the environment and decide: mend forward, or roll back by hand.")
        case RollbackState.HELD:
            steps.append("Decide whether going back is safe; if it is, run the command.")
        case RollbackState.AWAITING_APPROVAL:
            steps.append(
                "Run the command to let it go back, or with --result no at its end to refuse; "
                "without an answer nothing is done."
            )
        case RollbackState.STARTED:
            pass
    return tuple(steps)


def _version(revision: Revision) -> str:
    """Code by the name people know it by: its commit, else the label it was deployed under."""
    if revision.revision is None and revision.summary is None:
        return revision.version_label or "an unknown version"
    return in_one_line(Change(revision=revision.revision, summary=revision.summary))


_BAKE_WORDS = {
    BakeState.WATCHING: "is being watched",
    BakeState.HEALTHY: "did well and is the known-good version now",
    BakeState.UNHEALTHY: "turned out bad",
    BakeState.ENDED: "is no longer watched",
}


def _bake(event: BakeStateChange, origin: Origin) -> Notice:
    facts = [
        Fact("Pipeline", event.pipeline),
        Fact("Stage", event.stage),
        Fact("Environment", event.environment),
    ]
    if event.health:
        facts.append(Fact("Health", event.health))
    reason = shown(event.reason)
    if reason:
        facts.append(Fact("Reason", reason))
    if event.until and event.state is BakeState.WATCHING:
        facts.append(Fact("Watched until", moment(event.until)))
    environment = in_region(event.environment, origin.region)
    return Notice(
        severity=Severity.PROGRESS,
        state=f"BAKE_{event.state.value}",
        headline=f"The new version in {environment} {_BAKE_WORDS[event.state]}",
        facts=(*facts, *place(origin)),
        links=_release_links(origin, event.pipeline, event.execution_id),
        pipeline=event.pipeline,
        stage=event.stage,
        action=event.action,
        execution_id=event.execution_id,
        region=origin.region,
        account=origin.account,
        at=origin.at or event.at,
        failure_reason=reason if event.state is BakeState.UNHEALTHY else None,
        tier=tier_of(event.environment),
    )


def _release_links(origin: Origin, pipeline: str, execution_id: str) -> tuple[Link, ...]:
    if not origin.region:
        return ()
    if not execution_id:
        return (Link("pipeline", "The pipeline", links.pipeline(origin.region, pipeline)),)
    url = links.execution(origin.region, pipeline, execution_id)
    return (Link("execution", "The release in CodePipeline", url),)


def _audit(event: TaggingAuditCompleted, origin: Origin) -> Notice:
    return Notice(
        severity=_audit_severity(event),
        state="AUDITED",
        headline=_audit_headline(event, origin),
        facts=_audit_facts(event, origin),
        links=(Link("report", "The report", event.report_url),) if event.report_url else (),
        next_steps=(_tag_them(event),) if event.findings else (),
        region=origin.region,
        account=origin.account,
        at=origin.at or event.at,
    )


def _tag_them(event: TaggingAuditCompleted) -> str:
    what = "the resources the report names" if event.report_url else "them"
    return f"Tag {what}, or exempt them with an owner and a date."


def _audit_severity(event: TaggingAuditCompleted) -> Severity:
    """Only what is new is worth a message: audits run at every release."""
    if event.new_findings is None:
        return Severity.WARNING if event.findings else Severity.INFO
    if event.new_findings:
        return Severity.WARNING
    return Severity.INFO if event.resolved_findings else Severity.PROGRESS


def _audit_headline(event: TaggingAuditCompleted, origin: Origin) -> str:
    where = in_region(f"the {event.scope}" if event.scope else "the account", origin.region)
    if not event.findings:
        return f"Tags in order: nothing to mend in {where}"
    new = f", {event.new_findings} of them new" if event.new_findings else ""
    return f"Tags to mend: {counted(event.findings, 'finding')} in {where}{new}"


def _listed(findings: Sequence[AuditFinding]) -> str:
    return "\n".join(shown(f"{one.problem}: {one.arn}") or "" for one in findings)


def _audit_facts(event: TaggingAuditCompleted, origin: Origin) -> tuple[Fact, ...]:
    total = sum(event.counts.values())
    facts = [
        Fact("Resources", str(total)),
        Fact("In order", str(event.counts.get(Verdict.COMPLIANT, 0))),
        Fact("To mend", str(event.counts.get(Verdict.NON_COMPLIANT, 0))),
    ]
    if unknown := event.counts.get(Verdict.UNKNOWN, 0):
        facts.append(Fact("Could not be read", str(unknown)))
    if event.resolved_findings:
        facts.append(Fact("Mended since the last audit", str(event.resolved_findings)))
    if event.remedied:
        facts.append(Fact("Tags added by the audit", str(event.remedied)))
    if event.worst:
        facts.append(Fact("Findings", _listed(event.worst)))
    if event.mended:
        facts.append(Fact("No longer wrong", _listed(event.mended)))
    if len(event.regions) > 1:
        facts.append(Fact("Regions", ", ".join(event.regions)))
    return (*facts, *place(origin))
