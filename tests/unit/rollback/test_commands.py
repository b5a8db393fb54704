"""What a person orders by hand, on the release path in memory."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.unit.rollback import release_world
from tests.unit.rollback.release_world import (
    MOST_ACTIONS,
    Call,
    Release,
    Version,
    World,
    refused,
)
from tests.unit.rollback.test_workflow import SOON, good_first


def ordered(world: World, **command: str) -> dict[str, Any]:
    journal = world.invoke(command)
    world.play()
    answer: dict[str, Any] = journal.answer
    return answer


def test_plan_says_what_would_happen_to_each_environment_and_does_nothing() -> None:
    world = World()
    good_first(world)
    world.release(Release("v2"))
    world.play()
    calls = len(world.calls)
    plans = {one["environment"]: one for one in ordered(world, command="plan")["plans"]}
    assert set(plans) == {"bakery-dev-demo", "bakery-test-demo", "bakery-prod-demo"}
    prod = plans["bakery-prod-demo"]
    assert (prod["known_good"], prod["revision"], prod["health"]) == ("v2", "v2", "Ok")
    assert prod["action"] == "escalate"
    assert plans["bakery-dev-demo"]["reason"].startswith("Nothing was ever deployed")
    writes = {"rollback_stage", "update_environment", "disable_stage_transition", "put_events"}
    assert not writes & {call[1] for call in world.calls[calls:]}


def test_back_to_a_version_that_is_named_by_its_revision_or_its_label() -> None:
    for name in ("revision", "version"):
        world = World()
        good_first(world)
        label = world.environments["DeployToProd"].label
        world.release(Release("v2"))
        world.play()
        given = {"revision": "v1"} if name == "revision" else {"version": label}
        answer = ordered(world, command="roll-back", environment="prod", **given)
        assert answer["outcome"] == "rolled back"
        assert world.running() == {"v1"}
        assert set(world.ledger.quarantined("bakery-prod-demo")) == {"v2"}


@pytest.mark.parametrize("stage", ["DeployToTest", "DeployToProd"])
def test_what_a_person_goes_back_to_is_what_the_next_bad_release_goes_back_to(stage: str) -> None:
    world = World()
    environment = world.environments[stage].name
    good_first(world, stage)
    world.release(Release("v2"), stage)
    world.play()
    world.approval = None
    world.clock.pass_(timedelta(days=3))
    answer = ordered(world, command="roll-back", environment=environment, revision="v1")
    assert answer["outcome"] == "rolled back"
    good = world.ledger.known_good(environment)
    assert good is not None
    assert good.revision == "v1"
    copies = {key for _, key in world.objects if key.startswith(f"known-good/{environment}/")}
    assert copies == {good.bundle_key}
    world.clock.pass_(timedelta(days=3))
    # Whatever else held v1 has expired.
    world.objects = {one for one in world.objects if one[1].startswith("known-good/")}
    world.release(Release("v3", turns_bad_after=timedelta(seconds=60)), stage)
    world.play()
    assert world.running(stage) == {"v1"}


def test_back_over_what_was_deployed_through_the_console() -> None:
    world = World()
    good_first(world)
    world.clock.pass_(timedelta(hours=3))
    world.force("DeployToProd", Version("x", "x", "artifacts", "x.zip", is_bad=True))
    world.play()
    assert world.running() == {"x"}
    answer = ordered(world, command="roll-back", environment="prod")
    assert answer["outcome"] == "rolled back"
    assert world.running() == {"v1"}
    told = world.last()
    assert (told["from"].get("revision"), told["from"]["version-label"]) == (None, "x")
    assert world.ledger.quarantined("bakery-prod-demo") == {}


def test_back_again_from_what_an_order_went_back_to() -> None:
    world = World()
    good_first(world, "DeployToTest", "v0")
    for revision in ("v1", "v2"):
        world.release(Release(revision), "DeployToTest")
        world.play()
        world.approval = None
    for revision in ("v1", "v0"):
        ordered(world, command="roll-back", environment="test", revision=revision)
        assert world.running("DeployToTest") == {revision}
        assert world.last()["to"]["revision"] == revision
    assert world.last()["from"]["revision"] == "v1"
    assert set(world.ledger.quarantined("bakery-test-demo")) == {"v1", "v2"}


def test_a_named_revision_is_taken_from_a_version_that_is_still_there() -> None:
    world = World()
    good_first(world)
    first = world.environments["DeployToProd"].label
    for revision in ("v2", "v1", "v3"):
        world.release(Release(revision))
        world.play()
    world.pipeline_version += 1  # only the second route is left
    del world.versions[first]
    answer = ordered(world, command="roll-back", environment="prod", version=first)
    assert answer["outcome"] == "rolled back"
    assert world.running() == {"v1"}


def test_the_release_of_a_hold_touches_nothing_newer() -> None:
    world = World()
    good_first(world)
    world.release(Release("v2", "Migrate\n\nRollback-Safe: no", turns_bad_after=SOON))
    world.play()
    assert world.states() == ["HELD"]
    world.release(Release("v3"))  # the fix
    world.play(timedelta(seconds=60))
    answer = ordered(world, command="release", environment="prod")
    assert answer["outcome"] == "refused"
    assert "no longer the newest" in answer["reason"]
    assert world.states() == ["HELD", "REFUSED"]
    assert world.acts == []
    assert world.running() == {"v3"}


def test_what_people_ordered_leaves_the_cap_to_what_happens_by_itself() -> None:
    world = World()
    good_first(world)
    for revision in ("v2", "v3"):
        world.release(Release(revision))
        world.play()
        ordered(world, command="roll-back", environment="prod", revision="v1")
    world.release(Release("v4", turns_bad_after=SOON))
    world.play()
    assert world.states()[-1] == "SUCCEEDED"
    assert world.running() == {"v1"}


def test_back_past_a_stop_a_cap_and_a_mode_but_not_to_what_is_no_way_back() -> None:
    world = World(cap=0)
    good_first(world)
    action = world.release(Release("v2", turns_bad_after=timedelta(seconds=60)))
    world.play()
    assert world.acts == []
    world.executions[action.execution].status = "Stopped"
    answer = ordered(world, command="roll-back", environment="prod", revision="v1")
    assert answer["outcome"] == "rolled back"
    again = ordered(world, command="roll-back", environment="prod")
    assert again["outcome"] == "refused"
    assert "already runs the known-good v1" in again["reason"]
    unknown = ordered(world, command="roll-back", environment="prod", revision="v9")
    assert unknown["outcome"] == "refused"


def test_a_lifted_revision_may_be_deployed_and_rolled_back_again() -> None:
    world = World()
    good_first(world)
    for _ in range(2):
        world.release(Release("v2", turns_bad_after=timedelta(seconds=60)))
        world.play()
        lifted = ordered(world, command="lift-quarantine", environment="prod", revision="v2")
        assert lifted["outcome"] == "lifted"
    assert [act[0] for act in world.acts] == ["RollbackStage", "RollbackStage"]
    refused = ordered(world, command="lift-quarantine", environment="prod", revision="v9")
    assert "v9 is not in quarantine" in refused["reason"]


def test_freeze_and_unfreeze_touch_nothing_of_a_persons() -> None:
    world = World()
    frozen = ordered(world, command="freeze", stage="DeployToProd", reason="sale")
    assert frozen["outcome"] == "frozen"
    assert world.transitions["DeployToProd"]["disabledReason"] == "Trellis by hand sale"
    assert ordered(world, command="unfreeze", stage="DeployToProd")["outcome"] == "unfrozen"
    world.transitions["DeployToProd"] = {"enabled": False, "disabledReason": "mine"}
    assert ordered(world, command="freeze", stage="DeployToProd")["outcome"] == "refused"
    assert ordered(world, command="unfreeze", stage="DeployToProd")["outcome"] == "refused"
    assert world.transitions["DeployToProd"]["disabledReason"] == "mine"


def test_a_command_and_a_watch_do_not_change_an_environment_at_once() -> None:
    world = World()
    good_first(world)
    world.release(Release("v2", turns_bad_after=timedelta(seconds=60)))
    world.play(timedelta(seconds=85))
    assert [act[0] for act in world.acts] == ["RollbackStage"]
    journal = world.invoke({"command": "roll-back", "environment": "prod"})
    world.play()
    assert journal.answer["outcome"] in ("stood aside", "refused")
    assert [act[0] for act in world.acts] == ["RollbackStage"]
    assert world.running() == {"v1"}


def test_what_is_not_there_is_named() -> None:
    world = World()
    wrong = ordered(world, command="plan", environment="staging")
    assert "bakery-prod-demo" in wrong["reason"]
    assert ordered(world, command="release", environment="prod")["outcome"] == "refused"
    nothing = ordered(world, command="roll-back", environment="prod")
    assert "nothing was ever deployed" in nothing["reason"]


def test_back_from_a_deployment_that_many_runs_have_buried() -> None:
    """Runs that end at production's approval leave five actions each, production none."""
    world = World()
    good_first(world)
    world.release(Release("v2"))
    world.play()
    prod = world.actions[-1]
    world.actions += [
        replace(prod, id=f"dev-{n}", execution=f"run-{n}", stage="DeployToDev", started=later)
        for n in range(MOST_ACTIONS)
        for later in (world.clock.now() + timedelta(minutes=n),)
    ]
    answer = ordered(world, command="roll-back", environment="prod", revision="v1")
    assert answer["outcome"] == "rolled back"
    assert world.running() == {"v1"}


def test_back_by_hand_in_test_rejects_the_approval_of_what_is_taken_away() -> None:
    world = World()
    good_first(world, "DeployToTest")
    world.release(Release("v2"), "DeployToTest")
    world.play()
    assert world.approval is not None
    answer = ordered(world, command="roll-back", environment="test", revision="v1", reason="slow")
    assert answer["outcome"] == "rolled back"
    assert world.running("DeployToTest") == {"v1"}
    assert [act[:2] for act in world.acts] == [
        ("PutApprovalResult", "Rejected"),
        ("UpdateEnvironment", "bakery-test-demo"),
    ]
    assert "a person ordered it (slow)" in world.acts[0][2]
    changes = [call[1] for call in world.calls]
    assert changes.index("disable_stage_transition") < changes.index("put_approval_result")
    assert world.transitions["DeployToTest"]["enabled"] is True


def test_an_order_that_is_refused_leaves_the_approval_and_the_stage_alone() -> None:
    world = World()
    good_first(world, "DeployToTest")
    world.release(Release("v2"), "DeployToTest")
    world.play()
    assert world.approval is not None
    waits = world.approval
    answer = ordered(world, command="roll-back", environment="test", revision="v2")
    assert answer["outcome"] == "refused"
    assert world.approval == waits
    assert world.transitions == {}


def went_back(stage: str = "DeployToTest") -> World:
    """v2 turned bad, and v1 runs again by the second route."""
    world = World()
    good_first(world, stage)
    world.release(Release("v2", turns_bad_after=SOON), stage)
    world.play()
    assert world.running(stage) == {"v1"}
    assert "UpdateEnvironment" in [act[0] for act in world.acts]
    return world


def test_plan_knows_what_trellis_went_back_to() -> None:
    plan = ordered(went_back(), command="plan", environment="test")["plans"][0]
    assert plan["revision"] == "v1"
    assert plan["action"] == "stand down"
    assert "went back to the known-good v1" in plan["reason"]


def test_an_order_that_the_pipeline_is_too_busy_for_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World()
    good_first(world)
    world.release(Release("v2"))
    world.play()
    world.published.clear()

    def busy(*_: Any, **__: Any) -> Any:
        raise refused("ConflictException", "the pipeline is busy")

    monkeypatch.setitem(release_world._OPERATIONS["codepipeline"], "rollback_stage", busy)
    order = world.invoke({"command": "roll-back", "environment": "prod", "revision": "v1"})
    world.play()
    assert order.ended == "failed"
    assert world.states() == ["STARTED", "FAILED"]
    told = world.last()
    assert "AWS did not take the rollback, tried 12 times" in told["reason"]
    assert (told["ordered"], told["frozen"]) == (True, True)
    assert not world.transitions["DeployToProd"]["enabled"]


def test_an_order_that_cannot_read_is_told() -> None:
    world = World()
    good_first(world)
    world.release(Release("v2"))
    world.play()
    world.published.clear()

    def throttled_once_closed(number: int, call: Call) -> str | None:
        is_closed = not world.transitions.get("DeployToProd", {}).get("enabled", True)
        return "throttle" if is_closed and call == ("codepipeline", "get_pipeline_state") else None

    world.fault = throttled_once_closed
    order = world.invoke({"command": "roll-back", "environment": "prod", "revision": "v1"})
    world.play()
    assert order.ended == "failed"
    assert world.states()[-1] == "FAILED"
    assert world.last()["frozen"]
