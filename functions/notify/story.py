"""One release, one story: what an event adds to what is known of its release already.

Events come late, twice and in any order. What was seen is kept by the ledger; this room decides,
from an event and from that, whether there is something to tell, and under which name, so that it
is told once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum

from notify.happening import Change, FailedAction, Level, ReleaseEvent, State
from trellis.ledger import Bake, Sighting

_RANKS = {State.STARTED: 1, State.RESUMED: 2, State.STOPPING: 3}
_LAST_RANK = 4


class Occasion(StrEnum):
    """What there is to tell about a release."""

    STARTED = "started"
    RESUMED = "resumed"
    WAITING_FOR_UPLOAD = "waiting-for-upload"
    FAILED = "failed"
    REJECTED = "rejected"
    APPROVAL_WANTED = "approval-wanted"
    APPROVED = "approved"
    STOPPED = "stopped"
    CANCELED = "canceled"
    SUPERSEDED = "superseded"
    SUCCEEDED = "succeeded"
    PROGRESS = "progress"


class Step(StrEnum):
    TELL = "tell"
    WAIT = "wait"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do about an event, and why; the reason is logged."""

    step: Step
    reason: str
    fact: str = ""
    """The name under which it is told once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """What an environment runs."""

    environment: str
    version_label: str | None = None
    revision: str | None = None
    """The revision under that label, where it was seen to be deployed."""
    health: str | None = None
    url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """A manual approval: what the approver is asked to look at, and who answered what."""

    asks: str | None = None
    url: str | None = None
    by: str | None = None
    """Who answered: an ARN."""
    words: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """What is known of a release: what was seen of it, and what AWS said when asked."""

    sightings: tuple[Sighting, ...] = ()
    failed_actions: tuple[FailedAction, ...] | None = None
    """Every failed action by CodePipeline's word; None where it did not answer."""
    trigger: str | None = None
    change: Change | None = None
    running: tuple[Running, ...] = ()
    """What the environments of the release run now."""
    approval: Approval | None = None
    """The approval that an event is about, by CodePipeline's word."""
    answer_before: datetime | None = None
    """When an approval that is wanted counts as rejected."""
    bakes: tuple[Bake, ...] = ()
    is_rollback: bool = False
    """Whether CodePipeline itself calls the execution a rollback."""

    def seen(self, subject: str) -> Sighting | None:
        return next((one for one in self.sightings if one.subject == subject), None)


_PIPELINE_OCCASIONS = {
    State.STARTED: Occasion.STARTED,
    State.RESUMED: Occasion.RESUMED,
    State.SUCCEEDED: Occasion.SUCCEEDED,
    State.FAILED: Occasion.FAILED,
    State.CANCELED: Occasion.CANCELED,
    State.STOPPED: Occasion.STOPPED,
    State.SUPERSEDED: Occasion.SUPERSEDED,
}


def occasion(event: ReleaseEvent) -> Occasion:
    """What an event tells by itself; most are steps on the way."""
    if event.level is Level.PIPELINE:
        return _PIPELINE_OCCASIONS.get(event.state, Occasion.PROGRESS)
    if event.level is Level.ACTION and event.is_approval:
        return {
            State.STARTED: Occasion.APPROVAL_WANTED,
            State.SUCCEEDED: Occasion.APPROVED,
            State.FAILED: Occasion.REJECTED,
        }.get(event.state, Occasion.PROGRESS)
    return Occasion.FAILED if event.state is State.FAILED else Occasion.PROGRESS


def subject(event: ReleaseEvent) -> str:
    """What an event is about, within its release."""
    match event.level:
        case Level.PIPELINE:
            return "pipeline"
        case Level.STAGE:
            return f"stage/{event.stage}"
        case Level.ACTION:
            return f"action/{event.stage}/{event.action}"


def sighting(event: ReleaseEvent, now: datetime) -> Sighting:
    """An event as the ledger keeps it; its order makes the end of a try beat its beginning."""
    at = event.origin.at or now
    rank = _RANKS.get(event.state, _LAST_RANK)
    change = event.change or Change()
    details = {
        "reason": event.reason,
        "error-code": event.error_code,
        "category": event.category,
        "provider": event.provider,
        "action-execution-id": event.action_execution_id,
        "url": event.external_url,
        "external-id": event.external_id,
        "trigger": event.trigger,
        "revision": change.revision,
        "summary": change.summary,
        "change-url": change.url,
        "author": change.author,
        "branch": change.branch,
    }
    return Sighting(
        pipeline=event.pipeline,
        execution_id=event.execution_id or "",
        subject=subject(event),
        state=event.state.value,
        order=f"{event.attempt:06d}#{rank}#{at.astimezone(UTC).isoformat(timespec='microseconds')}",
        at=at,
        attempt=event.attempt,
        details=tuple((name, value[:1000]) for name, value in details.items() if value),
    )


_START = "start"


def sightings_of(event: ReleaseEvent, now: datetime) -> tuple[Sighting, ...]:
    """All that the ledger is to keep of an event.

    What started a release, and the commit a Git trigger names, stand only in the pipeline's own
    STARTED: they are kept apart, since the end of the run would cover them.
    """
    seen = sighting(event, now)
    if event.level is not Level.PIPELINE or not (event.trigger or event.change):
        return (seen,)
    return (seen, replace(seen, subject=_START))


def is_over(story: Story, event: ReleaseEvent) -> bool:
    """Whether the release has ended in the try that an event belongs to, or in a later one."""
    seen = story.seen("pipeline")
    if seen is None:
        return False
    ended = State(seen.state) not in _RANKS
    return seen.attempt > event.attempt or (seen.attempt == event.attempt and ended)


def failed_actions(event: ReleaseEvent, story: Story) -> tuple[FailedAction, ...]:
    """Every action known to have failed in the try that an event belongs to.

    CodePipeline's word is the fullest; what was seen fills in where it did not answer.
    """
    found: dict[tuple[str | None, str], FailedAction] = {}
    own = (
        (
            FailedAction(
                name=event.action,
                stage=event.stage,
                reason=event.reason,
                url=event.external_url,
                category=event.category,
                provider=event.provider,
                external_id=event.external_id,
                execution_id=event.action_execution_id,
            ),
        )
        if event.level is Level.ACTION and event.action and event.state is State.FAILED
        else ()
    )
    for one in (*(story.failed_actions or ()), *own, *_seen_failures(event, story)):
        key = (one.stage, one.name)
        found[key] = merged(found[key], one) if key in found else one
    for told in event.failed_actions:
        key = (told.stage or event.stage, told.name)
        found[key] = merged(found[key], told) if key in found else replace(told, stage=key[0])
    return tuple(found[key] for key in sorted(found, key=lambda key: (key[0] or "", key[1])))


def _seen_failures(event: ReleaseEvent, story: Story) -> tuple[FailedAction, ...]:
    return tuple(
        FailedAction(
            name=seen.subject.split("/", 2)[2],
            stage=seen.subject.split("/", 2)[1],
            reason=seen.detail("reason"),
            url=seen.detail("url"),
            category=seen.detail("category"),
            provider=seen.detail("provider"),
            external_id=seen.detail("external-id"),
            execution_id=seen.detail("action-execution-id"),
        )
        for seen in story.sightings
        if seen.subject.startswith("action/")
        and seen.state == State.FAILED
        and seen.attempt == event.attempt
    )


def merged(first: FailedAction, second: FailedAction) -> FailedAction:
    """One failed action from two accounts of it; where both speak, the first is believed."""
    return replace(
        first,
        stage=first.stage or second.stage,
        reason=first.reason or second.reason,
        url=first.url or second.url,
        category=first.category or second.category,
        provider=first.provider or second.provider,
        external_id=first.external_id or second.external_id,
        execution_id=first.execution_id or second.execution_id,
        by=first.by or second.by,
    )


def trigger(event: ReleaseEvent, story: Story) -> str | None:
    """What started the release."""
    seen = story.seen(_START)
    return event.trigger or story.trigger or (seen.detail("trigger") if seen else None)


def change(event: ReleaseEvent, story: Story) -> Change | None:
    """The code that travels, from whoever knows it."""
    known = [event.change, story.change]
    for seen in story.sightings:
        if seen.detail("revision") or seen.detail("summary"):
            known.append(
                Change(
                    revision=seen.detail("revision"),
                    summary=seen.detail("summary"),
                    url=seen.detail("change-url"),
                    author=seen.detail("author"),
                    branch=seen.detail("branch"),
                    provider=seen.detail("provider"),
                )
            )
    found = [one for one in known if one is not None]
    if not found:
        return None
    return Change(
        revision=next((one.revision for one in found if one.revision), None),
        summary=next((one.summary for one in found if one.summary), None),
        url=next((one.url for one in found if one.url), None),
        author=next((one.author for one in found if one.author), None),
        branch=next((one.branch for one in found if one.branch), None),
        provider=next((one.provider for one in found if one.provider), None),
    )


_ROLLBACKS = ("ManualRollback", "AutomatedRollback")
_CREATION = "CreatePipeline"


def is_rollback(event: ReleaseEvent, story: Story) -> bool:
    """Whether the execution brings back what was there before: RollbackStage makes one of its own.

    https://docs.aws.amazon.com/codepipeline/latest/userguide/stage-rollback.html
    """
    return story.is_rollback or trigger(event, story) in _ROLLBACKS


def is_creation(event: ReleaseEvent, story: Story) -> bool:
    """Whether it is the run that creating the pipeline starts."""
    return trigger(event, story) == _CREATION


def true_occasion(event: ReleaseEvent, story: Story) -> Occasion:
    """What an event tells in the light of its release.

    Creating a pipeline starts a run that finds nothing in its source: that is no failure.
    """
    told = occasion(event)
    if told not in (Occasion.FAILED, Occasion.REJECTED):
        return told
    failed = failed_actions(event, story)
    if failed and all(one.category == "Approval" for one in failed):
        return Occasion.REJECTED
    is_source = (
        all(one.category == "Source" for one in failed) if failed else event.stage == "Source"
    )
    if is_source and is_creation(event, story):
        return Occasion.WAITING_FOR_UPLOAD
    return Occasion.FAILED


def waits_for_its_stage(event: ReleaseEvent, *, has_waited: bool) -> bool:
    """Whether an event is a failed action whose stage's own failure is still to come."""
    is_failure = event.level is Level.ACTION and event.state is State.FAILED
    return is_failure and not has_waited


def judge(event: ReleaseEvent, story: Story, *, has_waited: bool) -> Verdict:
    """Whether an event is told now, later or never.

    A stage's failure is emitted when its actions have ended, so it is told at once, with all of
    them. An action's failure waits for it; where CodePipeline does not answer and no failed action
    is known, a failure waits for the events that name them. Waiting is done once.
    """
    told = true_occasion(event, story)
    attempt = event.attempt
    match told:
        case Occasion.PROGRESS:
            return Verdict(Step.SKIP, f"{subject(event)} {event.state.lower()}: a step on the way")
        case Occasion.STARTED if event.trigger == _CREATION:
            return Verdict(Step.SKIP, "the pipeline was just created: there may be no source yet")
        case Occasion.STARTED | Occasion.RESUMED:
            if is_over(story, event):
                return Verdict(Step.SKIP, "it is over already: this came late")
            return Verdict(Step.TELL, f"the release {told.value}", f"{told.value}#{attempt}")
        case Occasion.APPROVAL_WANTED:
            seen = story.seen(subject(event))
            if seen is not None and seen.attempt >= attempt and State(seen.state) not in _RANKS:
                return Verdict(Step.SKIP, "it was answered already: this came late")
            if is_over(story, event):
                return Verdict(Step.SKIP, "the release is over already: this came late")
            return Verdict(
                Step.TELL,
                "a person has to decide",
                f"approval#{event.stage}/{event.action}#{attempt}",
            )
        case Occasion.APPROVED:
            return Verdict(
                Step.TELL, "a person decided", f"approved#{event.stage}/{event.action}#{attempt}"
            )
        case Occasion.FAILED | Occasion.REJECTED | Occasion.WAITING_FOR_UPLOAD:
            return _judge_failure(event, story, has_waited=has_waited)
        case _:
            return Verdict(Step.TELL, f"the release was {told.value}", f"{told.value}#{attempt}")


def _judge_failure(event: ReleaseEvent, story: Story, *, has_waited: bool) -> Verdict:
    fact = f"failed#{event.attempt}"
    if has_waited:
        return Verdict(Step.TELL, "waited long enough for what else failed", fact)
    if waits_for_its_stage(event, has_waited=has_waited):
        return Verdict(Step.WAIT, "the stage's own event names every failed action", fact)
    if story.failed_actions is None and not event.failed_actions:
        return Verdict(Step.WAIT, "CodePipeline did not say which actions failed", fact)
    if not failed_actions(event, story):
        # Its list may be behind its events; a rejection would be taken for a failure.
        return Verdict(Step.WAIT, "CodePipeline knows of no failed action yet", fact)
    return Verdict(Step.TELL, "the release failed", fact)


def is_expired(failed: FailedAction) -> bool:
    """Whether a failed approval was answered by nobody.

    CodePipeline says FAILED for a rejection and for a timeout alike
    (https://docs.aws.amazon.com/codepipeline/latest/userguide/detect-state-changes-cloudwatch-events.html);
    a rejection has a person, a timeout has words for it and nobody.
    """
    words = (failed.reason or "").lower()
    return failed.by is None and any(
        mark in words for mark in ("timed out", "timeout", "expired", "time-out")
    )


def names(failed: Sequence[FailedAction]) -> tuple[str, ...]:
    """Failed actions by the names that tell two failures of one action apart."""
    return tuple(
        f"{one.stage or '?'}/{one.name}" + (f"@{one.execution_id}" if one.execution_id else "")
        for one in failed
    )
