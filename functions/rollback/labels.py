"""Which version label a deployment brought, and whether somebody has deployed another since.

DescribeEvents names no version label on an update's events, and every update begins with the same
words, a change of configuration too. So labels come from versions, from the environment and from
its instances, and events only tell that an update has begun.
https://docs.aws.amazon.com/elasticbeanstalk/latest/api/API_EventDescription.html
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from rollback.beanstalk import begins_update
from rollback.desk import Desk
from rollback.facts import ActionRun, ActionState, Incident, Look

_TOLD_WITHIN = timedelta(minutes=2)
_UPDATE_MAY_FOLLOW = timedelta(seconds=10)
"""An action that is abandoned may just have called UpdateEnvironment."""


def label_of(desk: Desk, own: ActionRun, look: Look) -> str | None:
    """The label that a deployment brought, or None where nothing tells.

    No page says what a deploy action's external execution id is, so it counts only if there is
    such a version; then the version of the action's artifact, of which each stage makes its own:
    after a success the one that the environment runs, since all of them hold the same; then the
    environment's label, if this deployment did not fail and nothing has begun since.
    """
    if own.external_id and desk.beanstalk.version(own.external_id) is not None:
        return own.external_id
    if own.artifact_bucket and own.artifact_key:
        made = [
            one
            for one in desk.beanstalk.versions_of(own.artifact_bucket, own.artifact_key)
            if own.state is ActionState.IN_PROGRESS or one.created <= ended_at(own)
        ]
        runs = [one.label for one in made if one.label == look.version_label]
        if runs and own.state is ActionState.SUCCEEDED:
            return runs[0]
        if made:
            return max(made, key=lambda one: one.created).label
    return _label_of_environment(desk, own, look)


def _label_of_environment(desk: Desk, own: ActionRun, look: Look) -> str | None:
    """A success alone is no proof: some instance must have got the label since the action began."""
    if own.state in (ActionState.IN_PROGRESS, ActionState.FAILED) or not look.is_ready:
        return None
    got_it = any(
        one.version_label == look.version_label
        and one.deployed_at is not None
        and one.deployed_at >= own.deployment.started
        for one in look.instances
    )
    if not got_it:
        return None
    since = desk.beanstalk.incidents(own.deployment.environment, own.deployment.started)
    return None if began_after(since, ended_at(own)) else look.version_label


def ended_at(own: ActionRun) -> datetime:
    """When a deployment could begin nothing in the environment any more."""
    is_let_go = own.state is ActionState.ABANDONED
    return own.updated + _UPDATE_MAY_FOLLOW if is_let_go else own.updated


def may_be_told_yet(label: str | None, ended: datetime, now: datetime) -> bool:
    """Whether to look once more for a label: instances report every few seconds only."""
    return label is None and now - ended < _TOLD_WITHIN


def began_after(incidents: Iterable[Incident], ended: datetime) -> bool:
    """Whether an update began that is not the deployment's, by what was told since its start.

    The deployment's own is the first; CodePipeline notices its end a little late.
    """
    begun = [one for one in incidents if begins_update(one)]
    return len(begun) > 1 or any(one.at > ended for one in begun)


def deployed_by_hand(
    state: ActionState,
    ended: datetime,
    label: str | None,
    look: Look,
    before: frozenset[str],
    incidents: Iterable[Incident],
) -> str | None:
    """What somebody deployed since a deployment ended: a phrase, or None.

    `incidents` are those since its start, `before` the labels that ran until then. Only a Ready
    environment tells.
    """
    running = look.version_label
    if not look.is_ready or running is None or running == label:
        return None
    by_hand = f"somebody deployed {running} by hand since"
    has_begun = began_after(incidents, ended)
    if state is ActionState.SUCCEEDED:
        if has_begun:
            return by_hand
        if label is None:
            return None
        return f"{running} is what the environment runs, and not {label} that was deployed"
    # A failed deployment leaves the label of before. That one too may be a person's choice: then
    # every instance got it since.
    is_everywhere = bool(look.instances) and all(
        one.version_label == running and one.deployed_at is not None and one.deployed_at > ended
        for one in look.instances
    )
    return by_hand if has_begun and (running not in before or is_everywhere) else None
