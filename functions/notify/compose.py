"""From what happened, and what is known of it, to a notice a person can act on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

from notify import links
from notify.happening import ApprovalRequest, Change, FailedAction, ReleaseEvent
from notify.mask import mask
from notify.notice import Fact, IncidentMove, Link, Notice, Severity, Tier
from notify.story import Occasion, Story, change, failed_actions, true_occasion
from notify.wording import clean, counted, cut, listed, moment, one_line

LONGEST_REASON = 4000
_LONGEST_SUMMARY = 200

_TIERS = {
    "dev": Tier.DEV,
    "development": Tier.DEV,
    "test": Tier.TEST,
    "testing": Tier.TEST,
    "staging": Tier.TEST,
    "prod": Tier.PROD,
    "production": Tier.PROD,
}
_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")

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


def tier_of(name: str | None) -> Tier | None:
    """The environment that a stage or an environment is named after: `DeployToProd` is prod."""
    for word in _WORDS.findall(name or ""):
        if word.lower() in _TIERS:
            return _TIERS[word.lower()]
    return None


def release_notice(event: ReleaseEvent, story: Story, recovered_from: int = 0) -> Notice:
    """The notice of a release event in the light of its release.

    `recovered_from` is the number of failed runs that a success makes good.
    """
    told = true_occasion(event, story)
    failed = failed_actions(event, story)
    stage = event.stage or next((one.stage for one in failed if one.stage), None)
    action = event.action or (failed[0].name if len(failed) == 1 else None)
    travelling = change(event, story)
    reason = _reason(event, failed)
    is_failure = told in (Occasion.FAILED, Occasion.REJECTED, Occasion.WAITING_FOR_UPLOAD)
    return Notice(
        severity=_SEVERITIES[told],
        state=_state(told, event),
        headline=_headline(told, event, stage, travelling, failed, recovered_from),
        facts=_facts(told, event, stage, action, failed, reason, travelling, recovered_from),
        links=_links(event, failed, travelling),
        next_steps=_next_steps(told, event, stage, failed),
        pipeline=event.pipeline,
        stage=stage,
        action=action,
        execution_id=event.execution_id,
        region=event.origin.region,
        account=event.origin.account,
        at=event.origin.at,
        failure_reason=reason if is_failure else None,
        tier=tier_of(stage),
        incident=_incident(told),
    )


def approval_notice(request: ApprovalRequest) -> Notice:
    """The notice of an approval request that came over the approval's own topic."""
    region = request.origin.region
    facts = [Fact("Pipeline", request.pipeline)]
    if request.stage:
        facts.append(Fact("Stage", request.stage))
    if request.action:
        facts.append(Fact("Action", request.action))
    if request.message:
        facts.append(Fact("Please look at", mask(clean(request.message))))
    if request.expires:
        facts.append(Fact("Answer before", moment(request.expires)))
    if region:
        facts.append(Fact("Region", region))
    shown = [
        Link("review", "Approve or reject", request.review_url) if request.review_url else None,
        Link("external", "What to review", request.external_url) if request.external_url else None,
        Link("pipeline", "The pipeline", request.console_url) if request.console_url else None,
    ]
    if region and not request.console_url:
        shown.append(Link("pipeline", "The pipeline", links.pipeline(region, request.pipeline)))
    return Notice(
        severity=Severity.ACTION,
        state="APPROVAL_WANTED",
        headline=_waits(request.pipeline, request.stage, region),
        facts=tuple(facts),
        links=tuple(link for link in shown if link),
        next_steps=("Review the release, then approve or reject it.",),
        pipeline=request.pipeline,
        stage=request.stage,
        action=request.action,
        region=region,
        tier=tier_of(request.stage),
    )


def _state(told: Occasion, event: ReleaseEvent) -> str:
    match told:
        case Occasion.REJECTED | Occasion.APPROVED | Occasion.APPROVAL_WANTED:
            return told.name
        case Occasion.WAITING_FOR_UPLOAD:
            return "WAITING"
        case _:
            return event.state.value


def _where(event: ReleaseEvent) -> str:
    region = f" ({event.origin.region})" if event.origin.region else ""
    return f"{event.pipeline}{region}"


def _waits(pipeline: str, stage: str | None, region: str | None) -> str:
    where = f" ({region})" if region else ""
    at = f" after {stage}" if stage else ""
    return f"Your approval is needed: {pipeline} waits{at}{where}"


def _headline(
    told: Occasion,
    event: ReleaseEvent,
    stage: str | None,
    travelling: Change | None,
    failed: Sequence[FailedAction],
    recovered_from: int,
) -> str:
    where, release = _where(event), short(travelling) or "the release"
    match told:
        case Occasion.FAILED:
            names = [one.name for one in failed]
            what = f": {listed(names)}" if names and names != [stage] else ""
            return f"{stage or 'A release'} failed in {where}{what}"
        case Occasion.REJECTED:
            who = f" by {_person(failed[0].by)}" if failed and _person(failed[0].by) else ""
            return f"Not approved{who}: {release} goes no further in {where}"
        case Occasion.WAITING_FOR_UPLOAD:
            return f"{where} is ready and waiting for the first upload"
        case Occasion.APPROVAL_WANTED:
            return _waits(event.pipeline, stage, event.origin.region)
        case Occasion.APPROVED:
            return f"Approved: {release} goes on in {where}"
        case Occasion.SUCCEEDED:
            recovered = (
                f", recovered after {counted(recovered_from, 'failure')}" if recovered_from else ""
            )
            return f"Released: {release} went all the way in {where}{recovered}"
        case Occasion.STARTED:
            return f"Started: {release} is on its way in {where}"
        case Occasion.RESUMED:
            return f"Retried: {release} goes on in {where}"
        case Occasion.STOPPED:
            return f"Stopped: {release} goes no further in {where}"
        case Occasion.CANCELED:
            return f"Canceled: {release} goes no further in {where}"
        case Occasion.SUPERSEDED:
            return f"Superseded: a newer release overtook {release} in {where}"
        case Occasion.PROGRESS:
            what = event.action or event.stage or "the pipeline"
            inside = f" of {event.stage}" if event.action and event.action != event.stage else ""
            return f"{what}{inside} {event.state.value.lower()} in {where}"


def _person(arn: str | None) -> str | None:
    """Who an ARN stands for, as people know them: the last part of it."""
    return arn.rsplit("/", 1)[-1].rsplit(":", 1)[-1] if arn else None


_DEFAULT_S3_SUMMARY = re.compile(r"^Amazon S3 version id: ", re.IGNORECASE)
_COMMIT = re.compile(r"^[0-9a-f]{7,64}$")


def short(travelling: Change | None) -> str | None:
    """The code that travels, in the few words a headline has room for."""
    if travelling is None or not travelling.revision:
        return None
    if not _is_s3(travelling):
        is_hash = _COMMIT.match(travelling.revision)
        return travelling.revision[:7] if is_hash else cut(travelling.revision, 20)
    summary = _summary(travelling)
    first = summary.split(" ", 1)[0] if summary else ""
    return first[:7] if _COMMIT.match(first) else f"S3 version {cut(travelling.revision, 12)}"


def _is_s3(travelling: Change) -> bool:
    if travelling.provider is not None:
        return travelling.provider == "S3"
    return _DEFAULT_S3_SUMMARY.match(travelling.summary or "") is not None


def _summary(travelling: Change) -> str | None:
    if not travelling.summary or _DEFAULT_S3_SUMMARY.match(travelling.summary):
        return None
    return cut(one_line(mask(travelling.summary)), _LONGEST_SUMMARY)


def _commit(travelling: Change) -> str:
    """The code that travels, in one line: what it is called, what it is about, whose it is."""
    revision, summary = travelling.revision, _summary(travelling)
    if revision and _is_s3(travelling):
        return f"{summary} (S3 version {revision})" if summary else f"S3 version {revision}"
    if revision and _COMMIT.match(revision):
        revision = revision[:7]
    by = f", by {one_line(travelling.author)}" if travelling.author else ""
    on = f", on {one_line(travelling.branch)}" if travelling.branch else ""
    return f"{revision or ''} {summary or ''}".strip() + by + on


def _reason(event: ReleaseEvent, failed: Sequence[FailedAction]) -> str | None:
    said = [
        (one, one.reason or ("no reason was given" if len(failed) > 1 else None)) for one in failed
    ]
    if not any(reason for _, reason in said):
        return _shown(event.reason or _in_words(event.error_code))
    if len(said) == 1:
        return _shown(said[0][1])
    return "\n".join(f"{one.name}: {_shown(reason)}" for one, reason in said)


def _in_words(error_code: str | None) -> str | None:
    return f"CodePipeline says {error_code}" if error_code else None


def _shown(text: str | None) -> str | None:
    return mask(cut(clean(text), LONGEST_REASON)).strip() if text else None


def _facts(
    told: Occasion,
    event: ReleaseEvent,
    stage: str | None,
    action: str | None,
    failed: Sequence[FailedAction],
    reason: str | None,
    travelling: Change | None,
    recovered_from: int,
) -> tuple[Fact, ...]:
    facts = [Fact("Pipeline", event.pipeline)]
    if stage:
        facts.append(Fact("Stage", stage))
    if len(failed) > 1:
        facts.append(Fact("Actions", listed([one.name for one in failed])))
    elif action:
        facts.append(Fact("Action", action))
    if reason:
        facts.append(Fact("Reason", reason))
    if travelling is not None:
        facts.append(Fact("Commit", _commit(travelling)))
    if told in (Occasion.STARTED, Occasion.WAITING_FOR_UPLOAD) and event.trigger:
        facts.append(Fact("Started by", _started_by(event)))
    if recovered_from:
        facts.append(Fact("Recovered from", counted(recovered_from, "failed run")))
    if event.attempt > 1:
        facts.append(Fact("Attempt", str(event.attempt)))
    facts += _place(event.origin.region, event.origin.account, event.origin.at)
    return tuple(facts)


def _place(region: str | None, account: str | None, at: datetime | None) -> list[Fact]:
    facts = []
    if region:
        facts.append(Fact("Region", f"{region}, account {account}" if account else region))
    if at:
        facts.append(Fact("When", moment(at)))
    return facts


def _started_by(event: ReleaseEvent) -> str:
    detail = one_line(event.trigger_detail or "")
    match event.trigger:
        case "CreatePipeline":
            return "the creation of the pipeline"
        case "CloudWatchEvent":
            return "an upload of new source"
        case "StartPipelineExecution":
            return _person(detail) or "hand"
        case "ManualRollback":
            return "a rollback by hand"
        case "AutomatedRollback":
            return "an automated rollback"
        case _:
            return f"{event.trigger} ({detail})" if detail else str(event.trigger)


def _links(
    event: ReleaseEvent, failed: Sequence[FailedAction], travelling: Change | None
) -> tuple[Link, ...]:
    found: list[Link] = []
    region = event.origin.region
    if region and event.execution_id:
        url = links.execution(region, event.pipeline, event.execution_id)
        found.append(Link("execution", "The release in CodePipeline", url))
    elif region:
        found.append(Link("pipeline", "The pipeline", links.pipeline(region, event.pipeline)))
    if event.external_url:
        found.append(Link("external", _external(event.action, event.provider), event.external_url))
    for one in failed:
        if one.url and all(one.url != link.url for link in found):
            key = "external" if all(link.key != "external" for link in found) else one.name
            found.append(Link(key, _external(one.name, one.provider), one.url))
    if travelling and travelling.url and all(travelling.url != link.url for link in found):
        found.append(Link("commit", "The change itself", travelling.url))
    return tuple(found)


def _external(action: str | None, provider: str | None) -> str:
    return f"{action or 'The action'} in {provider}" if provider else f"{action or 'The action'}"


def _next_steps(
    told: Occasion, event: ReleaseEvent, stage: str | None, failed: Sequence[FailedAction]
) -> tuple[str, ...]:
    match told:
        case Occasion.WAITING_FOR_UPLOAD:
            return ("Upload the first source bundle: the upload starts the first release.",)
        case Occasion.FAILED if any(one.category in ("Build", "Test") for one in failed):
            return (
                "Read the end of the build's log, mend the code and push again.",
                f"If the cause has passed, retry {stage or 'the stage'} in CodePipeline.",
            )
        case Occasion.FAILED:
            return (
                "Open the failed action and read what it says.",
                f"Once the cause is mended, retry {stage or 'the stage'} in CodePipeline, "
                "or release a new version.",
            )
        case Occasion.REJECTED:
            return ("Mend what the reviewer named and release a new version.",)
        case Occasion.APPROVAL_WANTED:
            return ("Look at the test environment, then approve or reject the release.",)
        case Occasion.STOPPED:
            return ("Start a new release, or retry the stopped stage, when it may go on.",)
        case Occasion.CANCELED:
            return ("Start a new release if this one is still wanted.",)
        case _:
            return ()


def _incident(told: Occasion) -> IncidentMove | None:
    match told:
        case Occasion.FAILED:
            return IncidentMove.OPEN
        case Occasion.SUCCEEDED:
            return IncidentMove.CLOSE
        case _:
            return None
