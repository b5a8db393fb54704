"""What an environment really runs decides, whatever AWS calls it: labels, instances, events.

DescribeEvents names no version label on an update's events, and no page says what a deploy action
puts into its external execution id.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from tests.unit.rollback import release_world
from tests.unit.rollback.release_world import Action, Instance, Release, Version, World
from tests.unit.rollback.test_commands import ordered
from tests.unit.rollback.test_meanwhile import dies_before_the_act
from tests.unit.rollback.test_workflow import SOON, good_first

PROD = "DeployToProd"
HOTFIX = Version("hotfix", "hotfix", "artifacts", "hotfix.zip")

named_by = pytest.mark.parametrize(
    "named_by",
    [lambda action: action.label, lambda action: f"e-{action.id}", lambda action: None],
    ids=["its label", "another name", "nothing"],
)
"""What a deploy action's external execution id may be."""


def known_good(world: World, stage: str = PROD) -> str:
    good = world.ledger.known_good(world.environments[stage].name)
    assert good is not None
    return good.revision


def ended(world: World) -> str:
    """Why the last watch that ended without a verdict did."""
    told = world.last("Trellis Bake State Change")
    assert told["state"] == "ENDED"
    return str(told["reason"])


# Which label a deployment brought


@named_by
def test_a_bad_bake_is_rolled_back_and_proven(named_by: Callable[[Action], str | None]) -> None:
    world = World()
    world.external_id = named_by
    good_first(world)
    action = world.release(Release("v2", turns_bad_after=SOON))
    world.play()
    assert world.running() == {"v1"}
    assert world.states() == ["STARTED", "SUCCEEDED"]
    assert world.last()["from"]["version-label"] == action.label


@named_by
def test_a_failed_deployment_is_rolled_back_and_proven(
    named_by: Callable[[Action], str | None],
) -> None:
    world = World()
    world.external_id = named_by
    good_first(world)
    world.release(Release("v2", fails=True))
    world.play()
    assert world.running() == {"v1"}
    assert world.states() == ["STARTED", "SUCCEEDED"]


@named_by
def test_the_environment_tells_the_label_where_no_version_holds_the_artifact(
    named_by: Callable[[Action], str | None],
) -> None:
    """CodePipeline may keep a version's bundle in a place of its own."""
    world = World()
    world.external_id = named_by
    good_first(world)
    world.release(Release("v2", turns_bad_after=SOON))
    for version in world.versions.values():
        world.objects.add(("beanstalk", version.key))
        version.bucket = "beanstalk"
    world.play()
    assert world.running() == {"v1"}
    assert world.states()[0] == "STARTED"
    assert set(world.ledger.quarantined("bakery-prod-demo")) == {"v2"}


def test_of_versions_of_one_artifact_the_one_that_this_deployment_made_counts() -> None:
    """Each stage deploys the same artifact, under a label of its own."""
    world = World()
    world.external_id = lambda action: None
    good_first(world)
    world.release(Release("v2", turns_bad_after=SOON))
    own = world.environments[PROD].target or ""
    for name, later in (("dev", -60), ("next", 600)):
        created = world.clock.now() + timedelta(seconds=later)
        world.versions[name] = Version(
            name, "v2", "artifacts", world.versions[own].key, created=created
        )
    world.play()
    assert world.running() == {"v1"}
    assert world.last()["from"]["version-label"] == own


# By hand


def test_what_a_person_deploys_during_a_bake_ends_it_and_nothing_is_known_good() -> None:
    world = World()
    good_first(world)
    before = world.versions[world.environments[PROD].label]
    world.release(Release("v2"))
    world.play(timedelta(seconds=60))
    world.force(PROD, before)
    world.play()
    assert (world.running(), known_good(world), world.acts) == ({"v1"}, "v1", [])
    assert ended(world) == f"Somebody deployed {before.label} by hand since"


def test_a_bad_version_that_a_person_deploys_during_a_bake_is_not_laid_on_the_release() -> None:
    world = World()
    good_first(world)
    world.release(Release("v2"))
    world.play(timedelta(seconds=60))
    world.force(PROD, Version("x", "x", "artifacts", "x.zip", is_bad=True))
    world.play()
    assert (world.running(), world.acts) == ({"x"}, [])
    assert not world.ledger.quarantined("bakery-prod-demo")


def test_what_a_person_rolls_back_during_its_bake_is_not_known_good() -> None:
    world = World()
    good_first(world, "DeployToTest")
    world.release(Release("v2"), "DeployToTest")
    world.play(timedelta(seconds=60))
    ordered(world, command="roll-back", environment="test", reason="wrong prices")
    assert world.running("DeployToTest") == {"v1"}
    assert known_good(world, "DeployToTest") == "v1"
    assert set(world.ledger.quarantined("bakery-test-demo")) == {"v2"}


def failed(world: World) -> None:
    """Let v2's deployment fail, without that anybody has looked yet."""
    world.release(Release("v2", fails=True))
    world.settle()
    world.play(timedelta(seconds=10))
    world.clock.pass_(timedelta(seconds=15))
    world.settle()
    world.clock.pass_(timedelta(seconds=1))


def test_what_a_person_deploys_after_a_failed_deployment_stays() -> None:
    world = World()
    good_first(world)
    failed(world)
    world.force(PROD, HOTFIX)
    world.play()
    assert (world.running(), world.acts, world.states()) == ({"hotfix"}, [], [])
    assert "somebody deployed hotfix by hand since" in ended(world).lower()


def test_an_old_version_that_a_person_deploys_after_a_failed_deployment_stays() -> None:
    """Its label is one of before, so only that every instance got it since tells."""
    world = World()
    good_first(world)
    older = world.versions[world.environments[PROD].label]
    world.release(Release("v2"))
    world.play()
    world.force(PROD, older)
    world.play()
    world.release(Release("v3", fails=True))
    world.play(timedelta(seconds=10))
    world.clock.pass_(timedelta(seconds=15))
    world.settle()
    world.clock.pass_(timedelta(seconds=1))
    world.force(PROD, older)
    world.play()
    assert (world.running(), world.acts) == ({"v1"}, [])


def test_an_update_that_a_person_began_is_waited_for_and_never_aborted() -> None:
    world = World(ready_within=timedelta(minutes=5))
    good_first(world)
    failed(world)
    world.force(PROD, HOTFIX)
    world.environments[PROD].never_ready = True
    world.play()
    assert world.acts == []
    assert ("elasticbeanstalk", "abort_environment_update") not in world.calls
    assert world.states() == ["REFUSED"]
    assert "stays Updating" in world.last()["reason"]


@pytest.mark.parametrize(
    "release",
    [Release("v2", turns_bad_after=timedelta(seconds=90)), Release("v2", fails=True)],
    ids=["bad", "failed"],
)
def test_a_change_of_configuration_is_nobodys_deployment(release: Release) -> None:
    """It begins with the same words."""
    world = World()
    good_first(world)
    world.release(release)
    world.play(timedelta(seconds=10 if release.fails else 60))
    if release.fails:
        world.clock.pass_(timedelta(seconds=15))
        world.settle()
        world.clock.pass_(timedelta(seconds=1))
    world._tell(world.environments[PROD], "Environment update is starting.")
    world.play()
    assert world.running() == {"v1"}
    assert world.states() == ["STARTED", "SUCCEEDED"]


# Known good is what runs


def test_what_no_instance_runs_is_not_known_good() -> None:
    """The deployment ended well, and every instance was replaced with the version before."""
    world = World()
    good_first(world)
    environment = world.environments[PROD]
    old = environment.label
    action = world.release(Release("v2"))
    world.play(timedelta(seconds=40))
    environment.instances = [Instance(one.id, old, one.at) for one in environment.instances]
    world.play()
    assert known_good(world) == "v1"
    assert ended(world) == f"Instances run {old}, and not {action.label} that was deployed"


def test_instances_that_report_no_version_are_passed_over() -> None:
    world = World()
    good_first(world)
    world.release(Release("v2"))
    world.play(timedelta(seconds=40))
    world.environments[PROD].instances[0].label = ""
    world.play()
    assert known_good(world) == "v2"


# The second route


def test_a_second_route_that_fails_is_told_soon() -> None:
    world = World()
    good_first(world)
    label = world.environments[PROD].label
    world.pipeline_version += 1
    world.release(Release("v2", turns_bad_after=SOON))
    world.play(timedelta(seconds=40))
    world.versions[label].fails = True
    began = world.clock.now()
    world.play(timedelta(hours=6))
    assert world.states() == ["STARTED", "FAILED"]
    assert datetime.fromisoformat(world.last()["at"]) - began < timedelta(minutes=40)


def test_a_second_route_whose_answer_was_lost_is_proven(monkeypatch: pytest.MonkeyPatch) -> None:
    """An immutable deployment shows the old label until it has succeeded."""
    world = World()
    good_first(world)
    world.pipeline_version += 1
    lost = iter(["timeout after"])
    world.fault = lambda _, call: next(lost, None) if call[1] == "update_environment" else None
    world.release(Release("v2", turns_bad_after=SOON))
    world.play(timedelta(seconds=60))
    monkeypatch.setattr(release_world, "_DEPLOYS", timedelta(minutes=6))
    world.play(timedelta(hours=6))
    assert world.states() == ["STARTED", "SUCCEEDED"]
    assert [act[0] for act in world.acts] == ["UpdateEnvironment"]
    assert world.transitions[PROD]["enabled"] is True
    assert set(world.ledger.quarantined("bakery-prod-demo")) == {"v2"}


def test_what_a_person_deploys_after_a_watch_died_is_not_taken_for_its_rollback() -> None:
    world = World()
    good_first(world)
    world.pipeline_version += 1
    world.release(Release("v2", turns_bad_after=SOON))
    dies_before_the_act(world)
    world.force(PROD, HOTFIX)
    world.play(timedelta(minutes=1))
    world.play(sweeping=True)
    assert (world.running(), world.acts, world.states()) == ({"hotfix"}, [], [])
    assert world.transitions[PROD]["enabled"] is True


def test_a_version_that_another_stage_made_of_the_same_artifact_is_not_this_ones() -> None:
    """Dev goes back to a run while production deploys it: both make a version of its artifact."""
    world = World()
    world.external_id = lambda action: None
    good_first(world)
    action = world.release(Release("v2", turns_bad_after=SOON))
    world.play(timedelta(seconds=5))
    mine = world.versions[action.label or ""]
    world.versions["code-pipeline-dev"] = Version(
        "code-pipeline-dev", "v2", mine.bucket, mine.key, created=world.clock.now()
    )
    world.play()
    assert world.running() == {"v1"}
    assert world.states() == ["STARTED", "SUCCEEDED"]
