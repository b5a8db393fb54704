"""Our own events: what the functions tell each other, and anyone else who listens.

They travel on the default event bus with source `trellis`. Every detail carries
`schema-version`, `MAJOR.MINOR`: a reader takes any minor version of a major one it knows, so
fields are only ever added, and a field that changes its meaning raises the major version. Keys
are spelled as CodePipeline spells its own (`execution-id`). What is unknown is left out, never
written as null or as an empty text. Times are ISO 8601 in UTC.

`Trellis Rollback State Change`: what becomes of one bad deployment.

    schema-version     "1.0"
    watch-id           the watch that speaks: one per Deploy action execution
    state              STARTED, SUCCEEDED, FAILED, REFUSED, HELD, AWAITING_APPROVAL
    pipeline, stage, action, execution-id, action-execution-id    the deployment that is judged
    environment        the Elastic Beanstalk environment's name
    mode               automatic, approve, observe
    ordered            true where a person ordered it by hand, whatever the mode
    ordered-version    the revision or version label that the order named, if it named one
    route              RollbackStage or UpdateEnvironment, once one is chosen
    from, to           revisions: {revision, version-label, execution-id, summary}
    rollback-execution-id    the pipeline execution that RollbackStage made
    reason             one sentence for a person
    evidence           list of sentences, the strongest first
    next-command       what a person may run next, ready to paste
    frozen             true while the stage's inbound transition is disabled by us

`Trellis Bake State Change`: how a deployment does after it ended well.

    schema-version, watch-id, pipeline, stage, action, execution-id, environment    as above
    state              WATCHING, HEALTHY, UNHEALTHY, ENDED (a newer deployment took over)
    until              when the bake is over
    health             the environment's health now, in Beanstalk's own word
    reason             one sentence for a person

`Trellis Tagging Audit Completed`: one audit, summed up.

    schema-version     "1.0"
    audit-id           names the report in the reports bucket
    scope              stack or account
    regions            list
    trigger            schedule, release, tag-change, manual
    counts             resources by verdict: compliant, non-compliant, exempt, untaggable, unknown
    findings           number of findings
    new-findings, resolved-findings    against the last audit of the same scope
    remedied           tags added by the audit itself
    worst              up to ten findings: {arn, type, tag, problem}
    mended             up to ten findings that are no more, written alike
    report             {bucket, key, url}, the HTML page
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Protocol

from trellis.errors import SchemaError
from trellis.verdict import Verdict as Verdict

SOURCE = "trellis"
SCHEMA_VERSION = "1.0"

_MOST_EVIDENCE = 20
_LONGEST_EVIDENCE = 1000
_MOST_WORST = 10


class DetailType(StrEnum):
    ROLLBACK = "Trellis Rollback State Change"
    BAKE = "Trellis Bake State Change"
    TAGGING_AUDIT = "Trellis Tagging Audit Completed"


class RollbackState(StrEnum):
    STARTED = "STARTED"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    REFUSED = "REFUSED"
    """It was not allowed or not possible. To a watch: the stage is frozen and a person is needed.
    To an order: nothing was done, and the person who gave it has the answer."""
    HELD = "HELD"
    """The release is marked as not safe to roll back; a person decides."""
    AWAITING_APPROVAL = "AWAITING_APPROVAL"

    @property
    def is_end(self) -> bool:
        """Whether nothing more comes of it by itself."""
        return self in (RollbackState.SUCCEEDED, RollbackState.FAILED, RollbackState.REFUSED)


class RollbackMode(StrEnum):
    AUTOMATIC = "automatic"
    APPROVE = "approve"
    OBSERVE = "observe"


class RollbackRoute(StrEnum):
    STAGE = "RollbackStage"
    ENVIRONMENT = "UpdateEnvironment"


class BakeState(StrEnum):
    WATCHING = "WATCHING"
    HEALTHY = "HEALTHY"
    UNHEALTHY = "UNHEALTHY"
    ENDED = "ENDED"


@dataclass(frozen=True, slots=True)
class Revision:
    """Code at one point in time, by as many of its names as are known."""

    revision: str | None = None
    """The source revision: a commit id, or the S3 version id of a source bundle."""
    version_label: str | None = None
    execution_id: str | None = None
    """The pipeline execution that brought it."""
    summary: str | None = None

    def to_detail(self) -> dict[str, Any]:
        return _present(
            {
                "revision": self.revision,
                "version-label": self.version_label,
                "execution-id": self.execution_id,
                "summary": self.summary,
            }
        )

    @classmethod
    def from_detail(cls, detail: object) -> Revision | None:
        if not isinstance(detail, Mapping):
            return None
        return cls(
            revision=_text(detail, "revision"),
            version_label=_text(detail, "version-label"),
            execution_id=_text(detail, "execution-id"),
            summary=_text(detail, "summary"),
        )


class OwnEvent(Protocol):
    """What the bus can carry."""

    @property
    def detail_type(self) -> DetailType: ...

    @property
    def at(self) -> datetime: ...

    def to_detail(self) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackStateChange:
    """One turn in what becomes of a bad deployment."""

    watch_id: str
    state: RollbackState
    pipeline: str
    stage: str
    action: str
    execution_id: str
    environment: str
    mode: RollbackMode
    reason: str
    at: datetime
    action_execution_id: str | None = None
    route: RollbackRoute | None = None
    bad: Revision | None = None
    """What is left: `from` in the detail."""
    good: Revision | None = None
    """What is gone back to: `to` in the detail."""
    rollback_execution_id: str | None = None
    evidence: tuple[str, ...] = ()
    next_command: str | None = None
    is_frozen: bool = False
    is_ordered: bool = False
    """A person ordered it by hand: then it is their decision, not the mode's."""
    ordered_version: str | None = None

    @property
    def detail_type(self) -> DetailType:
        return DetailType.ROLLBACK

    def to_detail(self) -> dict[str, Any]:
        """The detail as it travels; evidence is cut so that the event stays far below 256 KB."""
        return _present(
            {
                "schema-version": SCHEMA_VERSION,
                "watch-id": self.watch_id,
                "state": self.state.value,
                "pipeline": self.pipeline,
                "stage": self.stage,
                "action": self.action,
                "execution-id": self.execution_id,
                "action-execution-id": self.action_execution_id,
                "environment": self.environment,
                "mode": self.mode.value,
                "ordered": self.is_ordered or None,
                "ordered-version": self.ordered_version,
                "route": self.route.value if self.route else None,
                "from": self.bad.to_detail() if self.bad else None,
                "to": self.good.to_detail() if self.good else None,
                "rollback-execution-id": self.rollback_execution_id,
                "reason": self.reason,
                "evidence": [line[:_LONGEST_EVIDENCE] for line in self.evidence[:_MOST_EVIDENCE]],
                "next-command": self.next_command,
                "frozen": self.is_frozen,
                "at": _iso(self.at),
            }
        )

    @classmethod
    def from_detail(cls, detail: Mapping[str, Any]) -> RollbackStateChange:
        """Read a detail back; raises SchemaError for another major version."""
        check_schema(detail, DetailType.ROLLBACK)
        route = _text(detail, "route")
        return cls(
            watch_id=_text(detail, "watch-id") or "",
            state=RollbackState(detail["state"]),
            pipeline=_text(detail, "pipeline") or "",
            stage=_text(detail, "stage") or "",
            action=_text(detail, "action") or "",
            execution_id=_text(detail, "execution-id") or "",
            action_execution_id=_text(detail, "action-execution-id"),
            environment=_text(detail, "environment") or "",
            mode=RollbackMode(detail.get("mode", RollbackMode.AUTOMATIC)),
            route=RollbackRoute(route) if route else None,
            bad=Revision.from_detail(detail.get("from")),
            good=Revision.from_detail(detail.get("to")),
            rollback_execution_id=_text(detail, "rollback-execution-id"),
            reason=_text(detail, "reason") or "",
            evidence=_texts(detail, "evidence"),
            next_command=_text(detail, "next-command"),
            is_frozen=detail.get("frozen") is True,
            is_ordered=detail.get("ordered") is True,
            ordered_version=_text(detail, "ordered-version"),
            at=_time(detail, "at"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class BakeStateChange:
    """How a deployment does after its action succeeded."""

    watch_id: str
    state: BakeState
    pipeline: str
    stage: str
    action: str
    execution_id: str
    environment: str
    reason: str
    at: datetime
    until: datetime | None = None
    health: str | None = None

    @property
    def detail_type(self) -> DetailType:
        return DetailType.BAKE

    def to_detail(self) -> dict[str, Any]:
        return _present(
            {
                "schema-version": SCHEMA_VERSION,
                "watch-id": self.watch_id,
                "state": self.state.value,
                "pipeline": self.pipeline,
                "stage": self.stage,
                "action": self.action,
                "execution-id": self.execution_id,
                "environment": self.environment,
                "until": _iso(self.until) if self.until else None,
                "health": self.health,
                "reason": self.reason,
                "at": _iso(self.at),
            }
        )

    @classmethod
    def from_detail(cls, detail: Mapping[str, Any]) -> BakeStateChange:
        """Read a detail back; raises SchemaError for another major version."""
        check_schema(detail, DetailType.BAKE)
        return cls(
            watch_id=_text(detail, "watch-id") or "",
            state=BakeState(detail["state"]),
            pipeline=_text(detail, "pipeline") or "",
            stage=_text(detail, "stage") or "",
            action=_text(detail, "action") or "",
            execution_id=_text(detail, "execution-id") or "",
            environment=_text(detail, "environment") or "",
            reason=_text(detail, "reason") or "",
            at=_time(detail, "at"),
            until=_time(detail, "until") if _text(detail, "until") else None,
            health=_text(detail, "health"),
        )


@dataclass(frozen=True, slots=True)
class AuditFinding:
    """One thing wrong with one resource's tags, in a sentence."""

    arn: str
    type: str
    tag: str
    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TaggingAuditCompleted:
    """One audit, summed up; the report holds the rest."""

    audit_id: str
    scope: str
    regions: tuple[str, ...]
    trigger: str
    counts: Mapping[Verdict, int]
    findings: int
    at: datetime
    new_findings: int | None = None
    """None where there is no earlier audit to compare with."""
    resolved_findings: int | None = None
    remedied: int = 0
    worst: tuple[AuditFinding, ...] = ()
    mended: tuple[AuditFinding, ...] = ()
    """Findings of the last audit that are no more."""
    report_bucket: str | None = None
    report_key: str | None = None
    report_url: str | None = None

    @property
    def detail_type(self) -> DetailType:
        return DetailType.TAGGING_AUDIT

    def to_detail(self) -> dict[str, Any]:
        return _present(
            {
                "schema-version": SCHEMA_VERSION,
                "audit-id": self.audit_id,
                "scope": self.scope,
                "regions": list(self.regions),
                "trigger": self.trigger,
                "counts": {verdict.value: self.counts.get(verdict, 0) for verdict in Verdict},
                "findings": self.findings,
                "new-findings": self.new_findings,
                "resolved-findings": self.resolved_findings,
                "remedied": self.remedied,
                "worst": _findings(self.worst),
                "mended": _findings(self.mended),
                "report": _present(
                    {
                        "bucket": self.report_bucket,
                        "key": self.report_key,
                        "url": self.report_url,
                    }
                ),
                "at": _iso(self.at),
            }
        )

    @classmethod
    def from_detail(cls, detail: Mapping[str, Any]) -> TaggingAuditCompleted:
        """Read a detail back; raises SchemaError for another major version."""
        check_schema(detail, DetailType.TAGGING_AUDIT)
        counts = detail.get("counts") or {}
        report = detail.get("report") or {}
        return cls(
            audit_id=_text(detail, "audit-id") or "",
            scope=_text(detail, "scope") or "",
            regions=_texts(detail, "regions"),
            trigger=_text(detail, "trigger") or "",
            counts={verdict: int(counts.get(verdict.value, 0)) for verdict in Verdict},
            findings=int(detail.get("findings", 0)),
            new_findings=_whole(detail, "new-findings"),
            resolved_findings=_whole(detail, "resolved-findings"),
            remedied=int(detail.get("remedied", 0)),
            worst=_read_findings(detail.get("worst")),
            mended=_read_findings(detail.get("mended")),
            report_bucket=_text(report, "bucket"),
            report_key=_text(report, "key"),
            report_url=_text(report, "url"),
            at=_time(detail, "at"),
        )


def _findings(findings: tuple[AuditFinding, ...]) -> list[dict[str, str]]:
    return [
        {"arn": one.arn, "type": one.type, "tag": one.tag, "problem": one.problem}
        for one in findings[:_MOST_WORST]
    ]


def _read_findings(written: object) -> tuple[AuditFinding, ...]:
    return tuple(
        AuditFinding(
            arn=str(one.get("arn", "")),
            type=str(one.get("type", "")),
            tag=str(one.get("tag", "")),
            problem=str(one.get("problem", "")),
        )
        for one in (written if isinstance(written, list) else ())
        if isinstance(one, Mapping)
    )


def check_schema(detail: Mapping[str, Any], what: str) -> None:
    """Raise SchemaError unless a detail was written by a major version this code knows."""
    found = detail.get("schema-version")
    if not isinstance(found, str) or found.split(".")[0] != SCHEMA_VERSION.split(".")[0]:
        raise SchemaError(f"the event {what!r}", found, SCHEMA_VERSION)


def _present(detail: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in detail.items() if value not in (None, "", [], {}, ())}


def _text(detail: Mapping[str, Any], key: str) -> str | None:
    value = detail.get(key)
    return value if isinstance(value, str) and value else None


def _texts(detail: Mapping[str, Any], key: str) -> tuple[str, ...]:
    value = detail.get(key)
    return tuple(one for one in value if isinstance(one, str)) if isinstance(value, list) else ()


def _whole(detail: Mapping[str, Any], key: str) -> int | None:
    value = detail.get(key)
    return int(value) if isinstance(value, int | float) else None


def _iso(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _time(detail: Mapping[str, Any], key: str) -> datetime:
    found = datetime.fromisoformat(str(detail[key]))
    return found if found.tzinfo else found.replace(tzinfo=UTC)
