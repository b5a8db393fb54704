"""One deployment, one watch: from its beginning to known-good, or back to the last good version.

Straight-line code over the moves of `rollback.script`. Everything from outside comes through a
move; what stands between two moves is replayed and must come out the same.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from rollback import bake, tell
from rollback.act import Standing, Went, count_failure, forget, go_back, look_for_truth
from rollback.calls import RefusedError
from rollback.desk import Desk
from rollback.facts import (
    ActionRun,
    ActionState,
    Baseline,
    Cause,
    Consent,
    Deployment,
    Facts,
    Look,
)
from rollback.freeze import freeze, unfreeze_own
from rollback.gather import Case, good_of, read_baseline, read_facts
from rollback.known_good import make_known_good
from rollback.labels import deployed_by_hand, ended_at, label_of, may_be_told_yet
from rollback.policy import Action, Decision, decide
from rollback.script import Answer, GaveUpError, Script
from rollback.settings import EnvironmentSettings
from trellis.events import BakeState, RollbackMode, RollbackState
from trellis.ledger import Bake
from trellis.observability import logger
from trellis.records import Act, Claim, Hold, KnownGood, OpenWatch

MOST_ROUNDS = 12
"""How often a decision is made anew because AWS did not take what was decided."""
_DEPLOY_LIMIT = timedelta(hours=2)
"""CodePipeline gives a deploy action an hour; a watch that sees none end by then gives up."""
_STAGE_MAY_FOLLOW = timedelta(seconds=15)
"""A stage fails a moment after its action, and CodePipeline's listings one after another."""
_RUN_MAY_FOLLOW = timedelta(minutes=2)
"""Why an action was abandoned stands in its run: an update of the pipeline has cancelled that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a watch ended, for the log and for whoever invoked it by hand."""

    outcome: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Landing:
    """A Deploy action until its end."""

    began: datetime
    state: ActionState = ActionState.IN_PROGRESS
    ended: datetime | None = None
    message: str | None = None
    label: str | None = None
    is_missing: bool = False
    looks: int = 0


def watch(
    script: Script,
    desk: Desk,
    deployment: Deployment,
    settings: EnvironmentSettings,
    dead: str | None = None,
) -> Ended:
    """Watch a deployment; `dead` is the holder whose watch the sweep found dead."""
    holder = script.do("claim", str, lambda: _claim(desk, deployment, script.id, dead))
    if holder != script.id:
        return Ended(outcome="watched already", reason=f"{holder} watches this deployment")
    try:
        ended = _watch(script, desk, deployment, settings)
    except GaveUpError as err:
        # A person must hear of it; that it happened also ends in the dead-letter queue.
        script.act("count the failure", partial(count_failure, desk, deployment.environment))
        said = partial(_say_lost, desk, deployment, settings, str(err))
        script.do("tell that it failed", str, said)
        raise
    script.do("close", str, lambda: _close(desk, deployment))
    return ended


def _watch(
    script: Script, desk: Desk, deployment: Deployment, settings: EnvironmentSettings
) -> Ended:
    if script.do("is it our own", bool, lambda: _is_our_own(desk, deployment, script.id)):
        return Ended(outcome="our own", reason="a rollback of ours, which its own watch sees to")
    begun = script.do("what was begun before", _Begun, lambda: _begun(desk, deployment)).act
    baseline = script.do("baseline", Baseline, lambda: read_baseline(desk, deployment, settings))
    landing = script.apart(
        "deployment", _Landing, lambda part: _wait_for_end(part, desk, deployment)
    )
    if landing.is_missing:
        return Ended(outcome="unknown", reason="CodePipeline no longer knows this deployment")
    if begun is not None:
        case = Case(
            deployment=deployment,
            cause=Cause.DEPLOY_FAILED,
            why="an earlier watch of this deployment had begun to go back and was interrupted",
            baseline=baseline,
        )
        return _mend(script, desk, case, settings, landing.ended, (), begun)
    if landing.state is ActionState.SUCCEEDED:
        return _bake(script, desk, deployment, settings, baseline, landing)
    case = Case(
        deployment=deployment,
        cause=Cause.DEPLOY_FAILED,
        why=f"the deployment failed ({_short(landing.message)})",
        baseline=baseline,
        label=landing.label,
    )
    return _mend(script, desk, case, settings, landing.ended, (), None)


def _short(message: str | None) -> str:
    """What a failed action said, as much of it as a sentence holds."""
    text = " ".join((message or "CodePipeline gives no reason").split()).rstrip(".")
    return text if len(text) <= 240 else f"{text[:239].rstrip()}…"


# The claim --------------------------------------------------------------------------------


def _claim(desk: Desk, deployment: Deployment, me: str, dead: str | None) -> str:
    claim = Claim(
        action_execution_id=deployment.action_execution_id,
        holder=me,
        environment=deployment.environment,
        at=desk.now(),
    )
    holding = desk.ledger.take_over(claim, dead) if dead else desk.ledger.claim(claim)
    if holding.holder == me:
        before = [
            one
            for one in desk.ledger.open_watches(deployment.pipeline)
            if one.action_execution_id == deployment.action_execution_id
        ]
        desk.ledger.open_watch(
            OpenWatch(
                pipeline=deployment.pipeline,
                stage=deployment.stage,
                action=deployment.action,
                execution_id=deployment.execution_id,
                action_execution_id=deployment.action_execution_id,
                environment=deployment.environment,
                holder=me,
                at=desk.now(),
                tries=before[0].tries + (before[0].holder != me) if before else 1,
            )
        )
    return holding.holder


def _close(desk: Desk, deployment: Deployment) -> str:
    desk.ledger.close_watch(deployment.pipeline, deployment.action_execution_id)
    return "closed"


def _is_our_own(desk: Desk, deployment: Deployment, me: str) -> bool:
    """A rollback that another watch of ours is making; that one proves it."""
    if not desk.pipeline.run(deployment.execution_id).is_rollback:
        return False
    helm = desk.ledger.helm(deployment.environment)
    return helm is not None and helm.holder != me and desk.executions.is_alive(helm.holder)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Begun:
    """The way back that a watch which died had begun, if any."""

    act: Act | None


def _begun(desk: Desk, deployment: Deployment) -> _Begun:
    return _Begun(act=desk.ledger.act(deployment.action_execution_id))


def _say_lost(
    desk: Desk, deployment: Deployment, settings: EnvironmentSettings, problem: str
) -> str:
    order = {"command": "plan", "environment": deployment.environment}
    return desk.bus.publish(
        tell.rollback_event(
            deployment,
            settings,
            RollbackState.FAILED,
            f"the watch over {deployment.environment} could not go on: {problem}",
            desk.now(),
            next_command=tell.command(desk.settings, order),
        )
    )


# Until the action ends ----------------------------------------------------------------------


def _wait_for_end(script: Script, desk: Desk, deployment: Deployment) -> _Landing:
    landing = script.do("begin", _Landing, lambda: _Landing(began=desk.now()))
    for number in range(1, 2000):
        landing = script.do(f"look {number}", _Landing, partial(_looked, desk, deployment, landing))
        if landing.state is not ActionState.IN_PROGRESS or landing.is_missing:
            return landing
        script.wait(f"pause {number}", _lengthening(number, timedelta(seconds=30)))
    raise GaveUpError(f"{deployment.action_execution_id} does not end")


def _looked(desk: Desk, deployment: Deployment, before: _Landing) -> _Landing:
    run = desk.pipeline.deploy(deployment.execution_id, deployment.action_execution_id)
    now, looks = desk.now(), before.looks + 1
    if run is None:
        # Listings may be behind the event that brought us here.
        return replace(before, looks=looks, is_missing=looks >= 10)
    if run.state is ActionState.IN_PROGRESS:
        if now - before.began > _DEPLOY_LIMIT:
            raise RefusedError("ListActionExecutions", "TooLong", "the action does not end")
        return replace(before, looks=looks)
    landed = replace(before, looks=looks, state=run.state, ended=run.updated, message=run.message)
    look = desk.beanstalk.look(deployment.environment, now)
    if run.state is ActionState.ABANDONED:
        whole = desk.pipeline.run(deployment.execution_id)
        if whole.is_cancelled:
            return _left_to_beanstalk(desk, before, run, landed, look)
        if whole.status == "InProgress" and now - run.updated < _RUN_MAY_FOLLOW:
            return replace(before, looks=looks)
    if run.state is ActionState.FAILED and now - run.updated < _STAGE_MAY_FOLLOW:
        stage = desk.pipeline.stage(deployment.stage, deployment.action)
        if stage.status == "InProgress" and stage.execution_id == deployment.execution_id:
            # RollbackStage refuses a stage that runs: its way is not given up for a moment.
            return replace(before, looks=looks)
    label = label_of(desk, run, look)
    if run.state is ActionState.SUCCEEDED and may_be_told_yet(label, run.updated, now):
        return replace(before, looks=looks)
    return replace(landed, label=label)


def _left_to_beanstalk(
    desk: Desk, before: _Landing, run: ActionRun, landed: _Landing, look: Look
) -> _Landing:
    """The end of a deployment that CodePipeline let go of because the pipeline was updated.

    It says Cancelled and Abandoned, and Elastic Beanstalk goes on: what comes of it is seen there.
    https://docs.aws.amazon.com/codepipeline/latest/APIReference/API_PipelineExecution.html
    """
    is_settled = look.is_ready and look.at >= ended_at(run)
    if not is_settled and look.at - before.began <= _DEPLOY_LIMIT:
        return replace(before, looks=landed.looks)
    label = label_of(desk, run, look)
    if look.is_ready and label is not None and look.runs_everywhere(label):
        return replace(landed, state=ActionState.SUCCEEDED, ended=look.at, label=label)
    message = "the pipeline was updated meanwhile, and it did not arrive"
    return replace(landed, message=message, label=label)


def _lengthening(number: int, longest: timedelta) -> timedelta:
    """2 s, and a tenth more of the time that has passed so far."""
    # In seconds: a timedelta overflows long before the numbers of looks end.
    return timedelta(seconds=min(longest.total_seconds(), 2 * 1.1 ** max(0, number - 10)))


# The bake -----------------------------------------------------------------------------------


def _bake(
    script: Script,
    desk: Desk,
    deployment: Deployment,
    settings: EnvironmentSettings,
    baseline: Baseline,
    landing: _Landing,
) -> Ended:
    deployed = landing.ended or landing.began
    baked = script.apart(
        "bake",
        bake.Bake,
        lambda part: _watch_health(part, desk, deployment, settings, baseline, landing, deployed),
    )
    match baked.verdict:
        case bake.Verdict.HEALTHY:
            problem = script.do(
                "known good", str, lambda: _know_as_good(desk, deployment, landing.label)
            )
            if problem:
                baked = bake.ended(baked, bake.Verdict.UNPROVEN, problem)
                _say_bake(script, desk, deployment, BakeState.ENDED, baked)
                return Ended(outcome=baked.verdict.value, reason=problem)
            script.act("count it as good", lambda: _count_good(desk, deployment, baked))
            _say_bake(script, desk, deployment, BakeState.HEALTHY, baked)
            return Ended(outcome="known good", reason=baked.reason)
        case bake.Verdict.BAD:
            _say_bake(script, desk, deployment, BakeState.UNHEALTHY, baked)
            case = Case(
                deployment=deployment,
                cause=Cause.BAKE_FAILED,
                why=f"after it was deployed {baked.reason}",
                baseline=baseline,
                label=landing.label,
            )
            looks = tuple(f"Look: {line}" for line in bake.table(baked))
            return _mend(script, desk, case, settings, baked.bad_since, looks, None)
        case _:
            _say_bake(script, desk, deployment, BakeState.ENDED, baked)
            return Ended(outcome=baked.verdict.value, reason=baked.reason)


def _watch_health(
    script: Script,
    desk: Desk,
    deployment: Deployment,
    settings: EnvironmentSettings,
    baseline: Baseline,
    landing: _Landing,
    deployed: datetime,
) -> bake.Bake:
    baked = script.do(
        "begin", bake.Bake, lambda: _begin_bake(desk, deployment, settings, landing, deployed)
    )
    for number in range(1, 2000):
        baked = script.do(
            f"look {number}",
            bake.Bake,
            partial(_look_at_bake, desk, deployment, settings, baseline, landing, baked, deployed),
        )
        if baked.verdict is not bake.Verdict.GOES_ON:
            return baked
        last = baked.samples[-1].at if baked.samples else baked.began
        script.wait(f"pause {number}", bake.next_look(baked, last))
    raise GaveUpError("the bake does not end")


def _begin_bake(
    desk: Desk,
    deployment: Deployment,
    settings: EnvironmentSettings,
    landing: _Landing,
    deployed: datetime,
) -> bake.Bake:
    """Begin a bake; it is counted from the action's end, not from when somebody looked."""
    until = deployed + settings.bake
    run = desk.pipeline.run(deployment.execution_id)
    if landing.label and run.revision:
        desk.ledger.set_revision(deployment.environment, landing.label, run.revision, deployed)
    reason = f"it is watched until {until:%H:%M} UTC"
    event = tell.bake_event(deployment, BakeState.WATCHING, reason, desk.now(), until=until)
    desk.ledger.set_bake(_remembered(deployment, BakeState.WATCHING, reason, desk.now(), until))
    desk.bus.publish(event)
    return bake.Bake(began=deployed, until=until)


def _look_at_bake(
    desk: Desk,
    deployment: Deployment,
    settings: EnvironmentSettings,
    baseline: Baseline,
    landing: _Landing,
    before: bake.Bake,
    deployed: datetime,
) -> bake.Bake:
    now = desk.now()
    incidents = desk.beanstalk.incidents(deployment.environment, deployment.started)
    look = desk.beanstalk.look(deployment.environment, now)
    replaced = _replaced(desk, deployment) or deployed_by_hand(
        ActionState.SUCCEEDED, deployed, landing.label, look, baseline.labels, incidents
    )
    if replaced is not None:
        return bake.ended(before, bake.Verdict.REPLACED, replaced)
    off = desk.alarms.going_off(settings.alarms)
    before, baseline = bake.mended(before, baseline, look, off)
    sample = bake.sample_of(look, off, baseline, incidents, deployed)
    after = bake.judged(before, sample)
    last = before.samples[-1].health if before.samples else None
    if sample.health is not last:
        reason = f"its health is {sample.health.value}"
        desk.ledger.set_bake(
            replace(
                _remembered(deployment, BakeState.WATCHING, reason, now, after.until),
                health=sample.health.value,
            )
        )
    return after


def _replaced(desk: Desk, deployment: Deployment) -> str | None:
    """What is newer in the stage, if anything is."""
    stage = desk.pipeline.stage(deployment.stage, deployment.action)
    if stage.action_execution_id not in (None, deployment.action_execution_id):
        return f"a newer deployment has reached {deployment.stage} ({stage.execution_id})"
    return None


def _know_as_good(desk: Desk, deployment: Deployment, label: str | None) -> str:
    """Gives what speaks against it, or nothing: what does not run, no health has proven."""
    run = desk.pipeline.run(deployment.execution_id)
    own = desk.pipeline.deploy(deployment.execution_id, deployment.action_execution_id)
    look = desk.beanstalk.look(deployment.environment, desk.now())
    if label is None or run.revision is None or own is None:
        return "it did well, but its revision or its version label is not known"
    others = look.others(label)
    if others is not None:
        return f"{others} that was deployed"
    version = desk.beanstalk.version(label)
    bucket = version.bucket if version else own.artifact_bucket
    key = version.key if version else own.artifact_key
    good = KnownGood(
        environment=deployment.environment,
        revision=run.revision,
        version_label=label,
        execution_id=run.rollback_target or deployment.execution_id,
        since=deployment.started,
        pipeline_version=run.pipeline_version,
        summary=run.summary,
    )
    make_known_good(desk, good, bucket, key, deployment.action_execution_id)
    return ""


def _count_good(desk: Desk, deployment: Deployment, baked: bake.Bake) -> str:
    run = desk.pipeline.run(deployment.execution_id)
    if not run.is_rollback:
        desk.measures.good(deployment.environment, desk.now() - run.started)
    return baked.verdict.value


def _say_bake(
    script: Script, desk: Desk, deployment: Deployment, state: BakeState, baked: bake.Bake
) -> None:
    health = baked.samples[-1].health.value if baked.samples else None

    def say() -> str:
        now = desk.now()
        logger.info(
            "baked",
            pipeline=deployment.pipeline,
            execution=deployment.execution_id,
            environment=deployment.environment,
            verdict=baked.verdict.value,
            reason=baked.reason,
        )
        remembered = _remembered(deployment, state, baked.reason, now, baked.until)
        desk.ledger.set_bake(replace(remembered, health=health))
        return desk.bus.publish(
            tell.bake_event(deployment, state, baked.reason, now, until=baked.until, health=health)
        )

    script.do(f"tell that the bake is {state.value}", str, say)


def _remembered(
    deployment: Deployment, state: BakeState, reason: str, at: datetime, until: datetime
) -> Bake:
    return Bake(
        pipeline=deployment.pipeline,
        execution_id=deployment.execution_id,
        environment=deployment.environment,
        state=state.value,
        reason=tell.sentence(reason),
        at=at,
        until=until,
    )


# Bad: decide, then act ------------------------------------------------------------------------


def _mend(
    script: Script,
    desk: Desk,
    case: Case,
    settings: EnvironmentSettings,
    bad_since: datetime | None,
    looks: tuple[str, ...],
    begun: Act | None,
) -> Ended:
    """Decide what to do about a bad deployment until something is done about it."""
    if begun is not None:
        found = look_for_truth(script, desk, case.deployment, begun)
        facts = script.do("facts of before", Facts, lambda: _facts_of_before(desk, case, begun))
        if found is not None or not _has_moved_on(facts):
            evidence = tell.evidence_of(facts, case.baseline, looks)
            standing = Standing(act=begun, found=found)
            went = go_back(script, desk, case, settings, facts, None, evidence, bad_since, standing)
            if went.again is None:
                return _ended(went)
            case = went.again
        else:
            # Nothing of it was done, and what was decided then may harm now.
            script.do("forget the way", str, partial(forget, desk, case.deployment))
    is_counted, noted = False, None
    for number in range(1, MOST_ROUNDS + 1):
        facts = script.do(f"facts {number}", Facts, partial(read_facts, desk, case))
        decision = decide(facts, settings, facts.look.at)
        evidence = tell.evidence_of(facts, case.baseline, looks)
        if (decision.action, decision.row) != noted:
            noted = (decision.action, decision.row)
            _note(script, desk, case, decision)
        if decision.action is not Action.STAND_DOWN and not is_counted:
            is_counted = True
            script.act("count it as bad", partial(_count_bad, desk, case))
            if decision.action in (Action.ROLL_BACK, Action.ESCALATE):
                # Before the rejection frees the stage: what waits outside would come in.
                freeze(script, desk, case.deployment, decision.reason)
            if case.cause is Cause.BAKE_FAILED and settings.mode is not RollbackMode.OBSERVE:
                stop_the_approval(script, desk, case)
        match decision.action:
            case Action.STAND_DOWN:
                return _stand_down(script, desk, case, decision)
            case Action.ESCALATE:
                return escalate(script, desk, case, settings, facts, decision.reason, evidence)
            case Action.HOLD:
                return _hold(script, desk, case, settings, facts, decision, evidence)
            case Action.OBSERVE | Action.REFUSE:
                return _refuse(script, desk, case, settings, facts, decision, evidence)
            case Action.ASK:
                consent = _ask(script, desk, case, settings, facts, decision, evidence)
                # That took its time: whatever the environment does now has not been waited for.
                case = replace(case, consent=consent, has_waited=False)
            case Action.WAIT:
                wait_until_ready(
                    script, desk, case.deployment.environment, settings.ready_within, "ready"
                )
                case = replace(case, has_waited=True)
            case Action.ABORT:
                script.do(
                    f"abort {number}", str, partial(_abort, desk, case.deployment.environment)
                )
                wait_until_ready(
                    script, desk, case.deployment.environment, settings.ready_within, "aborted"
                )
                case = replace(case, has_aborted=True)
            case Action.ROLL_BACK:
                went = go_back(
                    script, desk, case, settings, facts, decision, evidence, bad_since, None
                )
                if went.again is None:
                    return _ended(went)
                case = went.again
    return escalate(
        script,
        desk,
        case,
        settings,
        facts,
        f"AWS did not take the rollback, tried {MOST_ROUNDS} times: {case.why}",
        evidence,
    )


def _facts_of_before(desk: Desk, case: Case, begun: Act) -> Facts:
    """The facts, with the version that an earlier watch chose: another may be known-good by now."""
    facts = read_facts(desk, case)
    return replace(facts, good=good_of(desk, case.deployment.environment, begun, facts.good))


def _has_moved_on(facts: Facts) -> bool:
    return (facts.newer or facts.stopped or facts.closed_by_person) is not None


def _ended(went: Went) -> Ended:
    return Ended(outcome=went.outcome, reason=went.reason)


def _note(script: Script, desk: Desk, case: Case, decision: Decision) -> None:
    def note() -> str:
        logger.info(
            "decided",
            pipeline=case.deployment.pipeline,
            execution=case.deployment.execution_id,
            environment=case.deployment.environment,
            action=decision.action.value,
            row=decision.row,
            reason=decision.reason,
        )
        desk.measures.decided(case.deployment.environment, decision.action.value, decision.row)
        return decision.reason

    script.act("note the decision", note)


def _count_bad(desk: Desk, case: Case) -> str:
    desk.measures.bad(case.deployment.environment)
    return "counted"


def _stand_down(script: Script, desk: Desk, case: Case, decision: Decision) -> Ended:
    deployment = case.deployment
    # It may have closed the stage before the world moved on.
    is_open = unfreeze_own(script, desk, deployment)
    more = f"; {deployment.stage}, which had been closed for it, is open again" if is_open else ""
    reason = f"{decision.reason}{more}"

    def say() -> str:
        now = desk.now()
        desk.ledger.set_bake(_remembered(deployment, BakeState.ENDED, reason, now, now))
        return desk.bus.publish(tell.bake_event(deployment, BakeState.ENDED, reason, now))

    script.do("tell that it stands down", str, say)
    return Ended(outcome="stood down", reason=reason)


def escalate(
    script: Script,
    desk: Desk,
    case: Case,
    settings: EnvironmentSettings,
    facts: Facts,
    reason: str,
    evidence: tuple[str, ...],
) -> Ended:
    """Let nothing more into the stage, and page a person."""
    deployment = case.deployment
    frozen = freeze(script, desk, deployment, reason)
    # What a person has closed only that person opens.
    order = (
        {"command": "unfreeze", "stage": deployment.stage}
        if frozen.is_ours
        else {"command": "roll-back", "environment": deployment.environment}
    )

    def say() -> str:
        return desk.bus.publish(
            tell.rollback_event(
                deployment,
                settings,
                RollbackState.REFUSED,
                reason,
                desk.now(),
                facts=facts,
                evidence=evidence,
                next_command=tell.command(desk.settings, order),
                is_frozen=frozen.is_ours,
            )
        )

    script.do("tell that a person is needed", str, say)
    return Ended(outcome="escalated", reason=reason)


def _hold(
    script: Script,
    desk: Desk,
    case: Case,
    settings: EnvironmentSettings,
    facts: Facts,
    decision: Decision,
    evidence: tuple[str, ...],
) -> Ended:
    deployment = case.deployment
    order = {"command": "release", "environment": deployment.environment}

    def say() -> str:
        desk.ledger.set_hold(
            Hold(
                environment=deployment.environment,
                pipeline=deployment.pipeline,
                stage=deployment.stage,
                execution_id=deployment.execution_id,
                action_execution_id=deployment.action_execution_id,
                reason=decision.reason,
                at=desk.now(),
            )
        )
        return desk.bus.publish(
            tell.rollback_event(
                deployment,
                settings,
                RollbackState.HELD,
                decision.reason,
                desk.now(),
                facts=facts,
                good=facts.good,
                evidence=evidence,
                next_command=tell.command(desk.settings, order),
            )
        )

    script.do("tell that it is held", str, say)
    return Ended(outcome="held", reason=decision.reason)


def _refuse(
    script: Script,
    desk: Desk,
    case: Case,
    settings: EnvironmentSettings,
    facts: Facts,
    decision: Decision,
    evidence: tuple[str, ...],
) -> Ended:
    order = {"command": "roll-back", "environment": case.deployment.environment}

    def say() -> str:
        return desk.bus.publish(
            tell.rollback_event(
                case.deployment,
                settings,
                RollbackState.REFUSED,
                decision.reason,
                desk.now(),
                facts=facts,
                good=decision.target,
                route=decision.route,
                evidence=evidence,
                next_command=tell.command(desk.settings, order),
            )
        )

    script.do("tell that nothing was done", str, say)
    return Ended(outcome=decision.action.value, reason=decision.reason)


def _ask(
    script: Script,
    desk: Desk,
    case: Case,
    settings: EnvironmentSettings,
    facts: Facts,
    decision: Decision,
    evidence: tuple[str, ...],
) -> Consent:
    def say(callback_id: str) -> None:
        desk.bus.publish(
            tell.rollback_event(
                case.deployment,
                settings,
                RollbackState.AWAITING_APPROVAL,
                decision.reason,
                desk.now(),
                facts=facts,
                good=decision.target,
                route=decision.route,
                evidence=evidence,
                next_command=tell.answer_command(desk.settings, callback_id),
            )
        )

    reply = script.ask("a person's yes", say, settings.answer_within)
    match reply.answer:
        case Answer.YES:
            return Consent.GIVEN
        case Answer.NO:
            return Consent.REFUSED
        case Answer.NONE:
            return Consent.EXPIRED


def wait_until_ready(
    script: Script, desk: Desk, environment: str, limit: timedelta, name: str
) -> bool:
    """Give an environment its time to become Ready; whether it did.

    The pauses of a longer time are longer, so that no time has 200 looks of two operations each:
    an execution holds 3,000, and this may come three times in one.
    https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html#limits-durable-functions
    """
    longest = max(timedelta(seconds=15), limit / 120)

    def wait(part: Script) -> bool:
        began = part.do("begin", datetime, desk.now)
        for number in range(1, 1000):
            seen = part.do(f"look {number}", _Readiness, lambda: _readiness(desk, environment))
            if seen.is_ready or seen.at - began >= limit:
                return seen.is_ready
            part.wait(f"pause {number}", _lengthening(number, longest))
        return False

    return script.apart(name, bool, wait)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Readiness:
    at: datetime
    is_ready: bool


def _readiness(desk: Desk, environment: str) -> _Readiness:
    look = desk.beanstalk.look(environment, desk.now())
    return _Readiness(at=look.at, is_ready=look.is_ready)


def _abort(desk: Desk, environment: str) -> str:
    desk.beanstalk.abort(environment)
    return "aborted"


def stop_the_approval(script: Script, desk: Desk, case: Case) -> None:
    """Reject the approval that this very release waits for: what it would approve is bad."""
    deployment = case.deployment

    def reject() -> str:
        stage = desk.pipeline.stage(deployment.stage, deployment.action)
        if stage.approval_token is None or stage.approval_action is None:
            return "no approval waits"
        if stage.execution_id != deployment.execution_id:
            return "another release waits"
        summary = tell.sentence(f"rejected by Trellis: {case.why}")
        try:
            desk.pipeline.reject(
                deployment.stage, stage.approval_action, stage.approval_token, summary
            )
        except RefusedError as err:
            if err.code in ("ApprovalAlreadyCompletedException", "InvalidApprovalTokenException"):
                return "answered meanwhile"
            raise
        return "rejected"

    script.do("reject the approval", str, reject)
