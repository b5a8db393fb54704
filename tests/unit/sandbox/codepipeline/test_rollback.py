"""Stage rollback: what it runs, and every reason that refuses it."""

from __future__ import annotations

import pytest

from tests.unit.sandbox.codepipeline.beanstalk import FakeBeanstalk
from tests.unit.sandbox.codepipeline.conftest import World, eventually
from tests.unit.sandbox.codepipeline.declared import action, gate, pipeline, stage

NOBODY = "00000000-0000-0000-0000-000000000000"


def released(world: World, **changes: object) -> str:
    """A pipeline with one execution that succeeded in stage Test."""
    world.upload("v1")
    execution = world.create(pipeline(world.bucket, stage("Test", gate("Gate")), **changes))
    world.answer("Test", of=execution)
    world.until(execution, "Succeeded")
    return execution


def failed(world: World) -> str:
    """One more execution, which fails in stage Test."""
    world.upload("bad")
    execution = world.start()
    world.answer("Test", status="Rejected", of=execution)
    world.until(execution, "Failed")
    return execution


def roll_back(world: World, target: str, stage_name: str = "Test") -> str:
    answer = world.client.rollback_stage(
        pipelineName="shop", stageName=stage_name, targetPipelineExecutionId=target
    )
    return str(answer["pipelineExecutionId"])


def test_a_rollback_runs_the_stage_again_with_what_the_target_brought(world: World) -> None:
    beanstalk = world.cloud.clients["elasticbeanstalk"] = FakeBeanstalk()
    deploy = action(
        "Deploy",
        "Deploy",
        "ElasticBeanstalk",
        {"ApplicationName": "shop", "EnvironmentName": "shop-prod"},
        inputs=["SourceArtifact"],
    )
    good_version = world.upload("v1")
    good = world.create(
        pipeline(
            world.bucket,
            stage("Prod", deploy),
            stage("After", gate("Gate")),
            variables=[{"name": "Safe", "defaultValue": "yes"}],
        )
    )
    world.answer("After", of=good)
    world.until(good, "Succeeded")
    world.upload("v2")
    beanstalk.failures = ["Failed to deploy application."]
    bad = world.start(variables=[{"name": "Safe", "value": "no"}])
    world.until(bad, "Failed")
    beanstalk.failures = []

    rollback = roll_back(world, good, "Prod")
    assert rollback not in (good, bad)
    world.until(rollback, "Succeeded")
    seen = world.execution(rollback)
    assert seen["executionType"] == "ROLLBACK"
    assert seen["rollbackMetadata"] == {"rollbackTargetPipelineExecutionId": good}
    assert seen["trigger"] == {
        "triggerType": "ManualRollback",
        "triggerDetail": "arn:aws:iam::123456789012:root",
    }
    assert seen["artifactRevisions"][0]["revisionId"] == good_version
    assert seen["variables"] == [{"name": "Safe", "resolvedValue": "yes"}]
    assert world.stage("Prod")["latestExecution"] == {
        "pipelineExecutionId": rollback,
        "status": "Succeeded",
        "type": "ROLLBACK",
    }
    # The same bits under a new label, and nothing in the stages after it.
    first, _, third = beanstalk.versions
    assert third["SourceBundle"] == first["SourceBundle"]
    assert third["VersionLabel"] != first["VersionLabel"]
    assert world.stage("After")["latestExecution"]["pipelineExecutionId"] == good
    [summary] = [s for s in world.executions() if s["pipelineExecutionId"] == rollback]
    assert summary["rollbackMetadata"] == {"rollbackTargetPipelineExecutionId": good}
    started = world.events("Pipeline", rollback)[0].detail
    assert started["execution-trigger"]["trigger-type"] == "ManualRollback"


def test_a_closed_transition_does_not_hold_a_rollback(world: World) -> None:
    good = released(world)
    failed(world)
    world.client.disable_stage_transition(
        pipelineName="shop", stageName="Test", transitionType="Inbound", reason="frozen"
    )
    rollback = roll_back(world, good)
    world.answer("Test", of=rollback)
    world.until(rollback, "Succeeded")


def test_a_closed_transition_holds_a_rollback_where_it_is_set_to(world: World) -> None:
    good = released(world)
    failed(world)
    transition = {"pipelineName": "shop", "stageName": "Test", "transitionType": "Inbound"}
    world.client.disable_stage_transition(**transition, reason="frozen")
    world.cloud.assumptions.change({"rollback-transition": "holds"})
    rollback = roll_back(world, good)
    state = world.client.get_pipeline_state(name="shop")["stageStates"][-1]
    assert state["latestExecution"]["pipelineExecutionId"] != rollback
    assert [one["pipelineExecutionId"] for one in state["inboundExecutions"]] == [rollback]
    world.client.enable_stage_transition(**transition)
    world.answer("Test", of=rollback)
    world.until(rollback, "Succeeded")


def test_no_rollback_while_the_stage_runs(world: World) -> None:
    good = released(world)
    running = world.start()
    world.token("Test", of=running)
    with pytest.raises(
        world.client.exceptions.UnableToRollbackStageException, match="currently running"
    ):
        roll_back(world, good)


def test_no_rollback_of_a_source_stage(world: World) -> None:
    good = released(world)
    with pytest.raises(
        world.client.exceptions.UnableToRollbackStageException, match="source stage"
    ):
        roll_back(world, good, "Source")


def test_no_rollback_to_an_execution_that_did_not_succeed_in_the_stage(world: World) -> None:
    released(world)
    bad = failed(world)
    with pytest.raises(
        world.client.exceptions.UnableToRollbackStageException, match="did not succeed"
    ):
        roll_back(world, bad)


def test_no_rollback_to_a_rollback(world: World) -> None:
    good = released(world)
    failed(world)
    rollback = roll_back(world, good)
    world.answer("Test", of=rollback)
    world.until(rollback, "Succeeded")
    with pytest.raises(
        world.client.exceptions.UnableToRollbackStageException, match="itself a rollback"
    ):
        roll_back(world, rollback)


def test_no_rollback_across_a_change_of_the_structure(world: World) -> None:
    good = released(world)
    declared = world.client.get_pipeline(name="shop")["pipeline"]
    world.client.update_pipeline(pipeline=declared)
    with pytest.raises(
        world.client.exceptions.PipelineExecutionOutdatedException, match="version 1"
    ):
        roll_back(world, good)


def test_no_rollback_of_a_v1_pipeline(world: World) -> None:
    good = released(world, pipelineType="V1")
    with pytest.raises(world.client.exceptions.UnableToRollbackStageException, match="V1"):
        roll_back(world, good)


@pytest.mark.parametrize(
    ("pipeline_name", "stage_name", "target", "error"),
    [
        ("nobody", "Test", NOBODY, "PipelineNotFoundException"),
        ("shop", "Nowhere", NOBODY, "StageNotFoundException"),
        ("shop", "Test", NOBODY, "PipelineExecutionNotFoundException"),
    ],
)
def test_no_rollback_of_what_is_not_there(
    world: World, pipeline_name: str, stage_name: str, target: str, error: str
) -> None:
    released(world)
    with pytest.raises(getattr(world.client.exceptions, error)):
        world.client.rollback_stage(
            pipelineName=pipeline_name, stageName=stage_name, targetPipelineExecutionId=target
        )


def test_a_target_id_that_is_no_uuid_is_refused(world: World) -> None:
    released(world)
    with pytest.raises(world.client.exceptions.ValidationException):
        roll_back(world, "latest")


def test_the_filter_finds_what_succeeded_in_a_stage_under_this_structure(world: World) -> None:
    first = released(world)
    world.upload("v2")
    second = world.start()
    world.answer("Test", of=second)
    world.until(second, "Succeeded")
    failed(world)

    def found(stage_name: str) -> list[str]:
        wanted = {"succeededInStage": {"stageName": stage_name}}
        return [s["pipelineExecutionId"] for s in world.executions(filter=wanted)]

    assert found("Test") == [second, first]
    assert len(found("Source")) == 3
    world.client.update_pipeline(pipeline=world.client.get_pipeline(name="shop")["pipeline"])
    assert found("Test") == []
    assert len(world.executions()) == 3


def test_a_stage_may_roll_itself_back_once(world: World) -> None:
    world.upload("v1")
    good = world.create(
        pipeline(world.bucket, stage("Test", gate("Gate"), onFailure={"result": "ROLLBACK"}))
    )
    world.answer("Test", of=good)
    world.until(good, "Succeeded")
    bad = failed(world)
    rollback = eventually(
        lambda: next((s for s in world.executions() if s["executionType"] == "ROLLBACK"), None)
    )
    assert rollback is not None
    rollback_id = rollback["pipelineExecutionId"]
    assert rollback["trigger"] == {"triggerType": "AutomatedRollback", "triggerDetail": bad}
    assert rollback["rollbackMetadata"] == {"rollbackTargetPipelineExecutionId": good}
    world.answer("Test", status="Rejected", of=rollback_id)
    world.until(rollback_id, "Failed")
    assert len(world.executions()) == 3


def test_a_stage_without_a_good_execution_just_fails(world: World) -> None:
    world.upload("v1")
    first = world.create(
        pipeline(world.bucket, stage("Test", gate("Gate"), onFailure={"result": "ROLLBACK"}))
    )
    world.answer("Test", status="Rejected", of=first)
    world.until(first, "Failed")
    assert len(world.executions()) == 1
