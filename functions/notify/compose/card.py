"""Where a release is now: the content of the one message a channel keeps of it.

Made of what was seen alone, so that it is the same whatever the events' order was.
"""

from __future__ import annotations

from collections.abc import Sequence

from notify import links
from notify.compose.change import in_one_line, short
from notify.compose.parts import in_region, shown, tier_of
from notify.compose.release import track
from notify.happening import ReleaseEvent, State
from notify.notice import Fact, Link, Notice, Severity
from notify.story import Story, change, is_creation
from notify.wording import counted
from trellis.ledger import Sighting

_ENDINGS = {
    State.SUCCEEDED: (Severity.SUCCESS, "Released: {release} is live in {where}"),
    State.FAILED: (Severity.ERROR, "{stage} failed: {release} stopped in {where}"),
    State.STOPPED: (Severity.WARNING, "Stopped: {release} in {where}"),
    State.CANCELED: (Severity.WARNING, "Canceled: {release} in {where}"),
    State.SUPERSEDED: (Severity.INFO, "Superseded: {release} in {where}"),
}
_ROLLBACKS = {
    "STARTED": (Severity.WARNING, "Rolling back: {release} turned out bad in {where}"),
    "SUCCEEDED": (Severity.WARNING, "Rolled back: {release} was undone in {where}"),
    "FAILED": (Severity.CRITICAL, "Rollback failed: {release} is still up in {where}"),
    "REFUSED": (Severity.CRITICAL, "Not rolled back: {release} is still up in {where}"),
    "HELD": (Severity.CRITICAL, "Rollback held: {release} is still up in {where}"),
    "AWAITING_APPROVAL": (Severity.ACTION, "{release} may be rolled back, if you say so: {where}"),
}


def card(event: ReleaseEvent, sightings: Sequence[Sighting], recovered_from: int = 0) -> Notice:
    """The state of the release that an event belongs to."""
    story = Story(sightings=tuple(sightings))
    travelling = change(event, story)
    stage, severity, words = _standing(sightings)
    if severity is Severity.ERROR and stage == "Source" and is_creation(event, story):
        severity, words = Severity.ACTION, "{where} is ready and waiting for the first upload"
    region = event.origin.region
    where = in_region(event.pipeline, region)
    headline = words.format(
        release=short(travelling) or "the release", where=where, stage=stage or "A stage"
    )
    if recovered_from:
        headline += f", recovered after {counted(recovered_from, 'failure')}"
    facts = [Fact("Commit", in_one_line(travelling))] if travelling else []
    reasons = [
        Fact(f"{seen.subject.rsplit('/', 1)[-1]} failed", said)
        for seen in sightings
        if seen.subject.startswith("action/") and seen.state == "FAILED"
        if (said := shown(seen.detail("reason")))
    ]
    url = (
        links.execution(region, event.pipeline, event.execution_id)
        if region and event.execution_id
        else None
    )
    return Notice(
        severity=severity,
        state="CARD",
        headline=headline,
        facts=(*facts, *reasons),
        links=(Link("execution", "The release in CodePipeline", url),) if url else (),
        pipeline=event.pipeline,
        stage=stage,
        execution_id=event.execution_id,
        region=region,
        account=event.origin.account,
        tier=tier_of(stage),
        track=track(story),
    )


def _standing(sightings: Sequence[Sighting]) -> tuple[str | None, Severity, str]:
    """The stage it is about, how much that matters, and the words for it.

    A rollback outweighs the failure it undoes, an ending outweighs what came before it, and a
    failed stage outweighs a pipeline whose own event has not come yet.
    """
    seen = {one.subject: one for one in sightings}
    rollbacks = [one for one in sightings if one.subject.startswith("rollback/")]
    if rollbacks:
        newest = max(rollbacks, key=lambda one: one.at)
        severity, words = _ROLLBACKS.get(newest.state, _ROLLBACKS["STARTED"])
        return newest.subject.removeprefix("rollback/"), severity, words
    stages = sorted(
        (one for one in sightings if one.subject.startswith("stage/")), key=lambda one: one.at
    )
    attempt = max((one.attempt for one in sightings), default=1)
    failed = [one for one in stages if one.state == "FAILED" and one.attempt == attempt]
    whole = seen.get("pipeline")
    if whole is not None and whole.attempt == attempt and State(whole.state) in _ENDINGS:
        severity, words = _ENDINGS[State(whole.state)]
        return (failed[-1].subject.removeprefix("stage/") if failed else None), severity, words
    if failed:
        severity, words = _ENDINGS[State.FAILED]
        return failed[-1].subject.removeprefix("stage/"), severity, words
    waiting = [
        one
        for one in sightings
        if one.subject.startswith("action/")
        and one.detail("category") == "Approval"
        and one.state == "STARTED"
        and one.attempt == attempt
    ]
    if waiting:
        stage = waiting[0].subject.split("/")[1]
        return stage, Severity.ACTION, "Waiting for approval: {release} in {where}"
    if not stages:
        return None, Severity.PROGRESS, "Started: {release} is on its way in {where}"
    stage = stages[-1].subject.removeprefix("stage/")
    return stage, Severity.PROGRESS, "{stage}: {release} is on its way in {where}"
