"""What rollback says: events of our own, and the commands that messages name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime

from rollback.facts import BY_HAND, Baseline, Deployment, Facts, Good
from rollback.settings import EnvironmentSettings, Settings
from trellis.events import (
    BakeState,
    BakeStateChange,
    Revision,
    RollbackRoute,
    RollbackState,
    RollbackStateChange,
)


def rollback_event(
    deployment: Deployment,
    settings: EnvironmentSettings,
    state: RollbackState,
    reason: str,
    at: datetime,
    *,
    facts: Facts | None = None,
    good: Good | None = None,
    route: RollbackRoute | None = None,
    rollback_execution_id: str | None = None,
    evidence: tuple[str, ...] = (),
    next_command: str | None = None,
    is_frozen: bool = False,
    ordered_version: str | None = None,
) -> RollbackStateChange:
    """One turn in what becomes of a bad deployment."""
    return RollbackStateChange(
        watch_id=deployment.action_execution_id,
        state=state,
        pipeline=deployment.pipeline,
        stage=deployment.stage,
        action=deployment.action,
        execution_id=deployment.execution_id,
        action_execution_id=deployment.action_execution_id,
        environment=deployment.environment,
        mode=settings.mode,
        reason=sentence(reason),
        at=at,
        route=route,
        bad=_bad(deployment, facts),
        good=None
        if good is None
        else Revision(good.revision, good.version_label, good.execution_id or None, good.summary),
        rollback_execution_id=rollback_execution_id,
        evidence=evidence,
        next_command=next_command,
        is_frozen=is_frozen,
        is_ordered=deployment.action_execution_id.startswith(BY_HAND),
        ordered_version=ordered_version,
    )


def bake_event(
    deployment: Deployment,
    state: BakeState,
    reason: str,
    at: datetime,
    *,
    until: datetime | None = None,
    health: str | None = None,
) -> BakeStateChange:
    """How a deployment does after it ended well."""
    return BakeStateChange(
        watch_id=deployment.action_execution_id,
        state=state,
        pipeline=deployment.pipeline,
        stage=deployment.stage,
        action=deployment.action,
        execution_id=deployment.execution_id,
        environment=deployment.environment,
        reason=sentence(reason),
        at=at,
        until=until,
        health=health,
    )


def evidence_of(facts: Facts, baseline: Baseline, looks: tuple[str, ...]) -> tuple[str, ...]:
    """What the judgement rests on, the strongest first."""
    lines = [*looks[-4:]]
    labels: dict[str, int] = {}
    for one in facts.look.instances:
        name = one.version_label or "nothing known"
        labels[name] = labels.get(name, 0) + 1
    if labels:
        shown = ", ".join(f"{count} run {label}" for label, count in sorted(labels.items()))
        lines.append(f"{len(facts.look.instances)} instances: {shown}")
    lines.append(before(baseline))
    lines += [f"Elastic Beanstalk says: {cause}" for cause in facts.look.causes[:3]]
    return tuple(lines)


def before(baseline: Baseline) -> str:
    """How things were before, and how that is known."""
    health = baseline.health.value if baseline.health else "not known"
    how = (
        "seen before the deployment"
        if baseline.source == "seen"
        else "nobody looked before the deployment; by what the environment has told since"
    )
    alarms = f"; already in ALARM: {', '.join(sorted(baseline.alarms))}" if baseline.alarms else ""
    return f"Health before: {health} ({how}){alarms}"


def command(settings: Settings, order: Mapping[str, str]) -> str:
    """The command that hands an order to this function; it does not wait for the end."""
    payload = json.dumps(dict(order))
    return (
        f"aws lambda invoke --region {settings.region} --function-name {settings.function} "
        f"--invocation-type Event --cli-binary-format raw-in-base64-out --payload '{payload}' "
        "/dev/null"
    )


def answer_command(settings: Settings, callback_id: str) -> str:
    """The command that says yes to a rollback that waits for a person."""
    return (
        f"aws lambda send-durable-execution-callback-success --region {settings.region} "
        f"--callback-id '{callback_id}' --cli-binary-format raw-in-base64-out --result yes"
    )


def sentence(text: str) -> str:
    """A text that begins as a sentence does; a name at its front keeps its letters."""
    text = " ".join(text.split())
    first = text.partition(" ")[0]
    return text[:1].upper() + text[1:] if first.isalpha() and first.islower() else text


def _bad(deployment: Deployment, facts: Facts | None) -> Revision:
    if facts is None:
        return Revision(execution_id=deployment.execution_id)
    return Revision(facts.revision, facts.version_label, deployment.execution_id, facts.summary)
