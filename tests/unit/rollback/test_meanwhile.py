"""What others do while a watch is at its work, played whole in virtual time.

A pipeline that is updated, releases that come in between, people who stop or order, deaths.
"""

from __future__ import annotations

from datetime import timedelta

from tests.unit.rollback.release_world import Instance, Release, World
from tests.unit.rollback.test_workflow import SOON, good_first
from trellis.events import RollbackMode


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
