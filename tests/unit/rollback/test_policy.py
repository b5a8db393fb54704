"""The decision: every row of the table, in its order, and what holds for all facts."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings

from rollback import policy
from rollback.facts import Cause, Consent, Facts, Instance, PastRollback
from rollback.policy import Action, decide
from rollback.settings import EnvironmentSettings
from tests.unit.rollback.samples import (
    GOOD,
    NOW,
    SETTINGS,
    STARTED,
    all_facts,
    all_settings,
    facts,
    look,
)
from trellis.events import RollbackMode, RollbackRoute

FAILED = {"cause": Cause.DEPLOY_FAILED, "why": "the deployment failed (no permission)"}
OBSERVE = replace(SETTINGS, mode=RollbackMode.OBSERVE)
APPROVE = replace(SETTINGS, mode=RollbackMode.APPROVE)
NOT_READY = look(status="Updating", is_abortable=True)

TABLE: list[tuple[str, dict[str, Any], EnvironmentSettings, Action, str]] = [
    (
        "stopped_by_a_person",
        {"stopped": "the run was stopped (ada looks at it)"},
        SETTINGS,
        Action.STAND_DOWN,
        "ada looks at it",
    ),
    (
        "nothing_was_deployed",
        {**FAILED, "has_update_begun": False, "look": look("label-1"), "old_labels": {"label-1"}},
        SETTINGS,
        Action.STAND_DOWN,
        "nothing reached bakery-prod-demo",
    ),
    (
        "nothing_was_deployed",
        {**FAILED, "is_cancelled": True, "look": look("label-1"), "old_labels": {"label-1"}},
        SETTINGS,
        Action.STAND_DOWN,
        "the pipeline was updated",
    ),
    (
        "a_newer_deployment",
        {"newer": "a newer deployment (e-3) is running"},
        SETTINGS,
        Action.STAND_DOWN,
        "e-3",
    ),
    ("a_rollback_itself", {"is_rollback": True}, SETTINGS, Action.ESCALATE, "itself a rollback"),
    (
        "rolled_back_before",
        {"quarantined": frozenset({"v2"})},
        SETTINGS,
        Action.ESCALATE,
        "v2 was rolled back from bakery-prod-demo before",
    ),
    (
        "rolled_back_before",
        {"rollbacks": (PastRollback(at=NOW - timedelta(days=30), bad_revision="v2"),)},
        SETTINGS,
        Action.ESCALATE,
        "before",
    ),
    (
        "cap_is_reached",
        {
            "rollbacks": tuple(
                PastRollback(at=NOW - timedelta(hours=n), bad_revision=f"v{n}") for n in (7, 8)
            )
        },
        SETTINGS,
        Action.ESCALATE,
        "2 times within 24 hours",
    ),
    (
        "closed_by_a_person",
        {"closed_by_person": "ada has closed DeployToProd (freeze)"},
        SETTINGS,
        Action.ESCALATE,
        "ada has closed DeployToProd",
    ),
    (
        "not_rollback_safe",
        {"unsafe": "the commit says Rollback-Safe: no"},
        SETTINGS,
        Action.HOLD,
        "Rollback-Safe: no",
    ),
    ("no_known_good", {"good": None}, SETTINGS, Action.ESCALATE, "no version has proven itself"),
    (
        "known_good_is_newer",
        {"good": replace(GOOD, since=NOW)},
        SETTINGS,
        Action.ESCALATE,
        "newer than this deployment",
    ),
    (
        "known_good_is_everywhere",
        {"look": look("label-1", "label-1")},
        SETTINGS,
        Action.ESCALATE,
        "already runs the known-good v1",
    ),
    (
        "known_good_is_everywhere",
        {"good": replace(GOOD, revision="v2")},
        SETTINGS,
        Action.ESCALATE,
        "this very v2",
    ),
    (
        "known_good_is_quarantined",
        {"quarantined": frozenset({"v1"})},
        SETTINGS,
        Action.ESCALATE,
        "in quarantine",
    ),
    (
        "bundle_is_gone",
        {
            "good": replace(
                GOOD, is_registered=False, is_copied=False, stage_problem="it has expired"
            )
        },
        SETTINGS,
        Action.ESCALATE,
        "gone from every place",
    ),
    ("only_observed", {}, OBSERVE, Action.OBSERVE, "goes back to v1 by RollbackStage"),
    ("asks_first", {}, APPROVE, Action.ASK, "with a yes"),
    ("asks_first", {"consent": Consent.REFUSED}, APPROVE, Action.REFUSE, "a person said no"),
    ("asks_first", {"consent": Consent.EXPIRED}, APPROVE, Action.REFUSE, "nobody answered"),
    ("environment_is_changing", {"look": NOT_READY}, SETTINGS, Action.WAIT, "is Updating"),
    (
        "environment_is_changing",
        {"look": look("label-1", "label-1", status="Updating")},
        SETTINGS,
        Action.WAIT,
        "waited for first",
    ),
    (
        "environment_is_not_ready",
        {"look": NOT_READY, "has_waited": True},
        SETTINGS,
        Action.ABORT,
        "is aborted",
    ),
    (
        "environment_is_not_ready",
        {"look": NOT_READY, "has_waited": True, "has_aborted": True},
        SETTINGS,
        Action.ESCALATE,
        "takes no deployment",
    ),
    (
        "mixed_fleet",
        {"look": look("label-2", "label-1", version_label="label-1")},
        SETTINGS,
        Action.ROLL_BACK,
        "label-1 and label-2",
    ),
    ("otherwise", {}, SETTINGS, Action.ROLL_BACK, "goes back to v1 by RollbackStage"),
    ("otherwise", {"consent": Consent.GIVEN}, APPROVE, Action.ROLL_BACK, "goes back to v1"),
]


@pytest.mark.parametrize(
    ("row", "given_facts", "given_settings", "action", "words"),
    TABLE,
    ids=[f"{row[0]}-{row[3]}-{number}" for number, row in enumerate(TABLE)],
)
def test_each_row_of_the_table(
    row: str,
    given_facts: dict[str, Any],
    given_settings: EnvironmentSettings,
    action: Action,
    words: str,
) -> None:
    decision = decide(facts(**given_facts), given_settings, NOW)
    assert (decision.row, decision.action) == (row, action)
    assert words in decision.reason


def test_the_table_names_every_row() -> None:
    assert {row.__name__ for row in policy.ROWS} == {row[0] for row in TABLE}


def test_what_is_not_known_is_never_taken_for_nothing() -> None:
    """An instance that says nothing, or an update of which nothing is known, is no row one."""
    silent = replace(look("label-1"), instances=(Instance(id="i", version_label=None),))
    for more in (
        {"has_update_begun": None, "look": look("label-1")},
        {"has_update_begun": False, "look": silent},
        {"has_update_begun": False, "look": replace(silent, instances=())},
    ):
        decision = decide(facts(**FAILED, old_labels=frozenset({"label-1"}), **more), SETTINGS, NOW)
        assert decision.action is not Action.STAND_DOWN


def test_old_is_told_by_time_where_nobody_looked_before() -> None:
    instance = Instance(id="i", version_label="x", deployed_at=STARTED - timedelta(days=1))
    untouched = replace(look(), instances=(instance,))
    decision = decide(facts(**FAILED, has_update_begun=False, look=untouched), SETTINGS, NOW)
    assert decision.action is Action.STAND_DOWN


@pytest.mark.parametrize(
    ("more", "route"),
    [
        ({}, RollbackRoute.STAGE),
        ({"has_approval": True}, RollbackRoute.ENVIRONMENT),
        ({"good": replace(GOOD, stage_problem="outdated")}, RollbackRoute.ENVIRONMENT),
    ],
)
def test_the_first_route_wherever_it_can_be(more: dict[str, Any], route: RollbackRoute) -> None:
    assert decide(facts(**more), SETTINGS, NOW).route is route


def test_a_person_passes_over_what_keeps_the_automation_back_and_nothing_else() -> None:
    by_hand = {"cause": Cause.BY_HAND, "why": "a person ordered it"}
    held_back = facts(
        **by_hand,
        stopped="stopped",
        newer="newer",
        is_rollback=True,
        unsafe="marked",
        closed_by_person="closed",
    )
    assert decide(held_back, OBSERVE, NOW).action is Action.ROLL_BACK
    deployed_over = facts(**by_hand, revision="v1", look=look("label-9", "label-9"))
    assert decide(deployed_over, SETTINGS, NOW).action is Action.ROLL_BACK
    assert decide(facts(**by_hand, good=None), SETTINGS, NOW).row == "no_known_good"
    quarantined = facts(**by_hand, quarantined=frozenset({"v1"}))
    assert decide(quarantined, SETTINGS, NOW).row == "known_good_is_quarantined"


@given(all_facts, all_settings)
@settings(max_examples=400, deadline=None)
def test_never_to_a_version_that_is_no_way_back(
    given_facts: Facts, how: EnvironmentSettings
) -> None:
    decision = decide(given_facts, how, NOW)
    assert len(decision.reason) > 10
    assert decision == decide(given_facts, how, NOW)
    if decision.action is not Action.ROLL_BACK:
        return
    target, route = decision.target, decision.route
    assert target is not None
    assert route is not None
    assert target.revision not in given_facts.quarantined
    assert not given_facts.is_good_everywhere
    assert given_facts.look.is_ready
    if route is RollbackRoute.STAGE:
        assert target.stage_problem is None
        assert not given_facts.has_approval
    else:
        assert target.is_registered or target.is_copied
    if given_facts.cause is not Cause.BY_HAND:
        assert target.revision != given_facts.revision
        assert target.since <= given_facts.deployment.started
        assert given_facts.revision not in {past.bad_revision for past in given_facts.rollbacks} - {
            None
        }
        assert how.mode is not RollbackMode.OBSERVE
        assert how.mode is not RollbackMode.APPROVE or given_facts.consent is Consent.GIVEN
