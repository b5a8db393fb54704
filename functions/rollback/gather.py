"""What AWS and the ledger know about a deployment, read into facts."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from rollback import bake
from rollback.beanstalk import has_update_begun
from rollback.desk import Desk
from rollback.facts import (
    BY_HAND,
    ActionRun,
    ActionState,
    Baseline,
    Cause,
    Consent,
    Deployment,
    Facts,
    Good,
    Incident,
    Look,
    PastRollback,
    Run,
    StageState,
)
from rollback.labels import began_after, deployed_by_hand, ended_at, label_of
from rollback.pipeline import reason_for_api
from rollback.settings import EnvironmentSettings
from trellis.events import RollbackRoute
from trellis.records import Act, KnownGood

_ALWAYS = datetime(2000, 1, 1, tzinfo=UTC)
_VARIABLES = ("RollbackSafe", "Rollback-Safe", "ROLLBACK_SAFE")
_TRAILER = re.compile(r"Rollback-Safe:\s*(no|false)\b", re.IGNORECASE)
"""Anywhere in the message: a source may show its lines in one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What is already known of a bad deployment, and what has been tried."""

    deployment: Deployment
    cause: Cause
    why: str
    baseline: Baseline
    label: str | None = None
    """The version label that it brought, where that is known already."""
    consent: Consent = Consent.NOT_ASKED
    has_waited: bool = False
    has_aborted: bool = False
    stage_refusal: str | None = None
    """What RollbackStage answered when it refused."""
    is_told: bool = False
    """People know that the way back is being taken."""
    wanted: str | None = None
    """A revision or a version label that a person named, instead of the known-good one."""


def read_baseline(desk: Desk, deployment: Deployment, settings: EnvironmentSettings) -> Baseline:
    """How things were before a deployment, or what the environment has told of that since."""
    look = desk.beanstalk.look(deployment.environment, desk.now())
    incidents = desk.beanstalk.incidents(deployment.environment, deployment.started)
    off = desk.alarms.going_off(settings.alarms)
    before = frozenset(name for name, one in off.items() if one.since < deployment.started)
    if not has_update_begun(incidents):
        return Baseline(
            source="seen",
            health=look.health if look.health.badness is not None else None,
            labels=_labels(look),
            platform=look.platform,
            alarms=frozenset(off),
        )
    # The deployment is on its way already: instances that it has not reached still tell.
    rebuilt = bake.baseline_from(incidents, look, deployment.started)
    return Baseline(
        source=rebuilt.source,
        health=rebuilt.health,
        labels=frozenset(
            one.version_label
            for one in look.instances
            if one.version_label and one.deployed_at and one.deployed_at < deployment.started
        ),
        platform=look.platform,
        alarms=before,
    )


def read_facts(desk: Desk, case: Case) -> Facts:
    """Everything that the decision rests on, as it is now."""
    deployment = case.deployment
    now = desk.now()
    run = desk.pipeline.run(deployment.execution_id)
    stage = desk.pipeline.stage(deployment.stage, deployment.action)
    deploys = desk.pipeline.deploys()
    own = _own(desk, case)
    look = desk.beanstalk.look(deployment.environment, now)
    incidents = desk.beanstalk.incidents(deployment.environment, deployment.started)
    label = case.label or (label_of(desk, own, look) if own else None)
    good = read_good(desk, case, stage)
    revision, summary = run.revision, run.summary
    if case.cause is Cause.BY_HAND:
        revision, label = _what_runs(desk, case, run, label, look, good)
        summary = run.summary if revision == run.revision else None
    has_ended = own is not None and own.state is not ActionState.IN_PROGRESS
    frozen = desk.ledger.frozen(deployment.pipeline, deployment.stage)
    return Facts(
        deployment=deployment,
        cause=case.cause,
        why=case.why,
        look=look,
        revision=revision,
        summary=summary,
        version_label=label,
        old_labels=case.baseline.labels - {label},
        has_update_begun=has_update_begun(incidents),
        newer=newer_than(deployment, deploys, stage)
        or (_by_hand(case, own, label, look, incidents) if has_ended and own else None),
        stopped=_stopped(run),
        closed_by_person=_closed(
            stage, deployment, reason_for_api(frozen.reason) if frozen else None
        ),
        is_cancelled=run.is_cancelled,
        is_rollback=run.is_rollback,
        unsafe=marked_unsafe(run),
        good=good,
        quarantined=frozenset(desk.ledger.quarantined(deployment.environment)),
        rollbacks=tuple(
            PastRollback(
                at=past.at,
                bad_revision=past.bad_revision,
                is_by_hand=past.watch_id.startswith(BY_HAND),
            )
            for past in desk.ledger.rollbacks(deployment.environment, _ALWAYS)
            if past.watch_id != deployment.action_execution_id
        ),
        has_approval=stage.has_approval,
        is_anothers=(
            case.cause is not Cause.BY_HAND
            and has_ended
            and own is not None
            and began_after(incidents, ended_at(own))
        ),
        consent=case.consent,
        has_waited=case.has_waited,
        has_aborted=case.has_aborted,
    )


def _own(desk: Desk, case: Case) -> ActionRun | None:
    """The deployment's action; a command has a name of its own and means the stage's newest."""
    deployment = case.deployment
    if case.cause is not Cause.BY_HAND:
        return desk.pipeline.deploy(deployment.execution_id, deployment.action_execution_id)
    return next(
        (
            run
            for run in desk.pipeline.deploys(deployment.execution_id)
            if run.deployment.stage == deployment.stage
        ),
        None,
    )


def _what_runs(
    desk: Desk, case: Case, run: Run, label: str | None, look: Look, good: Good | None
) -> tuple[str | None, str | None]:
    """The revision and the label that a person wants gone: what the pipeline deployed last, unless
    something else has been deployed over it."""
    running = [look.version_label, *(one.version_label for one in look.instances)]
    way_back = good.labels if good else frozenset()
    other = next((one for one in running if one and one not in way_back), None)
    if label is None or label in running or other is None:
        return run.revision, label
    return desk.ledger.revisions(case.deployment.environment).get(other), other


def _by_hand(
    case: Case, own: ActionRun, label: str | None, look: Look, incidents: Iterable[Incident]
) -> str | None:
    """What a person deployed since. One that CodePipeline let go of may have ended well."""
    has_landed = own.state is ActionState.ABANDONED and case.cause is Cause.BAKE_FAILED
    state = ActionState.SUCCEEDED if has_landed else own.state
    return deployed_by_hand(state, ended_at(own), label, look, case.baseline.labels, incidents)


def newer_than(
    deployment: Deployment, deploys: Iterable[ActionRun], stage: StageState
) -> str | None:
    """What has replaced a deployment: another of its environment, by the pipeline."""
    for run in deploys:
        other = run.deployment
        if (
            other.environment == deployment.environment
            and other.action_execution_id != deployment.action_execution_id
            and other.started > deployment.started
        ):
            how = "is running" if run.state is ActionState.IN_PROGRESS else "has followed"
            return f"a newer deployment ({other.execution_id}) {how}"
    other_execution = stage.taken_by_another(deployment)
    if other_execution is not None:
        return f"another deployment ({other_execution}) has entered {deployment.stage}"
    return None


def marked_unsafe(run: Run) -> str | None:
    """Where a release says that it is not safe to roll back, if it does."""
    for name, value in run.variables:
        if name in _VARIABLES and value.strip().lower() in ("no", "false"):
            return f"the pipeline variable {name} is {value}"
    if _TRAILER.search(run.summary or ""):
        return "the commit says Rollback-Safe: no"
    return None


def read_good(desk: Desk, case: Case, stage: StageState) -> Good | None:
    """The version to go back to and where it can be had, or None where there is none."""
    deployment = case.deployment
    known = desk.ledger.known_good(deployment.environment)
    if case.wanted is not None:
        known = _named(desk, deployment, case.wanted, known)
    if known is None:
        return None
    labels = frozenset(
        label
        for label, revision in desk.ledger.revisions(deployment.environment).items()
        if revision == known.revision
    )
    target, problem = (known.execution_id, None)
    if not stage.has_approval:
        target, problem = _stage_target(desk, case, stage, known)
    return Good(
        revision=known.revision,
        version_label=known.version_label,
        execution_id=target,
        since=known.since,
        summary=known.summary,
        labels=labels | {known.version_label},
        is_registered=_is_registered(desk, known.version_label),
        is_copied=desk.bundles.is_there(known.bundle_bucket, known.bundle_key),
        stage_problem=problem,
    )


def good_of(desk: Desk, environment: str, act: Act, known: Good | None) -> Good:
    """The version that a way back leads to, which need no longer be the known-good one."""
    if known is not None and known.revision == act.revision:
        return known
    labels = {
        label
        for label, revision in desk.ledger.revisions(environment).items()
        if revision == act.revision
    }
    by_stage = act.route == RollbackRoute.STAGE.value
    return Good(
        revision=act.revision,
        version_label="" if by_stage else act.target,
        execution_id=act.target if by_stage else "",
        since=act.at,
        labels=frozenset(labels if by_stage else {*labels, act.target}),
    )


def _named(
    desk: Desk, deployment: Deployment, wanted: str, known: KnownGood | None
) -> KnownGood | None:
    """The version that a person named, by its revision or its label.

    Each deployment of a revision has a label of its own, and the oldest expire: the newest that
    can be deployed is taken, and first the one that was named.
    """
    revisions = desk.ledger.revisions(deployment.environment)
    revision = revisions.get(wanted, wanted)
    if known is not None and (known.revision == revision or known.version_label == wanted):
        return known
    labels = [label for label, one in revisions.items() if one == revision]
    if not labels:
        return None
    labels.sort(key=lambda label: label != wanted)
    return KnownGood(
        environment=deployment.environment,
        revision=revision,
        version_label=next((one for one in labels if _is_registered(desk, one)), labels[0]),
        execution_id="",
        since=_ALWAYS,
    )


def _is_registered(desk: Desk, label: str) -> bool:
    version = desk.beanstalk.version(label)
    return (
        version is not None
        and version.status != "Failed"
        and desk.bundles.is_there(version.bucket, version.key)
    )


def _stage_target(
    desk: Desk, case: Case, stage: StageState, known: KnownGood
) -> tuple[str, str | None]:
    """The execution that RollbackStage can go to, or why there is none."""
    if case.stage_refusal is not None:
        return known.execution_id, case.stage_refusal
    if stage.status in ("InProgress", "Stopping"):
        return known.execution_id, "the stage is still running"
    candidates = [
        run for run in desk.pipeline.succeeded_in(case.deployment.stage) if not run.is_rollback
    ]
    same = [run for run in candidates if run.execution_id == known.execution_id] or [
        run for run in candidates if run.revision == known.revision
    ]
    if not same:
        return (
            known.execution_id,
            f"the pipeline has changed since {known.revision} succeeded in {case.deployment.stage}",
        )
    target = same[0].execution_id
    for deploy in desk.pipeline.deploys(target):
        if deploy.deployment.stage == case.deployment.stage:
            if desk.bundles.is_there(deploy.artifact_bucket, deploy.artifact_key):
                return target, None
            return target, f"the artifact of {target} has expired"
    return target, f"nothing is known of the artifact of {target}"


def _labels(look: Look) -> frozenset[str]:
    return frozenset(
        label
        for label in (look.version_label, *(one.version_label for one in look.instances))
        if label
    )


def _stopped(run: Run) -> str | None:
    if run.status not in ("Stopping", "Stopped"):
        return None
    why = f" ({run.stop_reason})" if run.stop_reason else ""
    return f"the run was stopped{why}"


def _closed(stage: StageState, deployment: Deployment, ours: str | None) -> str | None:
    """A transition that a person closed since the deployment began."""
    transition = stage.transition
    if transition.is_enabled or transition.reason == ours:
        return None
    if transition.changed_at is None or transition.changed_at < deployment.started:
        return None
    who = (transition.changed_by or "somebody").rsplit("/", 1)[-1]
    return f"{who} has closed {deployment.stage} ({transition.reason or 'no reason given'})"
