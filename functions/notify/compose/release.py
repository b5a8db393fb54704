"""Releases: pipeline executions, their stages and their actions."""

from __future__ import annotations

from collections.abc import Sequence

from notify import links
from notify.compose.approval import waits
from notify.compose.change import in_one_line, short
from notify.compose.gist import gist
from notify.compose.mend import mend
from notify.compose.parts import in_region, person, place, rollback_key, shown, stage_key, tier_of
from notify.happening import Change, FailedAction, Health, Level, ReleaseEvent, State
from notify.mask import mask
from notify.notice import Fact, IncidentMove, Link, Notice, Severity, Stop
from notify.story import (
    Approval,
    Occasion,
    Running,
    Story,
    change,
    failed_actions,
    is_expired,
    is_rollback,
    true_occasion,
)
from notify.wording import clean, counted, cut, listed, moment, one_line
from trellis.ledger import Bake, Sighting

_SEVERITIES = {
    Occasion.STARTED: Severity.INFO,
    Occasion.RESUMED: Severity.INFO,
    Occasion.WAITING_FOR_UPLOAD: Severity.ACTION,
    Occasion.FAILED: Severity.ERROR,
    Occasion.REJECTED: Severity.WARNING,
    Occasion.APPROVAL_WANTED: Severity.ACTION,
    Occasion.APPROVED: Severity.INFO,
    Occasion.STOPPED: Severity.WARNING,
    Occasion.CANCELED: Severity.WARNING,
    Occasion.SUPERSEDED: Severity.INFO,
    Occasion.SUCCEEDED: Severity.SUCCESS,
    Occasion.PROGRESS: Severity.PROGRESS,
}
_UNNAMED = {Level.PIPELINE: "A release", Level.STAGE: "A stage", Level.ACTION: "An action"}
_FAILURES = (Occasion.FAILED, Occasion.REJECTED, Occasion.WAITING_FOR_UPLOAD)
_LONGEST_LOG_LINE = 500
_LONGEST_NAME = 100


def release_notice(event: ReleaseEvent, story: Story, recovered_from: int = 0) -> Notice:
    """The notice of a release event in the light of its release.

    `recovered_from` is the number of failed runs that a success makes good.
    """
    told = true_occasion(event, story)
    undoes = is_rollback(event, story)
    failed = failed_actions(event, story)
    stage = event.stage or next((one.stage for one in failed if one.stage), None)
    action = event.action or (failed[0].name if len(failed) == 1 else None)
    travelling = change(event, story)
    reason = _reason(event, failed)
    logged = next((one for one in failed if one.log_tail), None)
    return Notice(
        severity=_severity(told, story, undoes=undoes),
        state=_state(told, event, failed),
        headline=(_rollback_headline(told, event, stage, travelling) if undoes else None)
        or _headline(told, event, story, stage, travelling, failed, reason, recovered_from),
        facts=tuple(
            _what(told, event, stage, action, failed, reason, story)
            + _code(event, story, travelling)
            + _more(told, event, story, failed, recovered_from)
            + place(event.origin)
        ),
        links=_links(told, event, failed, travelling, story),
        next_steps=_next_steps(told, stage, failed, reason),
        log_tail=(
            tuple(mask(cut(clean(line), _LONGEST_LOG_LINE)) for line in logged.log_tail)
            if logged
            else ()
        ),
        log_source=logged.name if logged else None,
        pipeline=event.pipeline,
        stage=stage,
        action=action,
        execution_id=event.execution_id,
        region=event.origin.region,
        account=event.origin.account,
        at=event.origin.at,
        failure_reason=reason if told in _FAILURES else None,
        tier=tier_of(stage),
        incident=IncidentMove.OPEN if told is Occasion.FAILED else None,
        incident_keys=_incident_keys(event, stage),
        track=track(story),
    )


def _incident_keys(event: ReleaseEvent, stage: str | None) -> tuple[str, ...]:
    """A stage's failure has one incident; its success ends that, and a failed rollback's too."""
    own = stage_key(event.origin, event.pipeline, stage)
    if event.state is not State.SUCCEEDED:
        return (own,)
    return (own, rollback_key(event.origin, event.pipeline, stage))


def track(story: Story) -> tuple[Stop, ...]:
    """The stages that were seen, in the order in which the release came through them."""
    stages = [seen for seen in story.sightings if seen.subject.startswith("stage/")]
    return tuple(
        Stop(seen.subject.removeprefix("stage/"), seen.state)
        for seen in sorted(stages, key=lambda seen: seen.at)
    )


def _severity(told: Occasion, story: Story, *, undoes: bool) -> Severity:
    """A rollback that goes well is told by who made it; its execution is a milestone at most.

    A release that arrived and is ill where it runs is no success to whoever reads the subject.
    """
    if undoes and told is Occasion.SUCCEEDED:
        return Severity.INFO
    if told is Occasion.SUCCEEDED and _ill(story):
        return Severity.WARNING
    return _SEVERITIES[told]


def _ill(story: Story) -> str | None:
    """Which environments are ill now, and how; None where none is known to be."""
    ill = [one for one in story.running if one.health in (Health.DEGRADED, Health.SEVERE)]
    return listed([f"{one.environment} is {one.health}" for one in ill]) if ill else None


def _rollback_headline(
    told: Occasion, event: ReleaseEvent, stage: str | None, travelling: Change | None
) -> str | None:
    where = in_region(event.pipeline, event.origin.region)
    before = short(travelling) or "what ran before"
    match told:
        case Occasion.STARTED:
            return f"Going back: {before} is being put back in {where}"
        case Occasion.SUCCEEDED:
            return f"Gone back: {before} is live again in {where}"
        case Occasion.FAILED:
            return f"Going back failed in {stage or 'a stage'} of {where}"
        case _:
            return None


def _state(told: Occasion, event: ReleaseEvent, failed: Sequence[FailedAction]) -> str:
    match told:
        case Occasion.REJECTED if failed and all(is_expired(one) for one in failed):
            return "EXPIRED"
        case Occasion.REJECTED | Occasion.APPROVED | Occasion.APPROVAL_WANTED:
            return told.name
        case Occasion.WAITING_FOR_UPLOAD:
            return "WAITING"
        case _:
            return event.state.value


def _headline(
    told: Occasion,
    event: ReleaseEvent,
    story: Story,
    stage: str | None,
    travelling: Change | None,
    failed: Sequence[FailedAction],
    reason: str | None,
    recovered_from: int,
) -> str:
    where = in_region(event.pipeline, event.origin.region)
    known = short(travelling)
    release = known or "the release"
    match told:
        case Occasion.FAILED:
            many = listed([one.name for one in failed]) if len(failed) > 1 else None
            what = many or gist(reason)
            return f"{stage or 'A release'} failed in {where}" + (f": {what}" if what else "")
        case Occasion.REJECTED if failed and all(is_expired(one) for one in failed):
            return f"Nobody answered in time: {release} goes no further in {where}"
        case Occasion.REJECTED:
            by = person(failed[0].by) if failed else None
            return f"Rejected{f' by {by}' if by else ''}: {release} goes no further in {where}"
        case Occasion.WAITING_FOR_UPLOAD:
            return f"{where} is ready and waiting for the first upload"
        case Occasion.APPROVAL_WANTED:
            return waits(event.pipeline, stage, event.origin.region)
        case Occasion.APPROVED:
            return f"Approved: {release} goes on in {where}"
        case Occasion.SUCCEEDED:
            after = counted(recovered_from, "failure")
            recovered = f", recovered after {after}" if recovered_from else ""
            but = f", but {ill}" if (ill := _ill(story)) else ""
            return f"Released{recovered}{but}: {known or 'a new version'} is live in {where}"
        case Occasion.STARTED:
            return f"Started: {release} is on its way in {where}"
        case Occasion.RESUMED:
            return f"Retried: {release} goes on in {where}"
        case Occasion.STOPPED:
            return f"Stopped: {release} goes no further in {where}"
        case Occasion.CANCELED:
            return f"Canceled: {release} goes no further in {where}"
        case Occasion.SUPERSEDED:
            whom = f" from {known}" if known else ""
            return f"Superseded: a newer release took over{whom} in {where}"
        case Occasion.PROGRESS:
            inside = f" in {event.stage}" if event.action and event.action != event.stage else ""
            what = event.action or event.stage or _UNNAMED[event.level]
            is_doing = event.state is State.STOPPING
            return f"{what}{inside} {'is ' if is_doing else ''}{event.state.lower()}: {where}"


def _reason(event: ReleaseEvent, failed: Sequence[FailedAction]) -> str | None:
    if not any(one.reason for one in failed):
        code = f"CodePipeline says {event.error_code}" if event.error_code else None
        return shown(event.reason or code)
    if len(failed) == 1:
        return shown(failed[0].reason)
    return "\n".join(f"{one.name}: {shown(one.reason) or 'it gave no reason'}" for one in failed)


def _what(
    told: Occasion,
    event: ReleaseEvent,
    stage: str | None,
    action: str | None,
    failed: Sequence[FailedAction],
    reason: str | None,
    story: Story,
) -> list[Fact]:
    facts = [Fact("Pipeline", event.pipeline)]
    if stage:
        facts.append(Fact("Stage", stage))
    if len(failed) > 1:
        facts.append(Fact("Actions", listed([one.name for one in failed])))
    elif action:
        elsewhere = event.action_region if event.action_region != event.origin.region else None
        facts.append(Fact("Action", in_region(action, elsewhere)))
    if told in (Occasion.APPROVED, Occasion.REJECTED):
        facts += _answer(event, failed, reason, story)
    elif reason:
        facts.append(Fact("Reason", reason))
    return facts


def _answer(
    event: ReleaseEvent, failed: Sequence[FailedAction], reason: str | None, story: Story
) -> list[Fact]:
    """Who approved or rejected, and what they said."""
    answered = story.approval or Approval()
    who = person(next((one.by for one in failed if one.by), answered.by))
    words = reason or shown(event.reason) or shown(answered.words)
    facts = [Fact("Answered by", who)] if who else []
    if words:
        facts.append(Fact("In their words" if who else "Reason", words))
    return facts


def _code(event: ReleaseEvent, story: Story, travelling: Change | None) -> list[Fact]:
    facts = []
    if travelling is not None and (said := in_one_line(travelling)):
        facts.append(Fact("Commit", said))
    if event.trigger:
        facts.append(Fact("Started by", _started_by(event)))
    elif is_rollback(event, story):
        facts.append(Fact("Started by", "a rollback"))
    return facts


def _more(
    told: Occasion,
    event: ReleaseEvent,
    story: Story,
    failed: Sequence[FailedAction],
    recovered_from: int,
) -> list[Fact]:
    facts = []
    if told is Occasion.APPROVAL_WANTED:
        asked = shown(story.approval.asks) if story.approval else None
        facts += [Fact("Please look at", asked)] if asked else []
        if story.answer_before:
            facts.append(Fact("Answer before", moment(story.answer_before)))
        facts += [Fact(f"Watch of {bake.environment}", _watch(bake)) for bake in story.bakes]
    for one in failed:
        name = "" if len(failed) == 1 else f" of {one.name}"
        if one.phase:
            facts.append(Fact(f"Failed phase{name}", one.phase))
        if one.evidence:
            said = "\n".join(shown(line) or "" for line in one.evidence)
            facts.append(Fact(f"What {one.environment or 'the environment'} says", said))
    if story.running:
        facts.append(Fact("Running now", "\n".join(_running(story, change(event, story)))))
    if undone := next((s for s in story.sightings if s.subject.startswith("rollback/")), None):
        facts.append(Fact("Rollback", _undone(undone)))
    if recovered_from:
        facts.append(Fact("Recovered from", counted(recovered_from, "failed run")))
    if took := _took(told, event):
        facts.append(Fact("Took", took))
    if event.attempt > 1:
        facts.append(Fact("Attempt", str(event.attempt)))
    return facts


def _took(told: Occasion, event: ReleaseEvent) -> str | None:
    """How long a whole release was on its way."""
    if told is not Occasion.SUCCEEDED or event.began is None or event.origin.at is None:
        return None
    minutes = round((event.origin.at - event.began).total_seconds() / 60)
    if minutes < 1:
        return "less than a minute" if minutes == 0 else None
    hours, rest = divmod(minutes, 60)
    if not hours:
        return counted(minutes, "minute")
    return counted(hours, "hour") + (f" and {counted(rest, 'minute')}" if rest else "")


_ROLLBACKS = {
    "STARTED": "under way: {what} is being put back",
    "SUCCEEDED": "done: {what} runs again",
    "FAILED": "failed: a person is needed",
    "REFUSED": "not done: a person is needed",
    "HELD": "held: the release is marked not safe to undo",
    "AWAITING_APPROVAL": "waits for a yes",
}


def _undone(seen: Sighting) -> str:
    is_named = seen.detail("ordered-version") is not None
    what = "the ordered version" if is_named else "the last good version"
    return _ROLLBACKS.get(seen.state, seen.state.lower()).format(what=what)


def _watch(bake: Bake) -> str:
    said = bake.reason if bake.state == "WATCHING" else f"{bake.state.lower()}: {bake.reason}"
    return shown(said) or bake.state.lower()


def _running(story: Story, travelling: Change | None) -> list[str]:
    return [
        f"{one.environment}: {_version(one, travelling)}"
        + (f" ({one.health})" if one.health else "")
        for one in story.running
    ]


def _version(running: Running, travelling: Change | None) -> str:
    """What an environment runs: by its code where that is known, else by its label."""
    if running.revision is None:
        return one_line(running.version_label or "no version")
    if travelling is not None and running.revision == travelling.revision:
        return "this release"
    provider = travelling.provider if travelling else None
    return short(Change(revision=running.revision, provider=provider)) or "another release"


def _started_by(event: ReleaseEvent) -> str:
    detail = cut(one_line(event.trigger_detail or ""), _LONGEST_NAME)
    match event.trigger:
        case "CreatePipeline":
            return "the creation of the pipeline"
        case "CloudWatchEvent":
            return "an upload of new source"
        case "StartPipelineExecution":
            return person(detail) or "hand"
        case "ManualRollback":
            return "a rollback by hand"
        case "AutomatedRollback":
            return "an automated rollback"
        case _:
            return f"{event.trigger} ({detail})" if detail else str(event.trigger)


def _links(
    told: Occasion,
    event: ReleaseEvent,
    failed: Sequence[FailedAction],
    travelling: Change | None,
    story: Story,
) -> tuple[Link, ...]:
    found: list[Link] = []
    region = event.origin.region
    is_asked = told is Occasion.APPROVAL_WANTED
    if region and (is_asked or not event.execution_id):
        # The console reviews an approval from the pipeline's own page:
        # https://docs.aws.amazon.com/codepipeline/latest/userguide/approvals-approve-or-reject.html
        label = "Approve or reject" if is_asked else "The pipeline"
        found.append(Link("pipeline", label, links.pipeline(region, event.pipeline)))
    if region and event.execution_id:
        url = links.execution(region, event.pipeline, event.execution_id)
        found.append(Link("execution", "The release in CodePipeline", url))
    wanted: list[tuple[str, str, str | None]] = [
        ("external", _external(event.action, event.provider), event.external_url),
        *(("external", _external(one.name, one.provider), one.url) for one in failed),
        *(("log", f"The log of {one.name}", one.log_url) for one in failed),
        ("review", "What to review", story.approval.url if story.approval else None),
        ("commit", "The change itself", _change_url(travelling)),
    ]
    for key, text, address in wanted:
        if address and all(address != link.url for link in found):
            number = 1 + sum(link.key.split(" ")[0] == key for link in found)
            found.append(Link(key if number == 1 else f"{key} {number}", text, address))
    return tuple(found)


def _change_url(travelling: Change | None) -> str | None:
    """Where the change can be seen; for an object of S3, AWS links to no more than S3 itself."""
    if travelling is None or travelling.url is None or travelling.url.endswith("#"):
        return None
    return travelling.url


def _external(action: str | None, provider: str | None) -> str:
    return f"{action or 'The action'} in {provider}" if provider else f"{action or 'The action'}"


def _next_steps(
    told: Occasion, stage: str | None, failed: Sequence[FailedAction], reason: str | None
) -> tuple[str, ...]:
    match told:
        case Occasion.WAITING_FOR_UPLOAD:
            return ("Upload the first source bundle: the upload starts the first release.",)
        case Occasion.FAILED:
            return _after_failure(stage, failed, reason)
        case Occasion.REJECTED if failed and all(is_expired(one) for one in failed):
            return (f"If it is still wanted, retry {stage or 'the stage'} and answer in time.",)
        case Occasion.REJECTED:
            return ("Mend what was found and release a new version.",)
        case Occasion.APPROVAL_WANTED:
            return (f"Look at what {stage or 'it'} deployed, then approve or reject the release.",)
        case Occasion.STOPPED:
            return ("Start a new release, or retry the stopped stage, when it may go on.",)
        case Occasion.CANCELED:
            return ("Start a new release if this one is still wanted.",)
        case _:
            return ()


def _after_failure(
    stage: str | None, failed: Sequence[FailedAction], reason: str | None
) -> tuple[str, ...]:
    where = stage or "the stage"
    evidence = [line for one in failed for line in one.evidence]
    if known := mend(reason, *evidence):
        return (known,)
    if any(one.category in ("Build", "Test") for one in failed):
        return (
            "Read the end of the log, mend the code and release a new version.",
            f"If the cause has passed by itself, retry {where} in CodePipeline.",
        )
    return (
        "Open the failed action and read what it says.",
        f"Once the cause is mended, retry {where} in CodePipeline or release a new version.",
    )
