"""Going back: frozen, done at most once, waited for, proven, and opened again.

RollbackStage and UpdateEnvironment take no client token. So each is tried in a move that happens
at most once, and after any doubt the truth is read back before anything else: CodePipeline's
executions (rollbackMetadata and start time), or the environment's events.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial

from rollback import tell
from rollback.calls import RefusedError
from rollback.desk import Desk
from rollback.facts import ActionState, Baseline, Cause, Deployment, Facts, Good, Health, Look
from rollback.freeze import (
    Frozen,
    freeze,
    freeze_for,
    let_in,
    shut_again,
    unfreeze_after,
    unfreeze_own,
)
from rollback.gather import Case
from rollback.known_good import make_known_good
from rollback.labels import label_of, may_be_told_yet
from rollback.policy import Decision
from rollback.script import Ending, GaveUpError, Outcome, Script
from rollback.settings import EnvironmentSettings
from trellis.events import RollbackRoute, RollbackState
from trellis.observability import logger
from trellis.records import Act, Claim, Helm, KnownGood, PastRollback, Quarantine

_TRUTH_LOOKS = 8
"""Looks for the trace of an act that nobody can vouch for, before it is taken for not done."""
_TRUTH_PAUSE = timedelta(seconds=4)
_ROLLBACK_LIMIT = timedelta(hours=2)
_HELD_AFTER = timedelta(minutes=2)
"""A rollback that has not entered the closed stage by then waits for it to be opened."""
_SHOWN_AS_HELD_AFTER = timedelta(seconds=20)
"""The same where GetPipelineState lists it among the stage's inbound executions. Every execution
may be listed there for a moment before it enters."""
_PROOF_LIMIT = timedelta(minutes=15)
_BEFORE_AGAIN = timedelta(seconds=10)
_CLOCKS_DIFFER = timedelta(seconds=2)
_STAGE_SAYS_NO = {
    "PipelineExecutionOutdatedException": "the pipeline has changed since",
    "UnableToRollbackStageException": "CodePipeline refuses this target",
    "PipelineExecutionNotFoundException": "CodePipeline no longer knows the target",
    "StageNotFoundException": "the stage is not there",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Went:
    """How going back went; `again` is the case with what was learnt, where it is to be decided
    once more."""

    outcome: str
    reason: str
    again: Case | None = None


class _Step(StrEnum):
    BEGUN = "begun"
    REFUSED = "refused"
    NOT_DONE = "not done"


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """What came of the act itself."""

    step: _Step
    execution_id: str | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """The way that a watch which died wrote down, and what was found of it when it was looked
    for; None: it was not taken."""

    act: Act
    found: Begun | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Arrival:
    """The way until the environment can be looked at again."""

    began: datetime
    is_held: bool = False
    """Its run waits before the closed stage."""
    is_in: bool = False
    """Its run has begun to deploy."""
    is_over: bool = False
    problem: str | None = None
    at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Proof:
    """Whether every instance runs the good revision and is well."""

    began: datetime
    is_proven: bool = False
    is_over: bool = False
    lines: tuple[str, ...] = ()
    at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Way:
    """The way that is taken."""

    act: Act
    label: str
    """The version label that holds the good revision, for UpdateEnvironment."""
    is_new: bool
    """Nothing of it was begun before."""
    is_overtaken: bool = False
    """A newer deployment has entered the stage since the decision."""


def go_back(
    script: Script,
    desk: Desk,
    case: Case,
    settings: EnvironmentSettings,
    facts: Facts,
    decision: Decision | None,
    evidence: tuple[str, ...],
    bad_since: datetime | None,
    begun: Standing | None,
) -> Went:
    """Go back to the decision's target, or finish what an earlier watch had begun."""
    deployment = case.deployment
    other = script.do("helm", str, lambda: _take_helm(desk, deployment.environment, script.id))
    if other != script.id:
        unfreeze_own(script, desk, deployment)
        return Went(
            outcome="stood aside",
            reason=f"{other} is changing {deployment.environment} already",
        )
    try:
        went = _go_back(script, desk, case, settings, facts, decision, evidence, bad_since, begun)
    except GaveUpError as err:
        went = _failed(script, desk, case, settings, facts, decision, str(err), evidence)
    script.do("leave the helm", str, lambda: _leave_helm(desk, deployment.environment, script.id))
    return went


def _go_back(
    script: Script,
    desk: Desk,
    case: Case,
    settings: EnvironmentSettings,
    facts: Facts,
    decision: Decision | None,
    evidence: tuple[str, ...],
    bad_since: datetime | None,
    begun: Standing | None,
) -> Went:
    deployment = case.deployment
    reason = decision.reason if decision else case.why
    good = decision.target if decision else facts.good
    if good is None:
        raise GaveUpError("the version that an earlier watch went back to is no longer known")
    frozen = freeze(script, desk, deployment, reason)
    way = script.do("choose the way", _Way, lambda: _choose(desk, case, decision, good, begun))
    route = RollbackRoute(way.act.route)
    if way.is_overtaken:
        script.do("forget the way", str, lambda: forget(desk, deployment))
        return Went(outcome="again", reason="it was overtaken", again=case)
    if not case.is_told:
        script.do(
            "tell that it begins",
            str,
            lambda: _say(
                desk,
                case,
                settings,
                facts,
                RollbackState.STARTED,
                reason,
                good,
                route,
                evidence,
                is_frozen=frozen.is_ours,
            ),
        )
    started = _begin(script, desk, case, way, begun)
    if started.step is _Step.REFUSED and route is RollbackRoute.ENVIRONMENT:
        return _failed(script, desk, case, settings, facts, decision, started.reason, evidence)
    if started.step is not _Step.BEGUN:
        script.do("forget the way", str, lambda: forget(desk, deployment))
        if started.step is _Step.NOT_DONE:
            script.wait("before deciding anew", _BEFORE_AGAIN)
        refusal = started.reason if started.step is _Step.REFUSED else case.stage_refusal
        again = replace(case, is_told=True, stage_refusal=refusal)
        return Went(outcome="again", reason=started.reason, again=again)
    script.do("count the rollback", str, lambda: _count(desk, case, facts, way))
    if bad_since is not None and way.is_new:
        script.act(
            "measure the start",
            lambda: _measure(desk, case, "TimeToStartSeconds", bad_since),
        )
    arrival = script.apart(
        "arrival",
        _Arrival,
        lambda part: _arrive(part, desk, case, way, started.execution_id, good),
    )
    if arrival.problem is None and bad_since is not None:
        script.act(
            "measure until ready",
            lambda: _measure(desk, case, "TimeToReadySeconds", bad_since),
        )
    proof = script.apart(
        "proof",
        _Proof,
        lambda part: _prove(part, desk, case, good, arrival.problem),
    )
    script.do("quarantine", str, lambda: _quarantine(desk, case, facts))
    if not proof.is_proven:
        problem = arrival.problem or f"{deployment.environment} was not proven to be well again"
        return _failed(
            script,
            desk,
            case,
            settings,
            facts,
            decision,
            problem,
            (*proof.lines, *evidence),
            started.execution_id,
        )
    if bad_since is not None:
        script.act(
            "measure until restored",
            lambda: _measure(desk, case, "TimeToRestoreSeconds", bad_since),
        )
    if case.cause is Cause.BY_HAND:
        script.do("known good", str, lambda: _know_as_good(desk, case, good, way))
    # What an earlier page left frozen stays so: a person has not looked at it yet.
    is_open = unfreeze_after(script, desk, deployment.stage, frozen)
    script.do("forget the way", str, lambda: _finish(desk, case))
    order = {
        "command": "lift-quarantine",
        "environment": deployment.environment,
        "revision": facts.revision or "",
    }
    script.do(
        "tell that it is done",
        str,
        lambda: _say(
            desk,
            case,
            settings,
            facts,
            RollbackState.SUCCEEDED,
            reason,
            good,
            route,
            (*proof.lines, *evidence),
            execution_id=started.execution_id,
            next_command=tell.command(desk.settings, order) if facts.revision else None,
            is_frozen=frozen.is_ours and not is_open,
        ),
    )
    logger.info(
        "rolled back",
        pipeline=deployment.pipeline,
        execution=deployment.execution_id,
        environment=deployment.environment,
        action="roll back",
        reason=reason,
    )
    return Went(outcome="rolled back", reason=reason)


# The helm -----------------------------------------------------------------------------------


def _take_helm(desk: Desk, environment: str, me: str) -> str:
    """Who changes the environment: this execution, unless another that lives already does."""
    for _ in range(3):
        held = desk.ledger.take_helm(Helm(environment=environment, holder=me, at=desk.now()))
        if held.holder == me or desk.executions.is_alive(held.holder):
            return held.holder
        desk.ledger.leave_helm(environment, held.holder)
    return "another"


def _leave_helm(desk: Desk, environment: str, me: str) -> str:
    desk.ledger.leave_helm(environment, me)
    return "left"


# The act ------------------------------------------------------------------------------------


def _choose(
    desk: Desk,
    case: Case,
    decision: Decision | None,
    good: Good,
    begun: Standing | None,
) -> _Way:
    """Write the way down before it is taken; what an earlier watch wrote down stands."""
    environment, now = case.deployment.environment, desk.now()
    if begun is not None:
        return _Way(act=begun.act, label=begun.act.target, is_new=False)
    if decision is None or decision.route is None:
        raise GaveUpError("no route was decided")
    latest = desk.pipeline.stage(case.deployment.stage, case.deployment.action)
    is_overtaken = case.cause is not Cause.BY_HAND and (
        latest.taken_by_another(case.deployment) is not None
    )
    label = good.version_label
    if decision.route is RollbackRoute.ENVIRONMENT and not good.is_registered:
        label = _register(desk, environment, good)
    target = good.execution_id if decision.route is RollbackRoute.STAGE else label
    wanted = Act(
        action_execution_id=case.deployment.action_execution_id,
        route=decision.route.value,
        target=target,
        revision=good.revision,
        at=now,
    )
    standing = desk.ledger.begin_act(wanted)
    return _Way(act=standing, label=label, is_new=standing.at == now, is_overtaken=is_overtaken)


def _count(desk: Desk, case: Case, facts: Facts, way: _Way) -> str:
    """Only what was begun counts, against the cap and against the revision."""
    desk.ledger.count_rollback(
        PastRollback(
            environment=case.deployment.environment,
            watch_id=case.deployment.action_execution_id,
            at=way.act.at,
            bad_revision=facts.revision,
            good_revision=way.act.revision,
        )
    )
    return "counted"


def _register(desk: Desk, environment: str, good: Good) -> str:
    """Make a version of the known-good bundle's copy, under a label of its own."""
    known = desk.ledger.known_good(environment)
    if known is None or known.revision != good.revision:
        raise GaveUpError(f"{good.revision} is no longer the known-good version")
    if known.bundle_bucket is None or known.bundle_key is None:
        raise GaveUpError(f"there is no copy of the bundle of {good.revision}")
    label = f"trellis-{known.bundle_key.rsplit('/', 1)[-1].removesuffix('.zip')}"
    desk.beanstalk.register(
        label, known.bundle_bucket, known.bundle_key, f"Known good: {good.revision}"
    )
    desk.ledger.set_revision(environment, label, good.revision, desk.now())
    return label


def _begin(script: Script, desk: Desk, case: Case, way: _Way, standing: Standing | None) -> Begun:
    """Take the way, once; whatever leaves a doubt is looked up before anything else.

    What surely was not done is decided anew, not tried again: the world may have moved on.
    """
    if standing is not None and standing.found is not None:
        return standing.found
    if standing is None and not way.is_new:
        found = look_for_truth(script, desk, case.deployment, way.act)
        if found is not None:
            return found
    outcome = script.act("roll back", lambda: _take(desk, case, way))
    match outcome.ending:
        case Ending.DONE:
            return Begun(step=_Step.BEGUN, execution_id=outcome.value)
        case Ending.UNKNOWN:
            found = look_for_truth(script, desk, case.deployment, way.act)
            if found is not None:
                return found
            return Begun(step=_Step.NOT_DONE, reason="nobody can say whether AWS took it")
        case Ending.REFUSED if not _may_pass(outcome):
            words = _STAGE_SAYS_NO.get(outcome.code or "", outcome.message or "it was refused")
            return Begun(step=_Step.REFUSED, reason=words)
        case Ending.REFUSED | Ending.THROTTLED:
            return Begun(step=_Step.NOT_DONE, reason=outcome.message or "AWS was too busy")


def _may_pass(outcome: Outcome) -> bool:
    """A refusal for now: the pipeline is busy, or the environment is not Ready."""
    return outcome.code in ("ConflictException", "ConcurrentModificationException") or (
        "Must be Ready" in (outcome.message or "")
    )


def _take(desk: Desk, case: Case, way: _Way) -> str | None:
    if way.act.route == RollbackRoute.STAGE.value:
        return desk.pipeline.roll_back(case.deployment.stage, way.act.target)
    desk.beanstalk.update(case.deployment.environment, way.act.target)
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trace:
    """What there is to see of an act."""

    is_there: bool
    execution_id: str | None = None


def look_for_truth(script: Script, desk: Desk, deployment: Deployment, act: Act) -> Begun | None:
    """Whether the act has happened after all; listings may lag behind, so more than one look."""
    for number in range(1, _TRUTH_LOOKS + 1):
        trace = script.do(
            f"look for the truth {number}", _Trace, lambda: _trace(desk, deployment, act)
        )
        if trace.is_there:
            return Begun(step=_Step.BEGUN, execution_id=trace.execution_id)
        script.wait(f"pause for the truth {number}", _TRUTH_PAUSE)
    return None


def _trace(desk: Desk, deployment: Deployment, act: Act) -> _Trace:
    since = act.at - _CLOCKS_DIFFER
    if act.route == RollbackRoute.STAGE.value:
        run = desk.pipeline.rollback_begun(act.target, since)
        return _Trace(is_there=run is not None, execution_id=run.execution_id if run else None)
    environment = deployment.environment
    return _Trace(
        is_there=desk.beanstalk.update_begun(environment, since)
        and not _is_a_strangers(desk, environment, act)
    )


def _is_a_strangers(desk: Desk, environment: str, act: Act) -> bool:
    """Whether the update that began was a person's: its label is none that is known.

    While it goes on nothing tells, and a rollback that failed has left a label of before.
    """
    look = desk.beanstalk.look(environment, desk.now())
    if not look.is_ready or look.version_label in (None, act.target):
        return False
    return look.version_label not in desk.ledger.revisions(environment)


# Until it is there -----------------------------------------------------------------------------


def _arrive(
    script: Script, desk: Desk, case: Case, way: _Way, execution_id: str | None, good: Good
) -> _Arrival:
    """Wait for the rollback's end; where its own freeze holds it, let it in and close again.

    AWS does not say whether a disabled inbound transition holds a rollback too.
    https://docs.aws.amazon.com/codepipeline/latest/userguide/stage-rollback.html
    """
    stage, is_let_in = case.deployment.stage, False
    arrival = script.do("begin", _Arrival, lambda: _Arrival(began=desk.now()))
    for number in range(1, 2000):
        arrival = script.do(
            f"look {number}",
            _Arrival,
            partial(_arrived, desk, case, way, execution_id, good, arrival, script.id),
        )
        if arrival.is_held:
            is_let_in = let_in(script, desk, stage)
            if not is_let_in:
                problem = f"it waits before {stage}, which a person has closed"
                return replace(arrival, is_over=True, problem=problem)
        if is_let_in and (arrival.is_in or arrival.is_over):
            shut_again(script, desk, stage)
            is_let_in = False
        if arrival.is_over:
            return arrival
        script.wait(f"pause {number}", timedelta(seconds=min(15, 1 + number // 5)))
    raise GaveUpError("the rollback does not end")


def _arrived(
    desk: Desk,
    case: Case,
    way: _Way,
    execution_id: str | None,
    good: Good,
    before: _Arrival,
    me: str,
) -> _Arrival:
    now, environment = desk.now(), case.deployment.environment
    if now - before.began > _ROLLBACK_LIMIT:
        return replace(before, is_over=True, problem="the rollback took too long", at=now)
    deploy = None
    if execution_id is not None:
        deploy = next(iter(desk.pipeline.deploys(execution_id)), None)
        if deploy is None:
            status = desk.pipeline.run(execution_id).status
            if status in ("InProgress", "Succeeded"):
                waited = now - before.began
                return replace(before, is_held=_is_held(desk, case, execution_id, waited))
            return replace(before, is_over=True, problem=f"the rollback's run is {status}", at=now)
        _adopt(desk, deploy.deployment.action_execution_id, environment, me)
        before = replace(before, is_held=False, is_in=True)
        if deploy.state is ActionState.IN_PROGRESS:
            return before
        if deploy.state is not ActionState.SUCCEEDED:
            said = deploy.message or "CodePipeline gives no reason"
            problem = f"the rollback's deployment failed ({said})"
            return replace(before, is_over=True, problem=problem, at=now)
    look = desk.beanstalk.look(environment, now)
    if not look.is_ready:
        return before
    if deploy is not None:
        label = label_of(desk, deploy, look)
        if may_be_told_yet(label, deploy.updated, now):
            return before
        if label is not None:
            desk.ledger.set_revision(environment, label, good.revision, now)
    elif not desk.beanstalk.update_begun(environment, way.act.at - _CLOCKS_DIFFER):
        return before
    return replace(before, is_over=True, at=now)


def _is_held(desk: Desk, case: Case, execution_id: str, waited: timedelta) -> bool:
    if waited < _SHOWN_AS_HELD_AFTER:
        return False
    stage = desk.pipeline.stage(case.deployment.stage, case.deployment.action)
    if stage.execution_id == execution_id or stage.transition.is_enabled:
        return False
    return execution_id in stage.inbound or waited >= _HELD_AFTER


def _adopt(desk: Desk, action_execution_id: str, environment: str, me: str) -> None:
    """Claim the rollback's own deployment: it needs no watch beside this one."""
    desk.ledger.claim(
        Claim(
            action_execution_id=action_execution_id,
            holder=me,
            environment=environment,
            at=desk.now(),
        )
    )


def _prove(script: Script, desk: Desk, case: Case, good: Good, problem: str | None) -> _Proof:
    proof = script.do("begin", _Proof, lambda: _Proof(began=desk.now()))
    for number in range(1, 500):
        proof = script.do(
            f"look {number}",
            _Proof,
            partial(_proven, desk, case, good, proof),
        )
        if proof.is_proven or proof.is_over or (problem is not None and number >= 2):
            return proof if problem is None else replace(proof, is_proven=False)
        script.wait(f"pause {number}", timedelta(seconds=min(15, 1 + number // 4)))
    return proof


def _proven(desk: Desk, case: Case, good: Good, before: _Proof) -> _Proof:
    """By revision, on every instance, and no less well than before the bad deployment."""
    now, environment = desk.now(), case.deployment.environment
    look = desk.beanstalk.look(environment, now)
    known = desk.ledger.revisions(environment)
    labels = {label for label, revision in known.items() if revision == good.revision}
    labels |= good.labels
    running = [one for one in look.instances if one.version_label in labels]
    is_everywhere = bool(look.instances) and len(running) == len(look.instances)
    is_well = _is_well(look, case.baseline)
    lines = (
        f"{len(running)} of {len(look.instances)} instances of {environment} run {good.name}",
        f"Health now: {look.health.value}",
    )
    return replace(
        before,
        is_proven=look.is_ready and is_everywhere and is_well,
        is_over=now - before.began > _PROOF_LIMIT,
        lines=lines,
        at=now,
    )


def _is_well(look: Look, baseline: Baseline) -> bool:
    badness = look.health.badness
    allowed = max((baseline.health or Health.OK).badness or 0, Health.WARNING.badness or 0)
    return badness is not None and badness <= allowed


# Afterwards -----------------------------------------------------------------------------------


def _quarantine(desk: Desk, case: Case, facts: Facts) -> str:
    if facts.revision is None or (facts.good and facts.good.revision == facts.revision):
        return "nothing to quarantine"
    desk.ledger.quarantine(
        Quarantine(
            environment=case.deployment.environment,
            revision=facts.revision,
            reason=case.why,
            execution_id=case.deployment.execution_id,
            since=desk.now(),
        )
    )
    return facts.revision


def _know_as_good(desk: Desk, case: Case, good: Good, way: _Way) -> str:
    """A person has named the version to be on: it is the one to go back to from now on.

    Since the act, so that whatever is deployed from then on is newer, and the watch over what was
    left behind, should it still end well, is not.
    """
    environment = case.deployment.environment
    known = desk.ledger.known_good(environment)
    if known is not None and known.revision == good.revision:
        return "it is so already"
    label = desk.beanstalk.look(environment, desk.now()).version_label or way.label
    version = desk.beanstalk.version(label)
    make_known_good(
        desk,
        KnownGood(
            environment=environment,
            revision=good.revision,
            version_label=label,
            execution_id=good.execution_id,
            since=way.act.at,
            summary=good.summary,
        ),
        version.bucket if version else None,
        version.key if version else None,
        case.deployment.action_execution_id,
    )
    return label


def forget(desk: Desk, deployment: Deployment) -> str:
    """Write off a way that surely was not taken."""
    desk.ledger.drop_act(deployment.action_execution_id)
    return "forgotten"


def _finish(desk: Desk, case: Case) -> str:
    """The act stays written down until it is proven: an interrupted watch is finished by it."""
    desk.ledger.release_hold(case.deployment.environment)
    return "finished"


def _failed(
    script: Script,
    desk: Desk,
    case: Case,
    settings: EnvironmentSettings,
    facts: Facts,
    decision: Decision | None,
    problem: str,
    evidence: tuple[str, ...],
    execution_id: str | None = None,
) -> Went:
    """It stays frozen, and a person is paged."""
    deployment = case.deployment
    frozen = script.do(
        "freeze after the failure",
        Frozen,
        lambda: _close(desk, deployment, problem),
    )
    order = {"command": "roll-back", "environment": deployment.environment}
    reason = f"the rollback failed: {problem}"
    script.act("count the failure", lambda: count_failure(desk, deployment.environment))
    script.do(
        "tell that it failed",
        str,
        lambda: _say(
            desk,
            case,
            settings,
            facts,
            RollbackState.FAILED,
            reason,
            decision.target if decision else facts.good,
            decision.route if decision else None,
            evidence,
            execution_id=execution_id,
            next_command=tell.command(desk.settings, order),
            is_frozen=frozen.is_ours,
        ),
    )
    return Went(outcome="failed", reason=reason)


def _close(desk: Desk, deployment: Deployment, problem: str) -> Frozen:
    try:
        return freeze_for(desk, deployment, problem)
    except RefusedError:
        # The page matters more than the freeze; it says whether the stage is frozen.
        return Frozen(is_ours=False, is_new=False)


def count_failure(desk: Desk, environment: str) -> str:
    """For the alarm on rollbacks that failed."""
    desk.measures.failed(environment)
    return "counted"


def _measure(desk: Desk, case: Case, name: str, since: datetime) -> str:
    desk.measures.took(case.deployment.environment, name, desk.now() - since)
    return name


def _say(
    desk: Desk,
    case: Case,
    settings: EnvironmentSettings,
    facts: Facts,
    state: RollbackState,
    reason: str,
    good: Good | None,
    route: RollbackRoute | None,
    evidence: tuple[str, ...],
    *,
    execution_id: str | None = None,
    next_command: str | None = None,
    is_frozen: bool = False,
) -> str:
    return desk.bus.publish(
        tell.rollback_event(
            case.deployment,
            settings,
            state,
            reason,
            desk.now(),
            facts=facts,
            good=good,
            route=route,
            rollback_execution_id=execution_id,
            evidence=evidence,
            next_command=next_command,
            is_frozen=is_frozen,
            ordered_version=case.wanted,
        )
    )
