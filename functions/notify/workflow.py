"""What becomes of one happening: looked up, judged, told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from notify.compose import approval_notice, release_notice
from notify.config import Config
from notify.deliver import Desk, Sender, Told, deliver
from notify.gather import Gatherer
from notify.happening import ApprovalRequest, Happening, ReleaseEvent
from notify.notice import Notice
from notify.parcel import Parcel
from notify.route import Rule, route
from notify.story import (
    Occasion,
    Step,
    Story,
    Verdict,
    failed_actions,
    judge,
    names,
    occasion,
    sighting,
    true_occasion,
    waits_for_its_stage,
)
from trellis.ledger import FailedRun, about_happening, about_release
from trellis.observability import count, logger


class Queue(Protocol):
    """Where an event goes to come again later."""

    def defer(self, content: Mapping[str, object], seconds: int, reason: str) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Office:
    """All that telling needs."""

    config: Config
    rules: tuple[Rule, ...]
    gatherer: Gatherer
    senders: Sequence[Sender]
    queue: Queue | None
    desk: Desk


def tell(happening: Happening, parcel: Parcel, office: Office) -> None:
    """Tell people what happened, if there is anything to tell.

    Raises DeliveryError where a channel does not have what it should.
    """
    match happening:
        case ReleaseEvent() as event:
            _tell_release(event, parcel, office)
        case ApprovalRequest() as request:
            notice = approval_notice(request)
            about = about_happening(f"{request.pipeline}#{request.stage}#{request.action}")
            _send(notice, Told(about=about, fact=f"approval#{request.token}"), office)


def _tell_release(event: ReleaseEvent, parcel: Parcel, office: Office) -> None:
    has_waited = parcel.is_deferred or office.queue is None
    ledger, now = office.desk.ledger, office.desk.now()
    if event.execution_id is None:
        story = Story()
    else:
        ledger.see(sighting(event, now))
        if occasion(event) is Occasion.PROGRESS:
            return _log(event, judge(event, Story(), has_waited=has_waited))
        if waits_for_its_stage(event, has_waited=has_waited):
            story = Story()
        else:
            seen = ledger.sightings(event.pipeline, event.execution_id)
            story = office.gatherer.story(event, seen)
    verdict = judge(event, story, has_waited=has_waited)
    _log(event, verdict)
    match verdict.step:
        case Step.SKIP:
            return None
        case Step.WAIT:
            return _defer(event, parcel, verdict, office)
        case Step.TELL:
            return _tell_occasion(event, story, verdict, office)


def _defer(event: ReleaseEvent, parcel: Parcel, verdict: Verdict, office: Office) -> None:
    seconds = (
        office.config.lone_action_wait_seconds
        if waits_for_its_stage(event, has_waited=False)
        else office.config.silent_api_wait_seconds
    )
    if office.queue is not None and isinstance(parcel.content, Mapping):
        office.queue.defer(parcel.content, seconds, verdict.reason)
        count("EventsDeferred")


def _tell_occasion(event: ReleaseEvent, story: Story, verdict: Verdict, office: Office) -> None:
    ledger = office.desk.ledger
    told = true_occasion(event, story)
    at = event.origin.at or office.desk.now()
    if told is Occasion.FAILED:
        ledger.add_failed_run(_failed_run(event, story, at))
    recovered_from = (
        len(ledger.failed_runs(event.pipeline, at)) if told is Occasion.SUCCEEDED else 0
    )
    notice = release_notice(event, story, recovered_from)
    about = (
        about_release(event.pipeline, event.execution_id)
        if event.execution_id
        else about_happening(f"{event.pipeline}#{at.astimezone(UTC).isoformat()}")
    )
    failed = failed_actions(event, story) if told in (Occasion.FAILED, Occasion.REJECTED) else ()
    _send(notice, Told(about=about, fact=verdict.fact, names=names(failed)), office)
    if told is Occasion.SUCCEEDED:
        ledger.recover(event.pipeline, at)


def _failed_run(event: ReleaseEvent, story: Story, at: datetime) -> FailedRun:
    failed = failed_actions(event, story)
    return FailedRun(
        pipeline=event.pipeline,
        execution_id=event.execution_id or "",
        stage=event.stage or next((one.stage for one in failed if one.stage), None) or "",
        at=at,
    )


def _send(notice: Notice, told: Told, office: Office) -> None:
    routing = route(notice, office.rules, [sender.channel for sender in office.senders])
    logger.info(
        "composed",
        headline=notice.headline,
        severity=notice.severity.value,
        channels=[channel.value for channel in routing.channels],
        reason=routing.reason,
    )
    wanted = [sender for sender in office.senders if sender.channel in routing.channels]
    deliver(notice, told, wanted, office.desk)


def _log(event: ReleaseEvent, verdict: Verdict) -> None:
    logger.info(
        "judged",
        pipeline=event.pipeline,
        execution=event.execution_id,
        stage=event.stage,
        action=event.action,
        state=event.state.value,
        step=verdict.step.value,
        reason=verdict.reason,
    )
