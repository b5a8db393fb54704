"""A tag change, judged from its event alone: no call is needed, the event carries every tag."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from tagging_audit.belonging import OwnStack
from tagging_audit.command import TagChange
from tagging_audit.judging import Settings, judged
from tagging_audit.kinds import GLOBAL, refusal_of, region_of, route_of, type_of
from tagging_audit.policy import Judgement, Policy, wanted_keys
from tagging_audit.resource import Resource, Source
from tagging_audit.scope import ScopeKind


@dataclass(frozen=True, slots=True)
class Heard:
    """What a tag event says of its resource."""

    resource: Resource
    judgement: Judgement
    reason_to_ignore: str | None
    """Why nobody needs to look further; None where somebody does."""


def hear(
    change: TagChange,
    scope: ScopeKind,
    stack: OwnStack,
    policy: Policy,
    now: datetime,
    region: str,
    *,
    tags_api_only_types: bool = False,
) -> Heard:
    """Judge a resource by the tags that an event says it has now."""
    kind = type_of(change.arn)
    is_ours = stack.owns(change.arn, change.tags) or _looks_ours(change, stack, policy)
    resource = Resource(
        arn=change.arn,
        type=kind,
        region=region_of(change.arn) or region or GLOBAL,
        tags=change.tags,
        sources=(Source.EVENT,),
        route=route_of(kind),
        is_ours=is_ours,
        tier=stack.tier_of(change.arn, change.tags) if is_ours else None,
        refusal=refusal_of(kind),
    )
    settings = Settings(policy, now, tags_api_only_types=tags_api_only_types)
    return Heard(
        resource,
        judged(resource, settings),
        _reason_to_ignore(change, resource, scope, policy),
    )


def _reason_to_ignore(
    change: TagChange, resource: Resource, scope: ScopeKind, policy: Policy
) -> str | None:
    if scope is ScopeKind.STACK and not resource.is_ours:
        return f"{change.arn} does not belong to this stack"
    keys = {*wanted_keys(policy, resource.type, is_ours=resource.is_ours), *policy.tags}
    if not keys & set(change.changed):
        return f"no tag of the policy changed on {change.arn}"
    return None


def _looks_ours(change: TagChange, stack: OwnStack, policy: Policy) -> bool:
    """Whether a resource may be this stack's, though nothing says so any more.

    It carries the project's tag, or it has just lost every tag by which it could be told.
    """
    project = next(
        (rule for rule in policy.tags.values() if rule.stack_value == stack.project), None
    )
    if project is not None and change.tags.get(project.key) == stack.project:
        return True
    return _has_lost_all(change, policy)


def _has_lost_all(change: TagChange, policy: Policy) -> bool:
    keys: Mapping[str, object] = {**dict.fromkeys(policy.required), **policy.tags}
    return any(key in keys for key in change.changed) and not any(
        key in change.tags for key in keys
    )
