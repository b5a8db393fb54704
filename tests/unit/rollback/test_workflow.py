"""What becomes of a deployment, played whole in virtual time: a row of the table each."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from rollback.workflow import wait_until_ready
from tests.unit.rollback.journal import Journal
from tests.unit.rollback.release_world import Release, World
from trellis.events import RollbackMode

SOON = timedelta(seconds=60)
MIGRATION = json.dumps(
    {"ProviderType": "GitHub", "CommitMessage": "Migrate the orders\n\nRollback-Safe: no"}
)
"""A revision's summary, as the source of a Git connection writes it."""


def good_first(world: World, stage: str = "DeployToProd", revision: str = "v1") -> None:
    """A release that proves itself."""
    world.release(Release(revision), stage)
    world.play()
    assert world.ledger.known_good(world.environments[stage].name) is not None
    world.approval = None
    world.published.clear()


def test_a_version_that_does_well_to_the_end_of_its_bake_is_known_good() -> None:
    world = World()
    world.release(Release("v1", "Open the bakery"))
    world.play()
    good = world.ledger.known_good("bakery-prod-demo")
    assert good is not None
    assert (good.revision, good.summary) == ("v1", "Open the bakery")
    assert ("artifacts", good.bundle_key) in world.objects
    assert world.states("Trellis Bake State Change") == ["WATCHING", "HEALTHY"]
    assert world.states() == []


def test_rolls_back_by_the_stage_when_production_turns_bad_during_its_bake() -> None:
    world = World()
    good_first(world)
    world.release(Release("v2", "Sell sourdough", turns_bad_after=SOON))
    world.play()
    assert world.running() == {"v1"}
    assert [act[0] for act in world.acts] == ["RollbackStage"]
    assert world.states() == ["STARTED", "SUCCEEDED"]
    told = world.last()
    assert told["from"]["revision"] == "v2"
    assert told["to"]["revision"] == "v1"
    assert told["route"] == "RollbackStage"
    assert "2 of 2 instances of bakery-prod-demo run v1" in told["evidence"]
    assert "its health is Severe" in told["reason"]
    assert world.transitions["DeployToProd"]["enabled"] is True
    assert set(world.ledger.quarantined("bakery-prod-demo")) == {"v2"}


def test_rolls_back_when_a_deployment_fails_and_leaves_a_mixed_fleet() -> None:
    world = World()
    good_first(world)
    world.release(Release("v2", fails=True))
    world.play()
    assert world.running() == {"v1"}
    assert world.states() == ["STARTED", "SUCCEEDED"]
    assert "instances run" in world.last()["reason"]


def test_goes_the_second_way_in_the_stage_that_holds_the_approval_and_rejects_it() -> None:
    world = World()
    good_first(world, "DeployToTest")
    world.release(Release("v2", turns_bad_after=SOON), "DeployToTest")
    world.play()
    assert world.running("DeployToTest") == {"v1"}
    assert [act[0] for act in world.acts] == ["PutApprovalResult", "UpdateEnvironment"]
    assert world.acts[0][1] == "Rejected"
    assert "Severe" in world.acts[0][2]


def test_goes_the_second_way_when_the_pipeline_has_changed_since() -> None:
    world = World()
    good_first(world)
    world.pipeline_version += 1
    world.release(Release("v2", turns_bad_after=SOON))
    world.play()
    assert world.running() == {"v1"}
    assert [act[0] for act in world.acts] == ["UpdateEnvironment"]
    assert "the pipeline has changed" in world.last()["reason"]


def test_registers_the_copy_anew_when_every_old_artifact_has_expired() -> None:
    world = World()
    good_first(world)
    world.objects = {one for one in world.objects if one[1].startswith("known-good/")}
    world.release(Release("v2", turns_bad_after=SOON))
    world.play()
    assert world.running() == {"v1"}
    [(operation, _, label)] = world.acts
    assert operation == "UpdateEnvironment"
    assert label.startswith("trellis-")


def test_escalates_when_the_bundle_is_gone_from_every_place() -> None:
    world = World()
    good_first(world)
    world.objects.clear()
    world.release(Release("v2", turns_bad_after=SOON))
    world.play()
    assert world.acts == []
    assert world.states() == ["REFUSED"]
    assert "gone from every place" in world.last()["reason"]
    assert world.last()["frozen"] is True
    assert world.transitions["DeployToProd"]["enabled"] is False
    assert "unfreeze" in world.last()["next-command"]


def test_escalates_for_a_first_release() -> None:
    world = World()
    world.release(Release("v1", turns_bad_after=SOON))
    world.play()
    assert world.states() == ["REFUSED"]
    assert "No version has proven itself" in world.last()["reason"]


def test_escalates_when_the_same_revision_comes_again() -> None:
    world = World()
    good_first(world)
    for _ in range(2):
        world.release(Release("v2", turns_bad_after=SOON))
        world.play()
    assert [act[0] for act in world.acts] == ["RollbackStage"]
    assert world.states() == ["STARTED", "SUCCEEDED", "REFUSED"]
    assert "rolled back from bakery-prod-demo before" in world.last()["reason"]


def test_what_was_rolled_back_and_proves_itself_afterwards_is_a_way_back() -> None:
    """It was no fault of v2's: the database was away."""
    world = World()
    good_first(world)
    world.release(Release("v2", turns_bad_after=SOON))
    world.play()
    world.release(Release("v2"))
    world.play()
    assert world.ledger.quarantined("bakery-prod-demo") == {}
    past = world.ledger.rollbacks("bakery-prod-demo", world.clock.now() - timedelta(days=1))
    assert [one.bad_revision for one in past] == [None]
    world.clock.pass_(timedelta(days=2))
    world.release(Release("v3", turns_bad_after=SOON))
    world.play()
    assert world.running() == {"v2"}


def test_a_hold_is_over_when_a_newer_version_proves_itself() -> None:
    world = World()
    good_first(world)
    world.release(Release("v2", MIGRATION, turns_bad_after=SOON))
    world.play()
    assert world.ledger.hold("bakery-prod-demo") is not None
    world.release(Release("v3"))
    world.play()
    assert world.ledger.hold("bakery-prod-demo") is None


def test_escalates_when_the_cap_is_reached() -> None:
    world = World(cap=1)
    good_first(world)
    for revision in ("v2", "v3"):
        world.release(Release(revision, turns_bad_after=SOON))
        world.play()
    assert [act[0] for act in world.acts] == ["RollbackStage"]
    assert "the most that may happen by itself" in world.last()["reason"]


def test_does_nothing_when_nothing_reached_the_environment() -> None:
    world = World()
    good_first(world)
    action = world.release(Release("v2"))
    environment = world.environments["DeployToProd"]
    environment.status, environment.until, environment.told[-1:] = "Ready", None, []
    world._end(action, "Failed", "FAILED", "PermissionError: not allowed")
    world.play()
    assert (world.acts, world.states()) == ([], [])
    assert "Nothing reached" in world.last("Trellis Bake State Change")["reason"]


def test_stands_down_when_a_newer_deployment_takes_over() -> None:
    world = World()
    good_first(world)
    world.release(Release("v2", turns_bad_after=SOON))
    world.play(timedelta(seconds=40))
    world.release(Release("v3"))
    world.play()
    assert world.acts == []
    assert world.running() == {"v3"}
    assert "ENDED" in world.states("Trellis Bake State Change")


def test_a_newer_deployment_after_a_failure_wins() -> None:
    world = World()
    good_first(world)
    world.release(Release("v2", fails=True))
    world.play(timedelta(seconds=1))
    world.clock.pass_(timedelta(seconds=20))
    world.settle()
    newer = world.release(Release("v3"))
    world.play()
    assert world.acts == []
    assert world.running() == {"v3"}
    ended = [one["reason"] for one in world.published if one.get("state") == "ENDED"]
    assert any(newer.execution in reason for reason in ended)


def test_stands_down_when_a_person_stopped_the_run() -> None:
    world = World()
    good_first(world, "DeployToTest")
    action = world.release(Release("v2", turns_bad_after=SOON), "DeployToTest")
    world.play(timedelta(seconds=30))
    run = world.executions[action.execution]
    run.status, run.stop_reason = "Stopped", "we look at it ourselves"
    world.play()
    assert world.acts == []
    assert "we look at it ourselves" in world.last("Trellis Bake State Change")["reason"]


def closed_by_a_person() -> World:
    """v2 turned bad in production after a person had closed its stage."""
    world = World()
    good_first(world)
    world.release(Release("v2", turns_bad_after=SOON))
    world.play(timedelta(seconds=30))
    world.transitions["DeployToProd"] = {
        "enabled": False,
        "disabledReason": "release freeze",
        "lastChangedBy": "arn:aws:iam::123456789012:user/ada",
        "lastChangedAt": world.clock.now(),
    }
    world.play()
    return world


def test_a_transition_that_a_person_closed_is_a_decision() -> None:
    world = closed_by_a_person()
    assert world.acts == []
    assert world.states() == ["REFUSED"]
    assert "ada has closed DeployToProd (release freeze)" in world.last()["reason"].replace(
        "Ada", "ada"
    )
    assert world.transitions["DeployToProd"]["disabledReason"] == "release freeze"
    assert world.last().get("frozen") is False


@pytest.mark.parametrize(
    "release",
    [
        Release("v2", "Migrate\n\nRollback-Safe: no", turns_bad_after=SOON),
        Release("v2", MIGRATION, turns_bad_after=SOON),
        Release("v2", variables={"RollbackSafe": "no"}, turns_bad_after=SOON),
    ],
    ids=["commit trailer", "connection's commit trailer", "pipeline variable"],
)
def test_holds_a_release_that_is_marked_as_not_safe_until_a_person_releases_it(
    release: Release,
) -> None:
    world = World()
    good_first(world)
    world.release(release)
    world.play()
    assert (world.acts, world.states()) == ([], ["HELD"])
    assert "{" not in (world.last()["from"].get("summary") or "")
    assert '"command": "release"' in world.last()["next-command"]
    world.invoke({"command": "release", "environment": "prod"})
    world.play()
    assert world.running() == {"v1"}
    assert world.states() == ["HELD", "STARTED", "SUCCEEDED"]
    assert world.ledger.hold("bakery-prod-demo") is None


def test_only_says_what_it_would_do_in_mode_observe() -> None:
    world = World(mode=RollbackMode.OBSERVE)
    good_first(world)
    world.release(Release("v2", turns_bad_after=SOON))
    world.play()
    assert world.acts == []
    assert world.states() == ["REFUSED"]
    told = world.last()
    assert told["mode"] == "observe"
    assert told["to"]["revision"] == "v1"
    assert "bakery-prod-demo goes back to v1 by RollbackStage" in told["reason"]
    assert world.transitions == {}


@pytest.mark.parametrize(
    ("answer", "ends"),
    [(True, {"v1"}), (False, {"v2"}), (None, {"v2"})],
    ids=["granted", "refused", "expired"],
)
def test_asks_a_person_in_mode_approve(answer: bool | None, ends: set[str]) -> None:
    world = World(mode=RollbackMode.APPROVE)
    good_first(world)
    world.release(Release("v2", turns_bad_after=SOON))
    world.play(timedelta(minutes=20))
    assert world.states() == ["AWAITING_APPROVAL"]
    command = world.last()["next-command"]
    assert "send-durable-execution-callback-success" in command
    callback = command.split("--callback-id '")[1].split("'")[0]
    if answer is not None:
        [journal] = [j for j, _ in world.journals if j.ended is None]
        journal.answers[callback] = (answer, "yes" if answer else "not now")
        world.resume(journal)
    world.play(timedelta(hours=24))
    assert world.running() == ends
    if answer:
        assert world.states() == ["AWAITING_APPROVAL", "STARTED", "SUCCEEDED"]
    else:
        assert world.acts == []
        assert world.states() == ["AWAITING_APPROVAL", "REFUSED"]


@pytest.mark.parametrize(
    ("safe", "would"),
    [
        ("yes", "DeployToProd would be closed and a person paged"),
        ("no", "it would be held until a person releases it"),
    ],
)
def test_mode_observe_closes_no_stage_and_holds_no_release(safe: str, would: str) -> None:
    world = World(mode=RollbackMode.OBSERVE)
    world.release(Release("v1", turns_bad_after=SOON, variables={"RollbackSafe": safe}))
    world.play()
    assert (world.states(), world.transitions) == (["REFUSED"], {})
    assert f"without that, {would}" in world.last()["reason"]
    assert world.ledger.hold("bakery-prod-demo") is None


def test_aborts_an_update_that_never_ends_and_goes_on() -> None:
    world = World(ready_within=timedelta(minutes=5))
    good_first(world)
    action = world.release(Release("v2", fails=True))
    environment = world.environments["DeployToProd"]
    world.play(timedelta(seconds=5))
    environment.never_ready = True
    environment.instances[0].label = action.label or ""
    world._end(action, "Failed", "FAILED", "timed out")
    world.play()
    assert ("elasticbeanstalk", "abort_environment_update") in world.calls
    assert world.running() == {"v1"}


@pytest.mark.parametrize("minutes", [1, 30, 60, 240])
def test_a_wait_for_an_environment_of_any_length_has_a_bounded_number_of_looks(
    minutes: int,
) -> None:
    """A durable execution holds 3,000 operations; a look is two, and a wait comes twice."""
    world = World()
    world.environments["DeployToProd"].status = "Updating"
    clock, limit = world.clock, timedelta(minutes=minutes)
    began, journal = clock.now(), Journal("execution/1", clock)
    desk = world.desk()
    while journal.ended is None:
        journal.resume(
            lambda script: wait_until_ready(script, desk, "bakery-prod-demo", limit, "ready")
        )
        clock.at = journal.wakes_at or clock.at
    assert journal.answer is False
    looks = sum("look" in key for key in journal.entries)
    assert looks < 200
    assert limit <= clock.now() - began <= limit * 1.1


def test_missing_data_never_triggers_and_never_makes_known_good() -> None:
    world = World()
    good_first(world)
    world.environments["DeployToProd"].health = "NoData"
    world.release(Release("v2"))
    world.play()
    assert (world.acts, world.states()) == ([], [])
    good = world.ledger.known_good("bakery-prod-demo")
    assert good is not None
    assert good.revision == "v1"


def test_what_was_bad_before_does_not_count() -> None:
    world = World()
    good_first(world)
    world.environments["DeployToProd"].health = "Severe"
    world.alarms["bakery-health"] = world.clock.now() - timedelta(hours=1)
    world.settle()
    world.clock.pass_(timedelta(minutes=1))
    world.release(Release("v2"))
    world.play()
    assert (world.acts, world.states()) == ([], [])


def test_what_a_release_mended_and_breaks_again_is_its_own() -> None:
    """v2 is bad and held; v3 mends it, and is bad itself minutes later."""
    world = World(bake=timedelta(minutes=15))
    good_first(world)
    world.release(Release("v2", is_bad=True, variables={"RollbackSafe": "no"}))
    world.play()
    assert world.states() == ["HELD"]
    world.release(Release("v3", turns_bad_after=timedelta(minutes=6)))
    world.play()
    assert world.running() == {"v1"}
    assert world.states()[-1] == "SUCCEEDED"


def released_under_an_alarm(bake: timedelta) -> World:
    """v1 is known good, the alarm is on, and v3 is on its way."""
    world = World(bake=bake)
    good_first(world)
    world.alarms["bakery-health"] = world.clock.now()
    world.clock.pass_(timedelta(minutes=1))
    world.release(Release("v3"))
    return world


def test_an_alarm_of_before_that_was_off_for_a_while_counts_when_it_goes_off_again() -> None:
    world = released_under_an_alarm(timedelta(minutes=15))
    world.play(timedelta(minutes=1))
    world.alarms.clear()
    world.play(timedelta(minutes=4))
    world.alarms["bakery-health"] = world.clock.now()
    world.play()
    assert world.running() == {"v1"}


def test_an_alarm_that_comes_and_goes_is_not_the_releases() -> None:
    world = released_under_an_alarm(timedelta(minutes=15))
    for _ in range(20):
        world.play(timedelta(seconds=30))
        world.alarms.clear()
        world.play(timedelta(seconds=20))
        world.alarms["bakery-health"] = world.clock.now()
    assert world.running() == {"v3"}
    assert world.states() == []


def test_a_short_bake_waits_until_the_alarm_of_the_release_before_is_over() -> None:
    world = released_under_an_alarm(timedelta(minutes=1))
    world.play(timedelta(minutes=4))
    world.alarms.clear()
    world.play()
    good = world.ledger.known_good("bakery-prod-demo")
    assert good is not None
    assert good.revision == "v3"


def test_an_alarm_in_alarm_from_before_to_the_end_proves_nothing() -> None:
    world = released_under_an_alarm(timedelta(minutes=15))
    world.play()
    assert world.running() == {"v3"}
    good = world.ledger.known_good("bakery-prod-demo")
    assert good is not None
    assert good.revision == "v1"
    assert (
        "bakery-health in ALARM since before the deployment proves nothing"
        in (world.last("Trellis Bake State Change")["reason"])
    )


def test_a_platform_update_is_not_blamed_on_the_release() -> None:
    world = World()
    good_first(world)
    world.release(Release("v2"))
    world.play(timedelta(seconds=60))
    environment = world.environments["DeployToProd"]
    environment.platform, environment.health = "Python 3.13/4.6.0", "Severe"
    world.play()
    assert (world.acts, world.states()) == ([], [])


def test_an_alarm_that_goes_off_is_enough() -> None:
    world = World()
    good_first(world)
    world.release(Release("v2"))
    world.play(timedelta(seconds=120))
    world.alarms["bakery-health"] = world.clock.now()
    world.play()
    assert world.running() == {"v1"}
    assert "the alarm bakery-health went off" in world.last()["reason"]


def test_pages_and_stays_frozen_when_the_rollback_itself_fails() -> None:
    world = World()
    good_first(world)
    for version in world.versions.values():
        version.fails = version.revision == "v1"
    world.release(Release("v2", turns_bad_after=SOON))
    world.play()
    assert world.states() == ["STARTED", "FAILED"]
    assert world.last()["frozen"] is True
    assert world.transitions["DeployToProd"]["enabled"] is False
    assert len(world.acts) == 1


def test_a_retried_stage_is_a_deployment_of_its_own() -> None:
    world = World()
    good_first(world)
    action = world.release(Release("v2", fails=True))
    world.play()
    assert world.running() == {"v1"}
    world.retry(action)
    world.play()
    assert [act[0] for act in world.acts] == ["RollbackStage"]
    assert world.states() == ["STARTED", "SUCCEEDED", "REFUSED"]


def test_the_sweep_finds_what_no_event_told() -> None:
    world = World()
    good_first(world)
    world.release(Release("v2", fails=True))
    world.play(timedelta(hours=1), delivering=False, sweeping=True)
    assert world.running() == {"v1"}
    assert world.states() == ["STARTED", "SUCCEEDED"]


def test_the_sweep_takes_a_dead_watch_over_and_no_living_one() -> None:
    world = World()
    good_first(world)
    world.release(Release("v2", turns_bad_after=timedelta(seconds=100)))
    world.play(timedelta(seconds=40))
    [journal] = [j for j, _ in world.journals if j.ended is None]
    world.invoke({"sweep": {}})
    assert world.invocations == []
    journal.ended = "failed"
    world.play(timedelta(hours=1), sweeping=True)
    assert world.running() == {"v1"}
    assert len(world.acts) == 1


def test_the_sweep_leaves_alone_what_a_person_stopped() -> None:
    """https://docs.aws.amazon.com/lambda/latest/api/API_StopDurableExecution.html."""
    world = World()
    good_first(world)
    world.release(Release("v2", turns_bad_after=timedelta(seconds=100)))
    world.play(timedelta(seconds=40))
    [journal] = [j for j, _ in world.journals if j.ended is None]
    journal.ended = "stopped"
    world.play(timedelta(hours=1), sweeping=True)
    assert world.acts == []
    assert world.ledger.open_watches("bakery-pipeline-demo") == []


def approval_waits(world: World) -> list[float]:
    """What the sweeps measured, in seconds, in their order."""
    found = []
    for dimensions, values in world.measured:
        if "ApprovalWaitSeconds" in values:
            assert dimensions == {"pipeline": "bakery-pipeline-demo"}
            unit, seconds = values["ApprovalWaitSeconds"]
            assert unit == "Seconds"
            found.append(seconds)
    return found


def test_each_sweep_measures_how_long_an_approval_waits_until_it_is_answered() -> None:
    world = World()
    world.invoke({"sweep": {}})
    world.release(Release("v1"), stage="DeployToTest")
    world.play()
    assert world.approval
    world.clock.at = world.approval["since"] + timedelta(hours=25)
    world.invoke({"sweep": {}})
    world.approval = None
    world.invoke({"sweep": {}})
    assert approval_waits(world) == [0, timedelta(hours=25).total_seconds(), 0]


def test_a_pipeline_that_cannot_be_read_measures_nothing_and_fails_loudly() -> None:
    """The deployments are swept all the same."""
    world = World()
    good_first(world)
    world.release(Release("v2", fails=True))
    world.fault = lambda _, call: "denied" if call[1] == "get_pipeline_state" else None
    world.clock.at += timedelta(minutes=1)
    ended = world.invoke({"sweep": {}}).ended
    assert ended == "failed"
    assert approval_waits(world) == []
    assert [one for one in world.invocations if "watch" in one]


def test_measuring_is_tried_again_where_nobody_answers() -> None:
    world = World()
    tries = iter(["timeout before", "throttle"])
    world.fault = lambda _, call: next(tries, None) if call[1] == "get_pipeline_state" else None
    world.invoke({"sweep": {}})
    world.play(timedelta(minutes=5))
    assert approval_waits(world) == [0]


def test_replayed_and_old_events_are_refused() -> None:
    world = World()
    world.release(Release("v1"))
    event = world.events.pop()
    assert world.deliver({**event, "replay-name": "again"}).answer["outcome"] == "ignored"
    old = (world.clock.now() - timedelta(hours=2)).isoformat()
    assert "minutes old" in world.deliver({**event, "time": old}).answer["reason"]
    assert world.ledger.open_watches("bakery-pipeline-demo") == []


def test_a_rollback_of_a_persons_that_fails_is_escalated() -> None:
    world = World()
    good_first(world)
    world.release(Release("v2"))
    world.play()
    first = next(iter(world.executions))
    for version in world.versions.values():
        version.fails = version.revision == "v1"
    client = world.desk().pipeline
    client.roll_back("DeployToProd", first)
    world.acts.clear()
    world.published.clear()
    world.play()
    assert world.acts == []
    assert world.states() == ["REFUSED"]
    assert "itself a rollback" in world.last()["reason"]


def test_tells_how_long_it_took() -> None:
    world = World()
    good_first(world)
    world.release(Release("v2", turns_bad_after=SOON))
    world.play()
    names = [name for _, values in world.measured for name in values]
    for name in (
        "Deployments",
        "LeadTimeSeconds",
        "FailedDeployments",
        "TimeToStartSeconds",
        "TimeToReadySeconds",
        "TimeToRestoreSeconds",
    ):
        assert names.count(name) == 1, name
