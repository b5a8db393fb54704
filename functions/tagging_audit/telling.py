"""Telling of an audit: numbers for the dashboard, a line in the log, an event for notify."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from tagging_audit.command import Trigger
from tagging_audit.kinds import type_of
from tagging_audit.office import Office
from tagging_audit.policy import Problem
from tagging_audit.report.build import Key, Report, Row
from tagging_audit.store import Memory, report_folder
from trellis.arn import console_host
from trellis.events import AuditFinding, TaggingAuditCompleted, Verdict
from trellis.observability import count, logger

_MOST_WORST = 10
_WAS = {
    Problem.NEAR_MISS.value: "misspelt",
    Problem.NOT_ALLOWED.value: "not an allowed value",
    Problem.EXPIRED_EXEMPTION.value: "exempt for too long",
}


def summary(report: Report) -> dict[str, Any]:
    """An audit in a few numbers."""
    return {
        "audit-id": report.audit_id,
        "scope": report.scope,
        "resources": sum(report.counts.values()),
        "findings": report.findings,
        "unknown": report.counts[Verdict.UNKNOWN],
        "counts": {verdict.value: number for verdict, number in report.counts.items()},
        "new-findings": len(report.difference.new) if report.difference.since else None,
        "resolved-findings": len(report.difference.resolved) if report.difference.since else None,
        "remedied": sum(one.is_done for one in report.changes),
        "complete": report.is_whole,
        "requests": report.requests,
        "seconds": round(report.seconds, 1),
    }


def tell(report: Report, office: Office) -> None:
    """Count it, log it, and publish it for whoever listens."""
    is_first = report.difference.since is None
    count("AuditsCompleted")
    count("ResourcesAudited", sum(report.counts.values()))
    count("ResourcesUnknown", report.counts[Verdict.UNKNOWN])
    count("TagFindings", report.findings)
    count("NewTagFindings", len(report.difference.new))
    count("TagsAdded", sum(one.is_done for one in report.changes))
    logger.info("audited", **summary(report))
    if office.bus is None:
        return
    kinds = {one.arn: one.type for one in report.rows}
    key = f"{report_folder(report.scope, report.audit_id, report.at)}/report.html"
    office.bus.publish(
        TaggingAuditCompleted(
            audit_id=report.audit_id,
            scope=report.scope,
            regions=report.regions,
            trigger=report.trigger,
            counts=report.counts,
            findings=report.findings,
            new_findings=None if is_first else len(report.difference.new),
            resolved_findings=None if is_first else len(report.difference.resolved),
            remedied=sum(one.is_done for one in report.changes),
            worst=_worst(report),
            mended=tuple(_lost(one, kinds) for one in report.difference.resolved[:_MOST_WORST]),
            at=report.at,
            report_bucket=office.config.bucket,
            report_key=key,
            report_url=_url(office, key),
        )
    )


def _url(office: Office, key: str) -> str:
    """Where the page is, for a person: in the console, which asks who is reading."""
    bucket, region = office.config.bucket, office.config.region
    address = f"https://{console_host(region)}/s3/object/{bucket}"
    return f"{address}?region={region}&prefix={quote(key, safe='/')}"


def _worst(report: Report) -> tuple[AuditFinding, ...]:
    """Up to ten findings: what is new comes first, and this stack's own before the others."""
    new = set(report.difference.new)
    found = [
        (key not in new, one.logical_id is None, one, finding)
        for one in report.rows
        for key, finding in zip(one.keys(), one.findings, strict=True)
    ]
    found.sort(key=lambda each: (each[0], each[1], each[2].arn))
    return tuple(
        AuditFinding(one.arn, one.type, finding.tag, finding.text)
        for _, _, one, finding in found[:_MOST_WORST]
    )


def _lost(key: Key, kinds: Mapping[str, str]) -> AuditFinding:
    arn, tag, problem = key
    was = _WAS.get(problem, problem)
    return AuditFinding(arn, kinds.get(arn) or type_of(arn), tag, f"{tag or 'it'} was {was}")


def change_event(
    rows: Mapping[str, Row | None],
    new: Sequence[Key],
    resolved: Sequence[Key],
    after: Memory,
    fact: str,
    office: Office,
) -> TaggingAuditCompleted:
    """What a second look found, without a report: the last one knows nothing of it."""
    kinds = {arn: one.type for arn, one in rows.items() if one is not None}
    fresh = set(new)
    worst = [
        AuditFinding(one.arn, one.type, finding.tag, finding.text)
        for one in rows.values()
        if one is not None
        for key, finding in zip(one.keys(), one.findings, strict=True)
        if key in fresh
    ]
    return TaggingAuditCompleted(
        audit_id=f"{after.audit_id}-{fact[-8:]}",
        scope=office.config.scope.value,
        regions=(office.config.region,),
        trigger=Trigger.TAG_CHANGE.value,
        counts={verdict: after.counts.get(verdict.value, 0) for verdict in Verdict},
        findings=sum(len(its) for its in after.findings.values()),
        new_findings=len(new),
        resolved_findings=len(resolved),
        worst=tuple(worst[:_MOST_WORST]),
        mended=tuple(_lost(key, kinds) for key in resolved[:_MOST_WORST]),
        at=office.now(),
        report_bucket=office.config.bucket,
    )
