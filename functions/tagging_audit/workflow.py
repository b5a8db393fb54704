"""An audit, from its first call to its last word, in one invocation or in several."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from tagging_audit.command import Audit, Trigger
from tagging_audit.inventory.take import Order, Take
from tagging_audit.judging import Settings
from tagging_audit.office import NotAllowedError, Office, keep_memory, memory_of
from tagging_audit.remedy import apply, keys_of, plan
from tagging_audit.report import as_csv, as_json
from tagging_audit.report.build import (
    Change,
    Difference,
    Report,
    Row,
    compare,
    coverage,
    notes,
    remembered,
    row,
    unread_rows,
)
from tagging_audit.resource import Resource
from tagging_audit.scope import RemedyMode, ScopeKind
from tagging_audit.second_look import await_look
from tagging_audit.store import (
    Memory,
    StoreError,
    checkpoint_from,
    checkpoint_key,
    checkpoint_text,
    report_folder,
)
from tagging_audit.telling import summary, tell
from trellis.events import Verdict
from trellis.observability import count, logger

_MOST_ROUNDS = 20
"""How often an audit goes on before it says what it did not reach."""
_MOST_TRIES = 5
"""How often it is compared anew because others have ended meanwhile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One audit: what it is about, and how far it is."""

    audit_id: str
    trigger: Trigger
    scope: ScopeKind
    regions: tuple[str, ...]
    remedy: RemedyMode
    began: datetime
    rounds: int = 1
    requests: int = 0
    """What earlier rounds asked."""
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        return {
            "audit-id": self.audit_id,
            "trigger": self.trigger.value,
            "scope": self.scope.value,
            "regions": list(self.regions),
            "remedy": self.remedy.value,
            "began": self.began.isoformat(),
            "rounds": self.rounds,
            "requests": self.requests,
            "seconds": self.seconds,
        }

    @classmethod
    def from_json(cls, written: Mapping[str, Any]) -> Job:
        return cls(
            audit_id=written["audit-id"],
            trigger=Trigger(written["trigger"]),
            scope=ScopeKind(written["scope"]),
            regions=tuple(written["regions"]),
            remedy=RemedyMode(written["remedy"]),
            began=datetime.fromisoformat(written["began"]),
            rounds=written["rounds"],
            requests=written["requests"],
            seconds=written["seconds"],
        )


def begin(command: Audit, office: Office) -> Job:
    """The job that a command asks for. Raises NotAllowedError."""
    config, began = office.config, office.now()
    scope = command.scope or config.scope
    remedy = config.remedy if command.remedy is None else command.remedy
    if remedy is RemedyMode.ON and config.remedy is not RemedyMode.ON:
        raise NotAllowedError(
            f"the remedy is {config.remedy.value} in this stack and cannot be switched on by hand: "
            "deploy it with AuditRemedy=on, or ask for dry-run"
        )
    return Job(
        audit_id=f"{began:%Y%m%dT%H%M%SZ}-{scope.value}-{office.new_id()}",
        trigger=command.trigger,
        scope=scope,
        regions=command.regions or (config.region,),
        remedy=remedy,
        began=began,
    )


def audit(job: Job, office: Office, take: Take | None = None) -> dict[str, Any]:
    """Do a job, to its end or until the time is up; the answer sums it up."""
    spent = _spent(job, office)
    take = take or Take(office.aws, _order(job, office), office.has_time)
    is_done = take.run()
    if not is_done and office.queue is not None and job.rounds < _MOST_ROUNDS:
        return _put_off(spent(), take, office)
    if not is_done:
        take.give_up()
    _, summed_up = _finish(job, take, office, spent)
    return summed_up


def run(job: Job, office: Office) -> tuple[Report, dict[str, Any]]:
    """Do a job to its end, however long it takes; the report, and its sum."""
    spent = _spent(job, office)
    take = Take(office.aws, _order(job, office), office.has_time)
    if not take.run():
        take.give_up()
    return _finish(job, take, office, spent)


def go_on(audit_id: str, office: Office) -> dict[str, Any]:
    """Go on with an audit that was put off; an audit that is not there has been finished."""
    text = office.store.read(checkpoint_key(audit_id))
    if text is None:
        logger.info("nothing to go on with", audit=audit_id)
        return {"audit-id": audit_id, "outcome": "finished already"}
    written = checkpoint_from(text)
    job = Job.from_json(written["job"])
    take = Take.from_json(written["take"], office.aws, _order(job, office), office.has_time)
    return audit(job, office, take)


# Step by step.


def _spent(job: Job, office: Office) -> Callable[[], Job]:
    """What says how long a job has taken so far, and how many requests, from now on."""
    began, asked = office.now(), office.aws.requests

    def spent() -> Job:
        return replace(
            job,
            requests=job.requests + office.aws.requests - asked,
            seconds=job.seconds + (office.now() - began).total_seconds(),
        )

    return spent


def _finish(
    job: Job, take: Take, office: Office, spent: Callable[[], Job]
) -> tuple[Report, dict[str, Any]]:
    report, ours = _report(job, take, office, spent)
    report = _kept(report, job, ours, office)
    tell(report, office)
    _remember_told(report, office)
    _see_to_fresh(report, office)
    if job.rounds > 1:
        office.store.delete(checkpoint_key(job.audit_id))
    return report, summary(report)


def _order(job: Job, office: Office) -> Order:
    config, policy = office.config, office.policy
    is_here = job.regions[0] == config.region
    stack = config.stack.stack_id if is_here else config.stack.name
    return Order(
        scope=job.scope,
        regions=job.regions,
        account=config.account,
        stack=stack or None,
        tiers=config.stack.tiers,
        services=policy.services,
        services_when_seen=policy.services_when_seen,
        with_globals=config.with_globals,
    )


def _put_off(job: Job, take: Take, office: Office) -> dict[str, Any]:
    later = replace(job, rounds=job.rounds + 1)
    text = checkpoint_text({"job": later.to_json(), "take": take.to_json()})
    office.store.write(checkpoint_key(job.audit_id), [text], "application/json")
    if office.queue is not None:
        office.queue.send({"continue": job.audit_id})
    count("AuditsPutOff")
    logger.info("goes on later", audit=job.audit_id, round=job.rounds, stage=take.stage.name)
    return {
        "audit-id": job.audit_id,
        "outcome": "goes on in another invocation",
        "resources-so-far": len(take.union),
    }


def _report(
    job: Job, take: Take, office: Office, spent: Callable[[], Job]
) -> tuple[Report, dict[str, Resource]]:
    """The report, and this stack's own resources by ARN."""
    now, union = office.now(), take.union
    settings = Settings(
        office.policy,
        now,
        # Who asks by hand is answered at once.
        grace=timedelta(0) if job.trigger is Trigger.MANUAL else office.config.grace,
        tags_api_only_types=job.remedy is not RemedyMode.OFF,
    )
    rows: list[Row] = []
    ours: dict[str, Resource] = {}
    changes: list[Change] = []
    for resource in union.drain():
        judged = row(resource, settings)
        rows.append(judged)
        if resource.is_ours:
            ours[resource.arn] = resource
            if job.remedy is not RemedyMode.OFF:
                changes += plan(judged, resource, office.policy)
    if job.remedy is RemedyMode.ON and changes:
        changes = apply(office.aws, changes, ours, office.config.region, office.has_time)
        rows = [_after(one, changes, ours, settings) for one in rows]
    rows += unread_rows(union, office.config.account)
    done = spent()
    return Report(
        audit_id=job.audit_id,
        scope=job.scope.value,
        account=office.config.account,
        stack=office.config.stack.name if job.scope is ScopeKind.STACK else None,
        regions=job.regions,
        trigger=job.trigger.value,
        at=now,
        policy=office.policy,
        rows=rows,
        coverage=coverage(union, rows, is_account=job.scope is ScopeKind.ACCOUNT),
        troubles=tuple(union.troubles),
        notes=notes(union, office.policy, now),
        remedy=job.remedy.value,
        changes=changes,
        seconds=done.seconds,
        requests=done.requests,
    ), ours


def _after(
    judged: Row, changes: Sequence[Change], ours: Mapping[str, Resource], settings: Settings
) -> Row:
    """A row as it is after the remedy."""
    added = keys_of(changes, judged.arn)
    if not added:
        return judged
    resource = ours[judged.arn]
    values = {one.key: one.value for one in changes if one.arn == judged.arn and one.is_done}
    mended = replace(resource, tags={**(resource.tags or {}), **values})
    return replace(row(mended, settings), remedied=added)


def _kept(report: Report, job: Job, ours: Mapping[str, Resource], office: Office) -> Report:
    """Write the three reports, and what the next audit compares with; the report as it was kept.

    Another audit, or a look, may end meanwhile: then it is all compared anew with what that one
    remembered, so that nothing is told by both.
    """
    is_compared = False
    for _ in range(_MOST_TRIES):
        memory, mark = memory_of(office, report.scope, report.regions)
        if is_compared and memory is not None and memory.audit_id == report.audit_id:
            # It was kept, and only the answer was lost: compared with itself nothing would be new.
            return report
        if memory is not None and memory.began > job.began:
            # A later audit has ended first: it has told what these older facts could tell.
            report = replace(report, difference=Difference(memory.audit_id))
            _write(report, office)
            return report
        newer = memory.newer_than(job.began) if memory else frozenset()
        report = replace(report, difference=_difference(report, memory, newer))
        is_compared = True
        _write(report, office)
        findings = remembered(report.rows, memory.findings if memory else None, newer)
        after = Memory(
            audit_id=report.audit_id,
            at=report.at,
            began=job.began,
            counts={verdict.value: number for verdict, number in report.counts.items()},
            findings=findings,
            ours=frozenset(ours),
            looked={arn: memory.looked[arn] for arn in newer} if memory else {},
            untold={} if office.bus is None else _untold(report, findings, memory),
        )
        if keep_memory(office, report.scope, report.regions, after, mark):
            return report
    raise StoreError(
        f"the memory of the last audit was changed by others {_MOST_TRIES} times while this one "
        "ended: run fewer audits at once"
    )


def _untold(
    report: Report, findings: Iterable[str], memory: Memory | None
) -> dict[str, Sequence[tuple[str, str]]]:
    """What was known before of all that this report is about to tell.

    Telling may fail after the remembering: then the next audit or look compares with this.
    """
    if memory is None:
        return {arn: () for arn in findings}
    difference, told = report.difference, memory.told
    changed = {arn: told.get(arn, ()) for arn, _, _ in (*difference.new, *difference.resolved)}
    return {**_waiting(report, memory), **changed}


def _waiting(report: Report, memory: Memory) -> dict[str, Sequence[tuple[str, str]]]:
    """What stays untold, because this report does not know it."""
    unknown = {one.arn for one in report.rows if one.verdict is Verdict.UNKNOWN}
    return {arn: its for arn, its in memory.untold.items() if arn in unknown}


def _remember_told(report: Report, office: Office) -> None:
    """Remember that others know what this report tells; who has overtaken it remembers more."""
    difference = report.difference
    is_news = difference.since is None or difference.new or difference.resolved
    if office.bus is None or not is_news:
        return
    for _ in range(_MOST_TRIES):
        memory, mark = memory_of(office, report.scope, report.regions)
        if memory is None or memory.audit_id != report.audit_id:
            return
        after = replace(memory, untold=_waiting(report, memory))
        if after.untold == memory.untold or keep_memory(
            office, report.scope, report.regions, after, mark
        ):
            return


def _difference(report: Report, memory: Memory | None, newer: frozenset[str]) -> Difference:
    return compare(
        report.rows,
        memory.told if memory else None,
        memory.audit_id if memory else None,
        {(kind, one.region) for one in report.troubles for kind in one.types},
        newer,
    )


def _write(report: Report, office: Office) -> None:
    from tagging_audit.report import as_html

    folder = report_folder(report.scope, report.audit_id, report.at)
    store = office.store
    store.write(f"{folder}/report.json", as_json.pieces(report), "application/json")
    store.write(f"{folder}/report.csv", as_csv.pieces(report), "text/csv; charset=utf-8")
    store.write(f"{folder}/report.html", [as_html.page(report)], "text/html; charset=utf-8")


def _see_to_fresh(report: Report, office: Office) -> None:
    fresh = {one.arn: None for one in report.rows if one.is_fresh}
    if fresh and office.ledger is not None and office.queue is not None:
        await_look(fresh, f"audit-{report.audit_id}", office)
