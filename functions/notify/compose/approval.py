"""Approval requests that came over the approval's own topic."""

from __future__ import annotations

from notify import links
from notify.compose.parts import in_region, shown, tier_of, where
from notify.happening import ApprovalRequest
from notify.notice import Fact, Link, Notice, Severity
from notify.wording import moment


def waits(pipeline: str, stage: str | None, region: str | None) -> str:
    """The headline of everything that waits for an approval."""
    at = f" in {stage}" if stage else ""
    return f"Your approval is needed: {in_region(pipeline, region)} waits{at}"


def approval_notice(request: ApprovalRequest) -> Notice:
    """What is asked, until when, and where to answer."""
    region = request.origin.region
    return Notice(
        severity=Severity.ACTION,
        state="APPROVAL_WANTED",
        headline=waits(request.pipeline, request.stage, region),
        facts=_facts(request),
        links=_links(request),
        next_steps=("Review the release, then approve or reject it.",),
        pipeline=request.pipeline,
        stage=request.stage,
        action=request.action,
        region=region,
        tier=tier_of(request.stage),
    )


def _facts(request: ApprovalRequest) -> tuple[Fact, ...]:
    facts = [Fact("Pipeline", request.pipeline)]
    if request.stage:
        facts.append(Fact("Stage", request.stage))
    if request.action:
        facts.append(Fact("Action", request.action))
    if asked := shown(request.message):
        facts.append(Fact("Please look at", asked))
    if request.expires:
        facts.append(Fact("Answer before", moment(request.expires)))
    return (*facts, *where(request.origin.region, request.origin.account))


def _links(request: ApprovalRequest) -> tuple[Link, ...]:
    found = []
    if request.review_url:
        found.append(Link("review", "Approve or reject", request.review_url))
    if request.external_url:
        found.append(Link("external", "What to review", request.external_url))
    if request.console_url:
        found.append(Link("pipeline", "The pipeline", request.console_url))
    elif request.origin.region:
        url = links.pipeline(request.origin.region, request.pipeline)
        found.append(Link("pipeline", "The pipeline", url))
    return tuple(found)
