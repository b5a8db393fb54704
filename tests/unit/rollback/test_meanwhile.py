"""What others do while a watch is at its work, played whole in virtual time.

A pipeline that is updated, releases that come in between, people who stop or order, deaths.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from rollback import act
from tests.unit.rollback import release_world
from tests.unit.rollback.release_world import Call, Instance, Release, World, refused
from tests.unit.rollback.test_workflow import SOON, closed_by_a_person, good_first
from trellis.events import RollbackMode
from trellis.records import Helm


def test_what_lands_after_the_pipeline_was_updated_is_baked() -> None:
    """CodePipeline says Cancelled and Abandoned, and Elastic Beanstalk goes on."""
    world = World()
    good_first(world)
    action = world.release(Release("v2"))
    world.play(timedelta(seconds=8))
    environment = world.environments["DeployToProd"]
    environment.instances[0] = Instance(
        environment.instances[0].id, action.label or "", world.clock.now()
    )
    world.update_pipeline()
    world.play()
    assert (world.acts, world.states()) == ([], [])
    assert world.states("Trellis Bake State Change") == ["WATCHING", "HEALTHY"]
    good = world.ledger.known_good("bakery-prod-demo")
    assert good is not None
    assert good.revision == "v2"


def test_what_lands_after_the_pipeline_was_updated_and_turns_bad_is_rolled_back() -> None:
    world = World()
    good_first(world)
    world.release(Release("v2", turns_bad_after=SOON))
    world.play(timedelta(seconds=8))
    world.update_pipeline()
    world.play()
    assert world.running() == {"v1"}
    assert [act[0] for act in world.acts] == ["UpdateEnvironment"]
    assert world.states() == ["STARTED", "SUCCEEDED"]


def test_the_sweep_finds_what_lands_after_the_pipeline_was_updated() -> None:
    world = World()
    good_first(world)
    world.release(Release("v2", turns_bad_after=timedelta(minutes=6)))
    world.update_pipeline()
    world.events.clear()
    world.play(sweeping=True)
    assert world.running() == {"v1"}


def test_what_never_lands_because_the_pipeline_was_updated_is_nobodys_fault() -> None:
    world = World()
    good_first(world)
    world.release(Release("v2"))
    world.play(timedelta(seconds=8))
    environment = world.environments["DeployToProd"]
    environment.status, environment.until = "Ready", None
    world.update_pipeline()
    world.play()
    assert (world.acts, world.states()) == ([], [])
    assert "the pipeline was updated" in world.last("Trellis Bake State Change")["reason"].lower()
    assert not world.ledger.quarantined("bakery-prod-demo")
    assert world.transitions == {}


def test_what_lands_on_some_instances_after_the_pipeline_was_updated_is_rolled_back() -> None:
    world = World()
    good_first(world)
    world.release(Release("v2", fails=True))
    world.play(timedelta(seconds=8))
    world.update_pipeline()
    world.play()
    assert world.running() == {"v1"}
    assert world.states() == ["STARTED", "SUCCEEDED"]
    assert "did not arrive" in world.last()["reason"]


def test_an_update_that_begins_while_a_person_is_asked_is_waited_for_and_not_aborted() -> None:
    world = World(mode=RollbackMode.APPROVE)
    good_first(world)
    action = world.release(Release("v2", is_bad=True))
    world.play(timedelta(seconds=5))
    world._end(action, "Failed", "FAILED", "timed out")
    world.play(timedelta(minutes=20))
    assert world.states() == ["AWAITING_APPROVAL"]
    environment = world.environments["DeployToProd"]
    environment.status, environment.target = "Updating", environment.label
    environment.until = world.clock.now() + timedelta(minutes=5)
    callback = world.last()["next-command"].split("--callback-id '")[1].split("'")[0]
    [journal] = [j for j, _ in world.journals if j.ended is None]
    journal.answers[callback] = (True, "yes")
    world.resume(journal)
    world.play()
    assert ("elasticbeanstalk", "abort_environment_update") not in world.calls
    assert world.running() == {"v1"}


def test_who_is_overtaken_before_the_act_opens_what_it_had_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World()
    good_first(world)
    world.release(Release("v2", turns_bad_after=SOON))
    choose = act._choose
    newer: list[Any] = []

    def overtaken(*given: Any) -> Any:
        if not newer:
            newer.append(world.release(Release("v3")))
        return choose(*given)

    monkeypatch.setattr(act, "_choose", overtaken)
    world.play()
    assert world.acts == []
    assert world.running() == {"v3"}
    assert world.transitions["DeployToProd"]["enabled"] is True
    assert world.ledger.frozen("bakery-pipeline-demo", "DeployToProd") is None
    reasons = [one["reason"] for one in world.published if one.get("state") == "ENDED"]
    assert any("is open again" in reason for reason in reasons)
    # What was not begun counts neither against v2 nor against the cap.
    assert world.ledger.rollbacks("bakery-prod-demo", newer[0].started - timedelta(days=1)) == []


def test_a_person_who_stops_the_run_of_a_busy_pipeline_finds_the_stage_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World()
    good_first(world)
    action = world.release(Release("v2", turns_bad_after=SOON))

    def busy(*_: Any, **__: Any) -> Any:
        world.executions[action.execution].status = "Stopped"
        raise refused("ConflictException", "the pipeline is busy")

    monkeypatch.setitem(release_world._OPERATIONS["codepipeline"], "rollback_stage", busy)
    world.play()
    assert world.acts == []
    assert world.transitions["DeployToProd"]["enabled"] is True


def test_who_steps_back_leaves_closed_what_somebody_else_has_closed() -> None:
    """An earlier page's freeze is for a person to open, whoever stands down afterwards."""
    world = World()
    good_first(world)
    action = world.release(Release("v2", fails=True, turns_bad_after=SOON))
    world.objects.clear()
    world.play()
    assert world.states() == ["REFUSED"]
    retried = world.retry(action)
    world.play(timedelta(seconds=5))
    world.executions[retried.execution].status = "Stopped"
    world.play()
    assert world.transitions["DeployToProd"]["enabled"] is False


def test_who_finds_another_at_the_helm_opens_what_it_had_closed() -> None:
    world = World()
    good_first(world)
    world.release(Release("v2", turns_bad_after=SOON))
    world.play(timedelta(seconds=30))
    other = world.invoke({"command": "plan"})
    other.ended = None
    world.ledger.take_helm(
        Helm(environment="bakery-prod-demo", holder=other.name, at=world.clock.now())
    )
    world.play()
    assert world.acts == []
    assert world.transitions["DeployToProd"]["enabled"] is True


def dies_before_the_act(world: World) -> None:
    """The way is written down, and the watch dies with each of its tries to tell of it."""

    def fault(number: int, call: Call) -> str | None:
        is_chosen = any(
            key.endswith("choose the way (1)") for j, _ in world.journals for key in j.entries
        )
        return "death before" if is_chosen and call[1] == "put_events" else None

    world.fault = fault
    world.play(timedelta(minutes=4))
    world.fault = lambda number, call: None
    assert [j.ended for j, _ in world.journals].count("failed") == 1
    assert world.acts == []


def test_a_watch_that_is_taken_over_does_not_go_back_from_what_is_newer() -> None:
    world = World()
    good_first(world)
    world.release(Release("v2", turns_bad_after=SOON))
    dies_before_the_act(world)
    assert world.transitions["DeployToProd"]["enabled"] is False
    world.release(Release("v3"))
    world.play(timedelta(minutes=5))
    world.play(sweeping=True)
    assert world.acts == []
    assert world.running() == {"v3"}
    assert "v1" not in {
        revision
        for label, revision in world.ledger.revisions("bakery-prod-demo").items()
        if label == world.environments["DeployToProd"].label
    }
    assert world.transitions["DeployToProd"]["enabled"] is True


def test_a_watch_that_is_taken_over_leaves_a_stopped_run_to_who_stopped_it() -> None:
    world = World()
    good_first(world)
    action = world.release(Release("v2", turns_bad_after=SOON))
    dies_before_the_act(world)
    world.executions[action.execution].status = "Stopped"
    world.play(sweeping=True)
    assert world.acts == []


def test_a_watch_that_is_taken_over_goes_back_where_nothing_has_moved_on() -> None:
    world = World()
    good_first(world)
    world.release(Release("v2", turns_bad_after=SOON))
    dies_before_the_act(world)
    world.play(sweeping=True)
    assert world.running() == {"v1"}
    assert [act[0] for act in world.acts] == ["RollbackStage"]


def test_what_was_begun_is_proven_by_the_version_that_was_chosen_then() -> None:
    """Another version has become known-good since; v1's new label must not pass for it."""
    world = World()
    good_first(world)
    world.release(Release("v2", turns_bad_after=SOON))
    world.play(timedelta(seconds=85))
    assert [act[0] for act in world.acts] == ["RollbackStage"]
    [journal] = [j for j, _ in world.journals if j.ended is None]
    journal.ended = "failed"
    good = world.ledger.known_good("bakery-prod-demo")
    assert good is not None
    world.ledger.set_known_good(
        replace(good, revision="v3", version_label="label-3", since=world.clock.now())
    )
    world.play(sweeping=True)
    assert world.running() == {"v1"}
    assert world.last()["to"]["revision"] == "v1"
    assert (
        world.ledger.revisions("bakery-prod-demo")[world.environments["DeployToProd"].label] == "v1"
    )


def seen_in_the_stage(
    monkeypatch: pytest.MonkeyPatch, change: Callable[[World, dict[str, Any]], None]
) -> None:
    """Production's stage as GetPipelineState shows it, changed."""
    shown = release_world._OPERATIONS["codepipeline"]["get_pipeline_state"]

    def state(world: World, **request: Any) -> Any:
        answer = shown(world, **request)
        change(world, answer["stageStates"][-1])
        return answer

    monkeypatch.setitem(release_world._OPERATIONS["codepipeline"], "get_pipeline_state", state)


def test_a_newer_release_is_in_the_stage_before_its_deployment_begins(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World()
    good_first(world)
    world.release(Release("v2", turns_bad_after=SOON))
    since = world.clock.now() + SOON

    def enters(world: World, stage: dict[str, Any]) -> None:
        if world.clock.now() > since:
            stage["latestExecution"] = {"pipelineExecutionId": "newer", "status": "InProgress"}

    seen_in_the_stage(monkeypatch, enters)
    world.play()
    assert (world.acts, world.states()) == ([], [])
    assert "newer" in world.last("Trellis Bake State Change")["reason"]


@pytest.mark.parametrize(
    ("behind", "route"),
    [(timedelta(seconds=4), "RollbackStage"), (timedelta(hours=1), "UpdateEnvironment")],
    ids=["for a moment", "for good"],
)
def test_a_stage_that_still_runs_after_its_action_failed_is_given_a_moment(
    behind: timedelta, route: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World()
    good_first(world)
    action = world.release(Release("v2", fails=True))

    def lags(world: World, stage: dict[str, Any]) -> None:
        latest = stage["latestExecution"]
        failed = action.updated if latest["status"] == "Failed" else None
        if failed and not world.acts and world.clock.now() - failed < behind:
            latest["status"] = "InProgress"

    seen_in_the_stage(monkeypatch, lags)
    world.play()
    assert world.running() == {"v1"}
    assert [act[0] for act in world.acts] == [route]


def test_a_rollback_that_its_own_freeze_holds_is_let_in_and_nothing_after_it() -> None:
    """AWS does not say whether a closed stage holds a rollback."""
    world = World()
    good_first(world)
    world.holds_rollbacks = True
    world.release(Release("v2", turns_bad_after=SOON))
    began = world.clock.now()
    world.play(timedelta(minutes=6))
    assert world.running() == {"v1"}
    assert world.states() == ["STARTED", "SUCCEEDED"]
    assert datetime.fromisoformat(world.last()["at"]) - began < timedelta(minutes=3)
    changes = [call[1] for call in world.calls if call[1].endswith("_stage_transition")]
    assert changes == ["disable_stage_transition", "enable_stage_transition"] * 2


def test_a_rollback_by_hand_that_waits_before_what_a_person_has_closed_is_told_soon() -> None:
    world = World()
    good_first(world)
    world.release(Release("v2"))
    world.play()
    world.holds_rollbacks = True
    closed = {"enabled": False, "disabledReason": "mine", "lastChangedAt": world.clock.now()}
    world.transitions["DeployToProd"] = closed
    began = world.clock.now()
    world.invoke({"command": "roll-back", "environment": "prod", "revision": "v1"})
    world.play()
    assert world.states() == ["STARTED", "FAILED"]
    assert "which a person has closed" in world.last()["reason"]
    assert datetime.fromisoformat(world.last()["at"]) - began < timedelta(minutes=5)
    assert world.transitions["DeployToProd"] == closed


@pytest.mark.parametrize("lag", [0, 3, 90])
def test_a_run_that_is_cancelled_after_its_action_was_abandoned_has_not_failed(
    lag: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The listings follow one another, and no page says how soon."""
    world = World()
    good_first(world)
    world.release(Release("v2"))
    world.play(timedelta(seconds=7))
    updated = world.clock.now()
    world.update_pipeline()
    tell = release_world._OPERATIONS["codepipeline"]["get_pipeline_execution"]

    def behind(world: World, **request: Any) -> Any:
        answer = tell(world, **request)
        run = answer["pipelineExecution"]
        if run["status"] == "Cancelled" and world.clock.now() - updated < timedelta(seconds=lag):
            run["status"] = "InProgress"
        return answer

    monkeypatch.setitem(release_world._OPERATIONS["codepipeline"], "get_pipeline_execution", behind)
    world.play()
    assert (world.running(), world.acts) == ({"v2"}, [])


@pytest.mark.parametrize(
    "code",
    [
        "UnableToRollbackStageException",
        "PipelineExecutionOutdatedException",
        "ConflictException",
        "ThrottlingException",
    ],
)
def test_a_watch_that_is_taken_over_and_refused_once_decides_anew(
    code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World()
    good_first(world)
    world.release(Release("v2", turns_bad_after=SOON))
    dies_before_the_act(world)
    roll_back = release_world._OPERATIONS["codepipeline"]["rollback_stage"]
    refusals = [refused(code, "no")]

    def once(*given: Any, **named: Any) -> Any:
        if refusals:
            raise refusals.pop()
        return roll_back(*given, **named)

    monkeypatch.setitem(release_world._OPERATIONS["codepipeline"], "rollback_stage", once)
    world.play(sweeping=True)
    assert world.running() == {"v1"}
    assert world.states()[-1] == "SUCCEEDED"
    assert world.transitions["DeployToProd"]["enabled"]


def goes_back(world: World) -> None:
    """A rollback of production that has begun and not ended."""
    good_first(world)
    world.release(Release("v2", turns_bad_after=SOON))
    world.play(timedelta(seconds=85))
    assert [act[0] for act in world.acts] == ["RollbackStage"]
    assert not world.transitions["DeployToProd"]["enabled"]


def test_a_freeze_that_a_person_orders_during_a_rollback_outlasts_it() -> None:
    world = World()
    goes_back(world)
    ordered = world.invoke({"command": "freeze", "environment": "prod", "reason": "holiday"})
    world.play()
    assert ordered.answer["outcome"] == "frozen"
    assert world.states()[-1] == "SUCCEEDED"
    assert not world.transitions["DeployToProd"]["enabled"]
    assert world.last()["frozen"]
    world.invoke({"command": "unfreeze", "environment": "prod"})
    assert world.transitions["DeployToProd"]["enabled"]


def test_a_freeze_that_a_person_orders_outlasts_a_rollback_that_is_let_in() -> None:
    world = World()
    world.holds_rollbacks = True
    goes_back(world)
    world.invoke({"command": "freeze", "environment": "prod", "reason": "holiday"})
    world.play()
    assert world.running() == {"v1"}
    assert not world.transitions["DeployToProd"]["enabled"]


def test_a_stage_that_a_person_opened_during_a_rollback_is_not_called_frozen() -> None:
    world = World()
    goes_back(world)
    world.invoke({"command": "unfreeze", "environment": "prod"})
    world.play()
    assert world.states()[-1] == "SUCCEEDED"
    assert world.last()["frozen"] is not world.transitions["DeployToProd"]["enabled"]


@pytest.mark.parametrize("holds", [False, True], ids=["at the end", "to let it in"])
def test_a_stage_that_was_opened_and_not_written_down_is_open(holds: bool) -> None:
    """The ledger does not answer once, after the stage was opened: the move comes again."""
    world = World()
    good_first(world)
    world.holds_rollbacks = holds
    world.release(Release("v2", turns_bad_after=SOON))
    seen: list[str] = []

    def once(number: int, call: Call) -> str | None:
        if call[1] == "enable_stage_transition":
            seen.append("opened")
        elif seen == ["opened"] and call == ("dynamodb", "delete"):
            seen.append("lost")
            return "timeout before"
        return None

    world.fault = once
    world.play()
    assert seen[:2] == ["opened", "lost"]
    assert world.states() == ["STARTED", "SUCCEEDED"]
    assert world.last()["frozen"] is False
    assert world.transitions["DeployToProd"]["enabled"]


def test_who_finds_the_stage_closed_by_a_person_is_given_a_command_that_works() -> None:
    world = closed_by_a_person()
    assert world.last()["state"] == "REFUSED"
    assert "roll-back" in world.last()["next-command"]
