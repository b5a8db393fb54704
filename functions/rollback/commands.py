"""What people order by hand: plan, roll back, release a hold, lift a quarantine, freeze, unfreeze.

A command is a person's decision, so it passes over the rows of the policy that keep the
automation from acting by itself; it never goes back to what is not there or is in quarantine.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from rollback import freeze, tell
from rollback.act import count_failure, go_back
from rollback.desk import Desk
from rollback.facts import BY_HAND, ActionRun, Baseline, Cause, Deployment, Facts
from rollback.gather import Case, read_baseline, read_facts
from rollback.order import BadOrderError, Command, CommandName
from rollback.policy import Action, Decision, decide
from rollback.script import GaveUpError, Script
from rollback.settings import EnvironmentSettings
from rollback.workflow import MOST_ROUNDS, stop_the_approval, wait_until_ready
from trellis.events import RollbackState


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What would happen to one environment now."""

    environment: str
    stage: str
    mode: str
    running: str | None
    """The version label."""
    revision: str | None
    health: str
    known_good: str | None
    known_good_since: datetime | None
    quarantined: tuple[str, ...]
    is_frozen: bool
    held: str | None
    action: str
    reason: str
    target: str | None
    route: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What came of a command."""

    outcome: str
    reason: str
    plans: tuple[Plan, ...] = ()


def obey(script: Script, desk: Desk, command: Command) -> Done:
    """Carry a command out. Raises BadOrderError for one that names what is not there."""
    wanted = _environments(desk, command)
    settings = wanted[0]
    match command.name:
        case CommandName.PLAN:
            plans = tuple(
                script.do(f"plan {one.stage}", Plan, partial(plan, desk, one)) for one in wanted
            )
            return Done(outcome="planned", reason="nothing was done", plans=plans)
        case CommandName.ROLL_BACK:
            return _roll_back(script, desk, settings, command)
        case CommandName.RELEASE:
            return _release(script, desk, settings, command)
        case CommandName.LIFT_QUARANTINE:
            return script.do("lift", Done, lambda: _lift(desk, settings, command))
        case CommandName.FREEZE:
            return script.do("freeze", Done, lambda: _freeze(desk, settings, command))
        case CommandName.UNFREEZE:
            return script.do("unfreeze", Done, lambda: _unfreeze(desk, settings))


def _environments(desk: Desk, command: Command) -> tuple[EnvironmentSettings, ...]:
    if command.environment is None:
        return desk.settings.stages
    found = desk.settings.named(command.environment)
    if found is None:
        known = ", ".join(one.environment for one in desk.settings.stages)
        raise BadOrderError(f"there is no environment {command.environment!r}: there are {known}")
    return (found,)


def plan(desk: Desk, settings: EnvironmentSettings) -> Plan:
    """What would be decided if the environment's newest deployment turned bad now."""
    run = _newest(desk, settings)
    known = desk.ledger.known_good(settings.environment)
    stage = desk.pipeline.stage(settings.stage)
    hold = desk.ledger.hold(settings.environment)
    if run is None:
        look = desk.beanstalk.look(settings.environment, desk.now())
        decision = Decision(
            Action.STAND_DOWN,
            f"nothing was ever deployed to {settings.environment} by this pipeline",
        )
        label, revision, health = look.version_label, None, look.health
    else:
        case = Case(
            deployment=run.deployment,
            cause=Cause.BAKE_FAILED,
            why="if its health turned bad now",
            baseline=Baseline(source="seen"),
        )
        facts = read_facts(desk, case)
        decision = decide(facts, settings, facts.look.at)
        label, revision, health = facts.look.version_label, facts.revision, facts.look.health
        running = desk.ledger.revisions(settings.environment).get(label or "")
        if running is not None and facts.version_label != label:
            # Not what the pipeline deployed last: somebody has gone back from that.
            revision = running
            if known is not None and known.revision == running:
                decision = Decision(
                    Action.STAND_DOWN,
                    f"{settings.environment} went back to the known-good {running} since its last "
                    "deployment, and there is nothing else to go back to",
                )
    return Plan(
        environment=settings.environment,
        stage=settings.stage,
        mode=settings.mode.value,
        running=label,
        revision=revision,
        health=health.value,
        known_good=known.revision if known else None,
        known_good_since=known.since if known else None,
        quarantined=tuple(sorted(desk.ledger.quarantined(settings.environment))),
        is_frozen=not stage.transition.is_enabled,
        held=hold.reason if hold else None,
        action=decision.action.value,
        reason=tell.sentence(decision.reason),
        target=decision.target.revision if decision.target else None,
        route=decision.route.value if decision.route else None,
    )


def _newest(desk: Desk, settings: EnvironmentSettings) -> ActionRun | None:
    """The stage's newest deployment, by the run that the stage had last.

    Among the newest actions of all stages it may be buried: a hundred runs that production's
    approval turned away are more than are read.
    """
    run_of_stage = desk.pipeline.stage(settings.stage).execution_id
    for execution_id in (run_of_stage, None) if run_of_stage else (None,):
        for run in desk.pipeline.deploys(execution_id):
            if run.deployment.stage == settings.stage:
                return run
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    deployment: Deployment | None
    at: datetime
    newest: str | None = None
    """Its own action execution; None where another run has entered the stage since."""


def _roll_back(
    script: Script,
    desk: Desk,
    settings: EnvironmentSettings,
    command: Command,
    held: str | None = None,
) -> Done:
    """Go back from whatever is newest; with `held` from that deployment alone."""
    found = script.do("newest deployment", _Found, lambda: _look_up(desk, settings, script.id))
    if found.deployment is None:
        return Done(
            outcome="refused",
            reason=f"nothing was ever deployed to {settings.environment} by this pipeline",
        )
    deployment = found.deployment
    if held is not None and found.newest != held:
        reason = (
            f"what was held is no longer the newest deployment of {settings.environment}; "
            "roll-back goes back from the one that is"
        )
        script.do(
            "tell that it is refused",
            str,
            lambda: desk.bus.publish(
                tell.rollback_event(deployment, settings, RollbackState.REFUSED, reason, desk.now())
            ),
        )
        return Done(outcome="refused", reason=reason)
    baseline = script.do(
        "baseline", Baseline, lambda: _baseline_by_hand(desk, found.deployment, settings)
    )
    why = f"a person ordered it{f' ({command.reason})' if command.reason else ''}"
    case = Case(
        deployment=found.deployment,
        cause=Cause.BY_HAND,
        why=why,
        baseline=baseline,
        wanted=command.version,
    )
    try:
        return _go_back(script, desk, settings, case)
    except GaveUpError as err:
        # Whoever ordered it waits for a message; the dead-letter queue alone tells nobody why.
        script.act("count the failure", partial(count_failure, desk, settings.environment))
        script.do("tell that it failed", str, partial(_say_failed, desk, case, settings, str(err)))
        raise


def _go_back(script: Script, desk: Desk, settings: EnvironmentSettings, case: Case) -> Done:
    """Decide and act until something is done. Raises GaveUpError."""
    for number in range(1, MOST_ROUNDS + 1):
        facts = script.do(f"facts {number}", Facts, partial(read_facts, desk, case))
        decision = decide(facts, settings, facts.look.at)
        evidence = tell.evidence_of(facts, case.baseline, ())
        match decision.action:
            case Action.WAIT:
                wait_until_ready(script, desk, settings.environment, settings.ready_within, "ready")
                case = replace(case, has_waited=True)
            case Action.ABORT:
                script.do("abort", str, partial(_abort, desk, settings.environment))
                wait_until_ready(
                    script, desk, settings.environment, settings.ready_within, "aborted"
                )
                case = replace(case, has_aborted=True)
            case Action.ROLL_BACK:
                # Closed first: the rejection frees the stage for what waits outside.
                freeze.freeze(script, desk, case.deployment, decision.reason)
                stop_the_approval(script, desk, case)
                went = go_back(script, desk, case, settings, facts, decision, evidence, None, None)
                if went.again is None:
                    return Done(outcome=went.outcome, reason=tell.sentence(went.reason))
                case = went.again
            case _:
                freeze.unfreeze_own(script, desk, case.deployment)
                script.do(
                    "tell that it is refused",
                    str,
                    partial(_say_refused, desk, case, settings, facts, decision),
                )
                return Done(outcome="refused", reason=tell.sentence(decision.reason))
    raise GaveUpError(f"AWS did not take the rollback, tried {MOST_ROUNDS} times")


def _say_failed(desk: Desk, case: Case, settings: EnvironmentSettings, problem: str) -> str:
    """The ledger knows whether the stage was closed for it; CodePipeline may be what is silent."""
    deployment = case.deployment
    frozen = desk.ledger.frozen(desk.pipeline.name, deployment.stage)
    order = {"command": "roll-back", "environment": deployment.environment}
    return desk.bus.publish(
        tell.rollback_event(
            deployment,
            settings,
            RollbackState.FAILED,
            f"the order to roll back {deployment.environment} could not go on: {problem}",
            desk.now(),
            next_command=tell.command(desk.settings, order),
            is_frozen=frozen is not None,
            ordered_version=case.wanted,
        )
    )


def _look_up(desk: Desk, settings: EnvironmentSettings, me: str) -> _Found:
    """The environment's newest deployment; the command acts under a name of its own."""
    run = _newest(desk, settings)
    if run is None:
        return _Found(deployment=None, at=desk.now())
    is_followed = desk.pipeline.stage(settings.stage).taken_by_another(run.deployment) is not None
    own = f"{BY_HAND}{me.rsplit('/', 1)[-1]}"
    return _Found(
        deployment=replace(run.deployment, action_execution_id=own),
        at=desk.now(),
        newest=None if is_followed else run.deployment.action_execution_id,
    )


def _baseline_by_hand(
    desk: Desk, deployment: Deployment | None, settings: EnvironmentSettings
) -> Baseline:
    """A person goes back because it is bad now, so it may be no worse afterwards."""
    if deployment is None:
        return Baseline(source="events")
    return replace(read_baseline(desk, deployment, settings), source="events", health=None)


def _abort(desk: Desk, environment: str) -> str:
    desk.beanstalk.abort(environment)
    return "aborted"


def _say_refused(
    desk: Desk, case: Case, settings: EnvironmentSettings, facts: Facts, decision: Decision
) -> str:
    return desk.bus.publish(
        tell.rollback_event(
            case.deployment,
            settings,
            RollbackState.REFUSED,
            decision.reason,
            desk.now(),
            facts=facts,
            good=facts.good,
            evidence=tell.evidence_of(facts, case.baseline, ()),
            ordered_version=case.wanted,
        )
    )


def _release(script: Script, desk: Desk, settings: EnvironmentSettings, command: Command) -> Done:
    """A hold that a person releases is rolled back."""
    held = script.do("hold", _Held, lambda: _held(desk, settings.environment))
    if held.reason is None:
        return Done(outcome="refused", reason=f"no release of {settings.environment} is held")
    why = command.reason or "the hold was released"
    done = _roll_back(
        script, desk, settings, replace(command, reason=why), held.action_execution_id
    )
    if done.outcome == "rolled back":
        script.do("forget the hold", str, lambda: _forget_hold(desk, settings.environment))
    return done


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    reason: str | None
    action_execution_id: str | None = None


def _held(desk: Desk, environment: str) -> _Held:
    hold = desk.ledger.hold(environment)
    if hold is None:
        return _Held(reason=None)
    return _Held(reason=hold.reason, action_execution_id=hold.action_execution_id)


def _forget_hold(desk: Desk, environment: str) -> str:
    desk.ledger.release_hold(environment)
    return "forgotten"


def _lift(desk: Desk, settings: EnvironmentSettings, command: Command) -> Done:
    revision = command.version or ""
    known = desk.ledger.quarantined(settings.environment)
    if revision not in known:
        shown = ", ".join(sorted(known)) or "none"
        return Done(
            outcome="refused",
            reason=f"{revision} is not in quarantine in {settings.environment}: {shown}",
        )
    desk.ledger.lift_quarantine(settings.environment, revision)
    desk.ledger.forgive(settings.environment, revision)
    return Done(
        outcome="lifted", reason=f"{revision} may be deployed to {settings.environment} again"
    )


def _freeze(desk: Desk, settings: EnvironmentSettings, command: Command) -> Done:
    frozen = freeze.close(
        desk, settings.stage, freeze.ORDERED, freeze.ORDERED, f"by hand {command.reason}".strip()
    )
    if not frozen.is_ours:
        return Done(outcome="refused", reason=f"{settings.stage} was closed by somebody already")
    return Done(outcome="frozen", reason=f"nothing enters {settings.stage} until it is unfrozen")


def _unfreeze(desk: Desk, settings: EnvironmentSettings) -> Done:
    if freeze.open_again(desk, settings.stage):
        return Done(outcome="unfrozen", reason=f"releases enter {settings.stage} again")
    return Done(
        outcome="refused",
        reason=f"{settings.stage} is not as Trellis left it: open it in CodePipeline",
    )
