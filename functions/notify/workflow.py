"""What becomes of one happening: looked up, judged, told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol, runtime_checkable

from notify import pages
from notify.compose import compose
from notify.config import Config
from notify.deliver import DeliveryError, Desk, Sender, Told, deliver
from notify.gather import Gatherer
from notify.happening import (
    AlarmEvent,
    EnvironmentEvent,
    Happening,
    Level,
    Over,
    OwnHappening,
    ReleaseEvent,
    State,
)
from notify.identity import about_environment, identity
from notify.notice import IncidentMove, Notice
from notify.parcel import Parcel
from notify.route import Channel, Rule, route
from notify.story import (
    Occasion,
    Step,
    Story,
    Verdict,
    failed_actions,
    is_rollback,
    judge,
    names,
    occasion,
    sightings_of,
    true_occasion,
    waits_for_its_stage,
)
from trellis.ledger import (
    Bake,
    FailedRun,
    Ledger,
    Sighting,
    about_happening,
    about_release,
)
from trellis.observability import count, logger

_MOST_REDRAWS = 3
_BAD, _WELL, _OVER = "bad", "well", "over"
"""When it was bad, when that it was well had been told, and when it was well, told or not."""


class Queue(Protocol):
    """Where an event goes to come again later."""

    def defer(self, content: Mapping[str, object], seconds: int, reason: str) -> None: ...


@runtime_checkable
class Board(Protocol):
    """A channel that keeps one message per release."""

    def show(self, about: str, card: Notice) -> bool:
        """Bring a release's message up to date; False where it has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Office:
    """All that telling needs."""

    config: Config
    rules: tuple[Rule, ...]
    gatherer: Gatherer
    senders: Sequence[Sender]
    desk: Desk
    queue: Queue | None = None
    problem: Exception | None = None
    """Why channels are not there though they should be."""
    absent: frozenset[Channel] = frozenset(Channel) - {Channel.EMAIL}
    """Which ones, where there is a problem; all beside e-mail where nobody can tell."""

    @property
    def missing(self) -> frozenset[Channel]:
        """Channels that people count on and that are not there: what they should get waits."""
        return frozenset() if self.problem is None else self.absent

    @property
    def has_pages(self) -> bool:
        """Whether there is a pager, or should be one: then it matters what opens and ends."""
        return self.has(Channel.PAGERDUTY) or Channel.PAGERDUTY in self.missing

    @property
    def board(self) -> Board | None:
        return next((sender for sender in self.senders if isinstance(sender, Board)), None)

    def has(self, channel: Channel) -> bool:
        return any(sender.channel is channel for sender in self.senders)


def tell(happening: Happening, parcel: Parcel, office: Office) -> None:
    """Tell people what happened, if there is anything to tell.

    Raises DeliveryError where a channel does not have what it should, LedgerError where the
    ledger does not answer.
    """
    match happening:
        case ReleaseEvent() as event:
            _tell_release(event, parcel, office)
        case OwnHappening() as own:
            release = _remembered(own, office)
            about, fact = identity(own)
            told = Told(about=about, fact=fact, card=_card(release, office) if release else None)
            _send_page(compose(own), told, own.event.at, office)
            if release:
                _show(release, office)
        case AlarmEvent() | EnvironmentEvent() as condition:
            _tell_condition(condition, office)
        case other:
            about, fact = identity(other)
            _send(compose(other), Told(about=about, fact=fact), office)


def _tell_condition(event: AlarmEvent | EnvironmentEvent, office: Office) -> None:
    """Tell how an alarm, or an environment's health, is now.

    What was told to be bad is told to be well again, whatever lay in between: a deployment takes
    an environment from Severe to Info and then to Ok. What was bad and is heard of after its end,
    or has not reached a channel until then, is told to be over: the last word stays the true one.
    """
    ledger = office.desk.ledger
    at = event.origin.at or office.desk.now()
    about, fact = identity(event)
    if event.is_bad:
        ledger.mark(about, _BAD, at)
    if event.is_well:
        ledger.mark(about, _OVER, at)
    over = _over(about, at, ledger) if event.is_bad else None
    is_recovery = event.is_well and (event.was_bad or _was_told_bad(about, at, ledger))
    is_silent = isinstance(event, AlarmEvent) and event.is_silent and _was_not_well(event, ledger)
    notice = compose(event, is_recovery=is_recovery, over=over, is_silent=is_silent)
    told = Told(about=about, fact=fact)
    _send_page(notice, told, at, office, is_late=over is not None)
    if event.is_well:
        ledger.mark(about, _WELL, at)


def _was_not_well(alarm: AlarmEvent, ledger: Ledger) -> bool:
    """Whether the last word of an alarm's environment is that it is not well, or has no data."""
    about = about_environment(alarm.environment)
    bad, over = ledger.marked(about, _BAD), ledger.marked(about, _OVER)
    return bad is not None and (over is None or over < bad)


def _over(about: str, at: datetime, ledger: Ledger) -> Over | None:
    """Since when what was bad at a time is over, if it is."""
    over, bad = ledger.marked(about, _OVER), ledger.marked(about, _BAD)
    if over is None or over <= at:
        return None
    return Over(over, is_bad_again=bad is not None and bad > over)


def _was_told_bad(about: str, at: datetime, ledger: Ledger) -> bool:
    """Whether the last thing told of it before a time was bad."""
    bad = ledger.marked(about, _BAD)
    if bad is None or bad >= at:
        return False
    well = ledger.marked(about, _WELL)
    return well is None or well < bad


def _tell_release(event: ReleaseEvent, parcel: Parcel, office: Office) -> None:
    has_waited = parcel.is_deferred or office.queue is None
    ledger = office.desk.ledger
    if event.execution_id is not None:
        for seen in sightings_of(event, office.desk.now()):
            ledger.see(seen)
    if occasion(event) is Occasion.PROGRESS or waits_for_its_stage(event, has_waited=has_waited):
        story = Story()
    elif event.execution_id is None:
        story = office.gatherer.story(event, ())
    else:
        known = ledger.sightings(event.pipeline, event.execution_id)
        bakes = (
            ledger.bakes(event.pipeline, event.execution_id)
            if occasion(event) is Occasion.APPROVAL_WANTED
            else ()
        )
        story = _with_revisions(office.gatherer.story(event, known, bakes), ledger)
    minutes = office.config.approval_timeout_minutes
    if minutes and event.origin.at and occasion(event) is Occasion.APPROVAL_WANTED:
        story = replace(story, answer_before=event.origin.at + timedelta(minutes=minutes))
    verdict = judge(event, story, has_waited=has_waited)
    _log(event, verdict)
    match verdict.step:
        case Step.SKIP:
            _end_pages(event, office)
        case Step.WAIT:
            _defer(event, parcel, verdict, office)
        case Step.TELL:
            _tell_occasion(event, story, verdict, office)
    _show(event, office)


def _with_revisions(story: Story, ledger: Ledger) -> Story:
    """What the environments run by the names of its code: a label says nothing to people."""
    running = tuple(
        replace(one, revision=ledger.revisions(one.environment).get(one.version_label or ""))
        for one in story.running
    )
    return replace(story, running=running)


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
    is_through = told is Occasion.SUCCEEDED and not is_rollback(event, story)
    recovered_from = len(ledger.failed_runs(event.pipeline, at)) if is_through else 0
    notice = compose(event, story, recovered_from)
    if is_through and office.has_pages:
        pages.end(notice.incident_keys, at, ledger)
        notice = pages.ending(notice, pages.open_at(event.pipeline, None, at, ledger))
    failed = failed_actions(event, story) if told in (Occasion.FAILED, Occasion.REJECTED) else ()
    about = (
        about_release(event.pipeline, event.execution_id)
        if event.execution_id
        else about_happening(f"{event.pipeline}#{at.isoformat()}")
    )
    _send_page(
        notice,
        Told(
            about=about,
            fact=verdict.fact,
            names=names(failed),
            card=_card(event, office),
            is_begin=told is Occasion.STARTED,
        ),
        at,
        office,
    )
    if is_through:
        ledger.recover(event.pipeline, at)


def _end_pages(event: ReleaseEvent, office: Office) -> None:
    """End the pages of a stage that works again."""
    is_mended = event.level is Level.STAGE and event.state is State.SUCCEEDED
    if not is_mended or event.stage is None or not office.has_pages:
        return
    ledger = office.desk.ledger
    at = event.origin.at or office.desk.now()
    notice = compose(event)
    pages.end(notice.incident_keys, at, ledger)
    if ended := pages.open_at(event.pipeline, event.stage, at, ledger):
        about = about_release(event.pipeline, event.execution_id or "")
        told = Told(about=about, fact=f"mended#{event.stage}#{event.attempt}")
        _send_page(pages.ending(notice, ended), told, at, office)


def _failed_run(event: ReleaseEvent, story: Story, at: datetime) -> FailedRun:
    failed = failed_actions(event, story)
    return FailedRun(
        pipeline=event.pipeline,
        execution_id=event.execution_id or "",
        stage=event.stage or next((one.stage for one in failed if one.stage), None) or "",
        at=at,
    )


def _remembered(own: OwnHappening, office: Office) -> ReleaseEvent | None:
    """Keep what an event of ours says about a release, and name the release."""
    from trellis.events import BakeStateChange, RollbackState, TaggingAuditCompleted

    event, ledger = own.event, office.desk.ledger
    if isinstance(event, TaggingAuditCompleted) or not event.execution_id:
        return None
    if isinstance(event, BakeStateChange):
        ledger.set_bake(
            Bake(
                pipeline=event.pipeline,
                execution_id=event.execution_id,
                environment=event.environment,
                state=event.state.value,
                reason=event.reason,
                at=event.at,
                until=event.until,
                health=event.health,
            )
        )
    elif event.state is not RollbackState.REFUSED or not event.is_ordered:
        # A refused order changes nothing in what became of the release.
        ledger.see(
            Sighting(
                pipeline=event.pipeline,
                execution_id=event.execution_id,
                subject=f"rollback/{event.stage}",
                state=event.state.value,
                order=f"{event.at.isoformat(timespec='microseconds')}#{event.state.is_end:d}",
                at=event.at,
                details=(
                    ("reason", event.reason[:1000]),
                    *([("ordered-version", ordered)] if (ordered := event.ordered_version) else []),
                ),
            )
        )
    return ReleaseEvent(
        origin=own.origin,
        level=Level.PIPELINE,
        pipeline=event.pipeline,
        state=State.STARTED,
        execution_id=event.execution_id,
    )


def _card(event: ReleaseEvent, office: Office) -> Notice | None:
    """Where a release is now, for a channel that keeps one message of it."""
    if office.board is None or event.execution_id is None:
        return None
    from notify.compose.card import card

    return card(event, office.desk.ledger.sightings(event.pipeline, event.execution_id))


def _show(event: ReleaseEvent, office: Office) -> None:
    """Bring the release's one message up to date.

    Two workers may do so at once: whoever wrote looks again whether more was seen meanwhile, so
    that the newest state is what stays. A step that could not be shown is shown by the next one;
    what matters is told in the thread too.
    """
    board = office.board
    if board is None or event.execution_id is None:
        return
    about = about_release(event.pipeline, event.execution_id)
    shown: Notice | None = None
    try:
        for _ in range(_MOST_REDRAWS):
            card = _card(event, office)
            if card is None or card == shown or not board.show(about, card):
                return
            shown = card
    except DeliveryError as err:
        logger.warning("the release's message was not brought up to date", reason=str(err))
        count("CardsNotShown")


def _send_page(
    notice: Notice, told: Told, at: datetime, office: Office, *, is_late: bool = False
) -> None:
    """Send a notice that may open or end pages, so that no page outlives what it is about.

    A late one tells of what is over.
    """
    ledger = office.desk.ledger
    match notice.incident if office.has_pages else None:
        case IncidentMove.OPEN:
            pages.begin(notice, at, ledger)
            is_late = is_late or pages.is_over(notice, at, ledger)
            _send(_without_page(notice) if is_late else notice, told, office)
            # Its end may have been sent while it was on its way itself.
            if pages.is_over(notice, at, ledger):
                over = replace(notice, incident=IncidentMove.CLOSE)
                pagers = [one for one in office.senders if one.channel is Channel.PAGERDUTY]
                deliver(over, replace(told, fact=f"{told.fact}#over"), pagers, office.desk)
                pages.forget(over, at, ledger)
        case IncidentMove.CLOSE:
            is_owed = office.has(Channel.PAGERDUTY) or pages.may_be_open(notice, at, ledger)
            pages.end(notice.incident_keys, at, ledger)
            # Without the pager only what it surely has to hear waits for it.
            ended = pages.still_ended(notice, at, ledger) if is_owed else _without_page(notice)
            _send(ended, told, office)
            pages.forget(ended, at, ledger)
        case None:
            _send(_without_page(notice) if is_late else notice, told, office)


def _without_page(notice: Notice) -> Notice:
    return replace(notice, incident=None)


def _send(notice: Notice, told: Told, office: Office) -> None:
    """Send a notice to every channel that should have it.

    Raises DeliveryError where one of them is not there, after the others have it: so it comes
    again, and in the end is among the dead letters, whose alarm people see.
    """
    there = [sender.channel for sender in office.senders]
    routing = route(notice, office.rules, [*there, *office.missing])
    logger.info(
        "composed",
        headline=notice.headline,
        severity=notice.severity.value,
        channels=[channel.value for channel in routing.channels],
        reason=routing.reason,
    )
    wanted = [sender for sender in office.senders if sender.channel in routing.channels]
    deliver(notice, told, wanted, office.desk)
    if lacking := [channel for channel in routing.channels if channel not in there]:
        names = ", ".join(channel.value for channel in lacking)
        raise DeliveryError(f"not set up, and should hear of it: {names}. {office.problem}")


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
