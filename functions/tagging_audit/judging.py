"""Judging for a report: the policy's verdict, and what this stack's own resources are allowed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from tagging_audit.policy import Judgement, Policy, judge
from tagging_audit.resource import Resource, TagRoute
from trellis.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Settings:
    """How resources are judged, beside the policy itself."""

    policy: Policy
    now: datetime
    grace: timedelta = timedelta(0)
    """How long a resource that was just made may be without its tags."""
    tags_api_only_types: bool = False
    """Whether this audit itself tags what no template can; then those are judged as all others."""


def judged(resource: Resource, settings: Settings) -> Judgement:
    """The verdict on a resource, with what a stack's own resources are allowed on top.

    What this stack declares and no template can tag is named, not blamed, until somebody begins to
    tag it by its own API.
    """
    if (
        resource.route is TagRoute.API
        and resource.is_ours
        and not settings.tags_api_only_types
        and resource.tags is not None
        and not any(key in resource.tags for key in _own_keys(settings.policy))
    ):
        return Judgement(
            Verdict.UNTAGGABLE,
            reason=f"{resource.refusal}; the remedy can, by its own API (AuditRemedy)",
        )
    judgement = judge(resource, settings.policy, settings.now)
    if judgement.verdict is Verdict.NON_COMPLIANT and is_fresh(resource, settings):
        minutes = settings.grace.total_seconds() / 60
        return Judgement(
            Verdict.UNKNOWN,
            reason=f"it is newer than {minutes:g} minutes and may still get its tags: "
            "it is looked at again",
        )
    return judgement


def _own_keys(policy: Policy) -> tuple[str, ...]:
    return policy.required + policy.stack_required


def is_fresh(resource: Resource, settings: Settings) -> bool:
    """Whether a resource is so new that its tags may still be on their way."""
    if not settings.grace or resource.created is None:
        return False
    return settings.now - resource.created < settings.grace
