"""The second look: what was new, or has changed, is looked at once more when its grace is over.

Tags often come a moment after their resource, and a deployment may take a tag away and put it back.
So nobody is told at once; when the grace is over the tags are read as they are then, and what
differs from the last audit is told, once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from tagging_audit.inventory.take import Order, Take
from tagging_audit.judging import Settings
from tagging_audit.office import NotAllowedError, Office, keep_memory, memory_of
from tagging_audit.report.build import Key, Row, row
from tagging_audit.resource import Source
from tagging_audit.scope import RemedyMode, ScopeKind
from tagging_audit.store import Memory
from tagging_audit.telling import change_event
from trellis.events import Verdict
from trellis.ledger import Ledger, Message, Progress, about_happening
from trellis.observability import count, logger
from trellis.records import Look

_MOST_RESOURCES = 300
"""Looked at in one invocation: at the slowest pace (pace.py) they take 150 of its 300 seconds.
The others have their turn right after it."""


def look_again(office: Office) -> dict[str, Any]:
    """Look once more at what was new or had changed, and tell what is different now, once."""
    ledger, scope, now = _ledger(office), office.config.scope.value, office.now()
    ledger.answer_look(scope)
    looks = ledger.looks(scope)
    ripe = [one for one in looks if one.due <= now + timedelta(seconds=30)]
    due = _oldest(ripe)
    is_more = len(due) < len(ripe)
    if is_more:
        # The note goes out when these looks have ended; until then nobody else needs to call.
        ledger.call_look(scope, now, now)
    elif len(ripe) < len(looks):
        _call(min(one.due for one in looks if one not in ripe), office)
    if not due:
        return {"outcome": "nothing to look at yet"}
    newest = {one.arn: one for one in sorted(due, key=lambda one: (one.order, one.due))}
    memory, mark = memory_of(office, scope, (office.config.region,))
    rows = _looked_at(newest, memory, office)
    new, resolved = _changed(newest, rows, memory)
    if new or resolved:
        _tell_changes(due, rows, new, resolved, memory, mark, now, office)
    for look in due:
        ledger.end_look(look)
    if is_more and office.queue is not None:
        office.queue.send({"look-again": scope})
    logger.info("looked again", resources=len(newest), new=len(new), mended=len(resolved))
    return {
        "outcome": "looked again",
        "resources": len(newest),
        "new-findings": len(new),
        "resolved-findings": len(resolved),
    }


def await_look(arns: Mapping[str, Mapping[str, str] | None], order: str, office: Office) -> None:
    """See to it that some resources are looked at when their grace is over.

    The values are the tags that an event named, where one did.
    """
    ledger = _ledger(office)
    due = office.now() + office.config.grace
    for arn, tags in arns.items():
        ledger.await_look(
            Look(
                scope=office.config.scope.value,
                arn=arn,
                order=order,
                due=due,
                tags=None if tags is None else tuple(tags.items()),
            )
        )
    _call(due, office)


def _oldest(ripe: Sequence[Look]) -> list[Look]:
    """The looks at those resources that have waited longest, as many as one invocation can do.

    All that are ripe of one resource stay together: the newest event is the one that counts.
    """
    arns = dict.fromkeys(one.arn for one in sorted(ripe, key=lambda one: (one.due, one.arn)))
    taken = frozenset(islice(arns, _MOST_RESOURCES))
    return [one for one in ripe if one.arn in taken]


def _ledger(office: Office) -> Ledger:
    if office.ledger is None:
        raise NotAllowedError("without a ledger nothing can be looked at again")
    return office.ledger


def _call(due: datetime, office: Office) -> None:
    now = office.now()
    if office.queue is None:
        return
    if _ledger(office).call_look(office.config.scope.value, due, now):
        seconds = max(0, int((due - now).total_seconds()) + 1)
        office.queue.send({"look-again": office.config.scope.value}, seconds)


def _looked_at(
    looks: Mapping[str, Look], memory: Memory | None, office: Office
) -> dict[str, Row | None]:
    """Each resource as it is now; None for what is gone, or is not this audit's business."""
    config = office.config
    order = Order(
        scope=ScopeKind.ARNS,
        regions=(config.region,),
        account=config.account,
        arns=tuple(looks),
    )
    take = Take(office.aws, order, office.has_time)
    if not take.run():
        raise NotAllowedError("the time ran out before the second look was over")
    settings = Settings(
        office.policy,
        office.now(),
        tags_api_only_types=config.remedy is not RemedyMode.OFF,
    )
    rows: dict[str, Row | None] = {}
    for arn, look in looks.items():
        if arn not in take.union:
            rows[arn] = None
            continue
        resource = take.union.resource(arn)
        if resource.tags is None and look.tags is not None:
            resource = replace(resource, tags=dict(look.tags), sources=(Source.EVENT,))
        tags = resource.tags or {}
        is_ours = config.stack.owns(arn, tags) or (memory is not None and arn in memory.ours)
        if config.scope is ScopeKind.STACK and not is_ours:
            continue
        rows[arn] = row(
            replace(resource, is_ours=is_ours, tier=config.stack.tier_of(arn, tags)), settings
        )
    return rows


def _changed(
    looks: Mapping[str, Look], rows: Mapping[str, Row | None], memory: Memory | None
) -> tuple[list[Key], list[Key]]:
    """The findings that are new, and those that are no more."""
    new: list[Key] = []
    resolved: list[Key] = []
    told = memory.told if memory else {}
    for arn in looks:
        if arn not in rows:
            continue
        one = rows[arn]
        if one is not None and one.verdict is Verdict.UNKNOWN:
            continue
        before = told.get(arn, ())
        was = {(arn, tag, problem) for tag, problem in before}
        now = set(one.keys()) if one else set()
        new += sorted(now - was)
        resolved += sorted(was - now)
    return new, resolved


def _tell_changes(
    looks: Sequence[Look],
    rows: Mapping[str, Row | None],
    new: Sequence[Key],
    resolved: Sequence[Key],
    memory: Memory | None,
    mark: str | None,
    looked: datetime,
    office: Office,
) -> None:
    """Publish what changed, once, and remember it for the next audit.

    `mark` is the memory's, and `looked` the time from which on the tags were read.
    """
    ledger, config, now = _ledger(office), office.config, office.now()
    said = "\n".join(
        ["+".join(key) for key in (*new, *resolved)]
        + sorted(f"{one.arn} {one.order}" for one in looks)
    )
    fact = f"look#{hashlib.sha256(said.encode()).hexdigest()[:32]}"
    message = ledger.begin_message(
        Message(
            about=about_happening(f"audit#{config.scope.value}"),
            fact=fact,
            channel="bus",
            progress=Progress.SENDING,
            owner=office.owner,
            until=now + timedelta(minutes=2),
        ),
        now,
    )
    if message.progress is not Progress.SENT:
        after = _remembering(rows, memory, looked, office)
        if office.bus is not None:
            office.bus.publish(change_event(rows, new, resolved, after, fact, office))
        count("NewTagFindings", len(new))
        scope, regions = config.scope.value, (config.region,)
        while not keep_memory(office, scope, regions, after, mark):
            memory, mark = memory_of(office, scope, regions)
            after = _remembering(rows, memory, looked, office)
        ledger.end_message(replace(message, progress=Progress.SENT), now)


def _remembering(
    rows: Mapping[str, Row | None], memory: Memory | None, looked: datetime, office: Office
) -> Memory:
    """The memory of the last audit, with what was looked at again as it was found."""
    if memory is None:
        audit_id = f"{looked:%Y%m%dT%H%M%SZ}-look-{office.new_id()}"
        memory = Memory(audit_id=audit_id, at=looked, began=datetime.min.replace(tzinfo=UTC))
    findings, counts, when = dict(memory.findings), dict(memory.counts), dict(memory.looked)
    untold = dict(memory.untold)
    for arn, one in rows.items():
        if one is not None and one.verdict is Verdict.UNKNOWN:
            continue
        when[arn] = looked
        untold.pop(arn, None)
        was = Verdict.NON_COMPLIANT if arn in findings else Verdict.COMPLIANT
        if counts.get(was.value):
            counts[was.value] -= 1
        if one is not None:
            counts[one.verdict.value] = counts.get(one.verdict.value, 0) + 1
        if one is not None and one.findings:
            findings[arn] = [(each.tag, each.problem.value) for each in one.findings]
        else:
            findings.pop(arn, None)
    return replace(memory, findings=findings, counts=counts, looked=when, untold=untold)
