"""The decision: what to do about a bad deployment, and why. Pure.

One function a row of the table in docs/rollback.md, in the table's order: the first row that
holds decides, and the safest come first. A person's command passes over the rows that keep the
automation from acting by itself, never over those that say there is nothing to go back to.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from rollback.facts import Cause, Consent, Facts, Good, named
from rollback.settings import EnvironmentSettings
from trellis.events import RollbackMode, RollbackRoute


class Action(StrEnum):
    """What can be done."""

    STAND_DOWN = "stand down"
    """Nothing: there is nothing to undo, or somebody else already has."""
    ESCALATE = "escalate"
    """Freeze the stage and page a person."""
    HOLD = "hold"
    """Page a person, who may force it."""
    OBSERVE = "observe"
    """Say what would be done."""
    ASK = "ask"
    """Wait for a person's yes."""
    REFUSE = "refuse"
    """A person said no, or nothing."""
    WAIT = "wait"
    """Until the environment can be changed."""
    ABORT = "abort"
    """The environment's update, so that it can be changed."""
    ROLL_BACK = "roll back"


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do about a deployment, and why; the reason is read by people."""

    action: Action
    reason: str
    target: Good | None = None
    route: RollbackRoute | None = None
    row: str = ""
    """The row that decided; counted as a metric."""


type Row = Callable[[Facts, EnvironmentSettings, datetime], Decision | None]


def decide(
    facts: Facts, settings: EnvironmentSettings, now: datetime, rows: Sequence[Row] | None = None
) -> Decision:
    """Judge a deployment that ended badly."""
    for row in ROWS if rows is None else rows:
        if facts.cause is Cause.BY_HAND and row in NOT_FOR_PEOPLE:
            continue
        decision = row(facts, settings, now)
        if decision is not None:
            return replace(_within_mode(decision, facts, settings), row=row.__name__)
    raise AssertionError("the last row always decides")


def _within_mode(decision: Decision, facts: Facts, settings: EnvironmentSettings) -> Decision:
    """Mode observe closes no stage and holds no release: that too is said and not done."""
    would = {
        Action.ESCALATE: f"{facts.deployment.stage} would be closed and a person paged",
        Action.HOLD: "it would be held until a person releases it",
    }.get(decision.action)
    is_ordered = facts.cause is Cause.BY_HAND
    if would is None or is_ordered or settings.mode is not RollbackMode.OBSERVE:
        return decision
    return Decision(Action.OBSERVE, f"only observed: {decision.reason}; without that, {would}")


def stopped_by_a_person(
    facts: Facts, settings: EnvironmentSettings, now: datetime
) -> Decision | None:
    """Whoever stopped the run decides what becomes of it."""
    if facts.stopped is None:
        return None
    return Decision(
        Action.STAND_DOWN,
        f"{facts.stopped}, and what becomes of {facts.name} now is a person's decision",
    )


def nothing_was_deployed(
    facts: Facts, settings: EnvironmentSettings, now: datetime
) -> Decision | None:
    """No update has begun and every instance runs what ran before; both must be known.

    Where the pipeline was updated meanwhile, nothing has failed: then what the instances run is
    enough.
    """
    if facts.cause is not Cause.DEPLOY_FAILED or not facts.is_everywhere_old:
        return None
    if facts.is_cancelled and facts.look.is_ready:
        return Decision(
            Action.STAND_DOWN,
            f"the pipeline was updated before the deployment was over, and every instance of "
            f"{facts.name} runs what ran before",
        )
    if facts.has_update_begun is not False:
        return None
    return Decision(
        Action.STAND_DOWN,
        f"nothing reached {facts.name}: no update has begun there since the action did, and every "
        f"instance runs what ran before ({_why(facts)})",
    )


def a_newer_deployment(
    facts: Facts, settings: EnvironmentSettings, now: datetime
) -> Decision | None:
    """What is newer has taken over, or is about to."""
    if facts.newer is None:
        return None
    return Decision(
        Action.STAND_DOWN, f"{facts.newer}: {facts.name} is no longer this deployment's"
    )


def a_rollback_itself(
    facts: Facts, settings: EnvironmentSettings, now: datetime
) -> Decision | None:
    """Going back from going back never ends."""
    if not facts.is_rollback:
        return None
    return _escalate(f"this deployment is itself a rollback, and {_why(facts)}")


def rolled_back_before(
    facts: Facts, settings: EnvironmentSettings, now: datetime
) -> Decision | None:
    """One automatic rollback for each bad revision."""
    bad = facts.revision
    known = facts.quarantined | {past.bad_revision for past in facts.rollbacks}
    if bad is None or bad not in known:
        return None
    return _escalate(
        f"{named(bad, facts.summary)} was rolled back from {facts.name} before and was deployed "
        f"again: {_why(facts)}"
    )


def cap_is_reached(facts: Facts, settings: EnvironmentSettings, now: datetime) -> Decision | None:
    """A window has a most that may happen by itself."""
    begun = sum(
        1
        for past in facts.rollbacks
        if not past.is_by_hand and now - past.at <= settings.cap_window
    )
    if begun < settings.cap:
        return None
    hours = settings.cap_window.total_seconds() / 3600
    return _escalate(
        f"{facts.name} was rolled back {begun} times within {hours:g} hours, the most that may "
        f"happen by itself: {_why(facts)}"
    )


def closed_by_a_person(
    facts: Facts, settings: EnvironmentSettings, now: datetime
) -> Decision | None:
    """Whoever closed the stage has taken over."""
    if facts.closed_by_person is None:
        return None
    return _escalate(f"{facts.closed_by_person}, and a person's decision wins: {_why(facts)}")


def not_rollback_safe(
    facts: Facts, settings: EnvironmentSettings, now: datetime
) -> Decision | None:
    """The release says that going back may do more harm, as after a database migration."""
    if facts.unsafe is None:
        return None
    return Decision(
        Action.HOLD,
        f"the release is marked as not safe to roll back ({facts.unsafe}): {_why(facts)}",
    )


def no_known_good(facts: Facts, settings: EnvironmentSettings, now: datetime) -> Decision | None:
    """The first release, or one whose predecessors never proved themselves."""
    if facts.good is not None:
        return None
    return _escalate(
        f"no version has proven itself in {facts.name} yet that it could go back to: {_why(facts)}"
    )


def known_good_is_newer(
    facts: Facts, settings: EnvironmentSettings, now: datetime
) -> Decision | None:
    """Going forward is not going back."""
    if facts.good is None or facts.good.since <= facts.deployment.started:
        return None
    return _escalate(
        f"the known-good {facts.good.name} is newer than this deployment: {_why(facts)}"
    )


def environment_is_changing(
    facts: Facts, settings: EnvironmentSettings, now: datetime
) -> Decision | None:
    """What its instances will run, and whether it takes a deployment, is seen when it is over."""
    look = facts.look
    if look.is_ready or facts.has_waited:
        return None
    return Decision(
        Action.WAIT, f"{facts.name} is {look.status}, and that is waited for first: {_why(facts)}"
    )


def known_good_is_everywhere(
    facts: Facts, settings: EnvironmentSettings, now: datetime
) -> Decision | None:
    """Going back to what runs already would mend nothing."""
    good = facts.good
    if good is None:
        return None
    if facts.is_good_everywhere:
        return _escalate(
            f"every instance of {facts.name} already runs the known-good {good.name}: {_why(facts)}"
        )
    if facts.cause is not Cause.BY_HAND and good.revision == facts.revision:
        return _escalate(
            f"the known-good version of {facts.name} is this very {good.name}: {_why(facts)}"
        )
    return None


def known_good_is_quarantined(
    facts: Facts, settings: EnvironmentSettings, now: datetime
) -> Decision | None:
    """What was found bad is no way back."""
    if facts.good is None or facts.good.revision not in facts.quarantined:
        return None
    return _escalate(f"the known-good {facts.good.name} is in quarantine: {_why(facts)}")


def bundle_is_gone(facts: Facts, settings: EnvironmentSettings, now: datetime) -> Decision | None:
    """Neither route has anything to deploy."""
    good = facts.good
    if good is None or good.is_registered or good.is_copied or _takes_stage(facts, good):
        return None
    return _escalate(
        f"the bundle of the known-good {good.name} is gone from every place: {_why(facts)}"
    )


def only_observed(facts: Facts, settings: EnvironmentSettings, now: datetime) -> Decision | None:
    """Mode observe: said and not done."""
    if settings.mode is not RollbackMode.OBSERVE:
        return None
    return _with_plan(facts, Action.OBSERVE, f"only observed: {_why(facts)}; without that, ")


def asks_first(facts: Facts, settings: EnvironmentSettings, now: datetime) -> Decision | None:
    """Mode approve: a person's yes, and no answer is a no."""
    if settings.mode is not RollbackMode.APPROVE:
        return None
    match facts.consent:
        case Consent.GIVEN:
            return None
        case Consent.NOT_ASKED:
            return _with_plan(facts, Action.ASK, f"{_why(facts)}; with a yes ")
        case Consent.REFUSED:
            return _with_plan(facts, Action.REFUSE, f"a person said no: {_why(facts)}; with a yes ")
        case Consent.EXPIRED:
            return _with_plan(
                facts, Action.REFUSE, f"nobody answered, which is a no: {_why(facts)}; with a yes "
            )


def environment_is_not_ready(
    facts: Facts, settings: EnvironmentSettings, now: datetime
) -> Decision | None:
    """Only an environment that is Ready takes a deployment: what it does is aborted.

    What somebody else began is not.
    """
    look = facts.look
    if look.is_ready:
        return None
    if not facts.has_aborted and look.is_abortable and not facts.is_anothers:
        return _with_plan(
            facts, Action.ABORT, f"{facts.name} is still {look.status}, its update is aborted: "
        )
    return _escalate(f"{facts.name} stays {look.status} and takes no deployment: {_why(facts)}")


def mixed_fleet(facts: Facts, settings: EnvironmentSettings, now: datetime) -> Decision | None:
    """After a failed deployment the label may be the old one while instances run the new code."""
    if not facts.is_mixed:
        return None
    labels = sorted({one.version_label or "nothing known" for one in facts.look.instances})
    return _with_plan(
        facts,
        Action.ROLL_BACK,
        f"{_why(facts)}, and instances run {' and '.join(labels)} while {facts.name} is labelled "
        f"{facts.look.version_label}: ",
    )


def otherwise(facts: Facts, settings: EnvironmentSettings, now: datetime) -> Decision | None:
    """There is a way back and nothing in it."""
    return _with_plan(facts, Action.ROLL_BACK, f"{_why(facts)}: ")


ROWS: tuple[Row, ...] = (
    stopped_by_a_person,
    nothing_was_deployed,
    a_newer_deployment,
    a_rollback_itself,
    rolled_back_before,
    cap_is_reached,
    closed_by_a_person,
    not_rollback_safe,
    no_known_good,
    known_good_is_newer,
    environment_is_changing,
    known_good_is_everywhere,
    known_good_is_quarantined,
    bundle_is_gone,
    only_observed,
    asks_first,
    environment_is_not_ready,
    mixed_fleet,
    otherwise,
)

NOT_FOR_PEOPLE: frozenset[Row] = frozenset(
    {
        stopped_by_a_person,
        nothing_was_deployed,
        a_newer_deployment,
        a_rollback_itself,
        rolled_back_before,
        cap_is_reached,
        closed_by_a_person,
        not_rollback_safe,
        known_good_is_newer,
        only_observed,
        asks_first,
    }
)
"""Rows that a person's command passes over."""


def _escalate(reason: str) -> Decision:
    return Decision(Action.ESCALATE, reason)


def _with_plan(facts: Facts, action: Action, beginning: str) -> Decision:
    good = facts.good
    if good is None:
        return _escalate(f"there is no version to go back to: {_why(facts)}")
    route, because = _route(facts, good)
    plan = f"{facts.name} goes back to {good.name} by {route.value}{because}"
    return Decision(action, f"{beginning}{plan}", good, route)


def _route(facts: Facts, good: Good) -> tuple[RollbackRoute, str]:
    """RollbackStage where it can be: it keeps the pipeline's history true."""
    if facts.has_approval:
        stage = facts.deployment.stage
        because = f" (a rollback of {stage} itself would have to be approved again)"
        return RollbackRoute.ENVIRONMENT, because
    if good.stage_problem is not None:
        return RollbackRoute.ENVIRONMENT, f" ({good.stage_problem})"
    return RollbackRoute.STAGE, ""


def _takes_stage(facts: Facts, good: Good) -> bool:
    return good.stage_problem is None and not facts.has_approval


def _why(facts: Facts) -> str:
    return facts.why.strip().rstrip(".")
