"""Executions, stage locks, transitions, stops and retries, through boto3."""

from __future__ import annotations

import pytest

from tests.unit.sandbox.codepipeline.conftest import World, eventually
from tests.unit.sandbox.codepipeline.declared import action, gate, pipeline, stage


def test_creating_a_pipeline_starts_a_run(world: World) -> None:
    version = world.upload(summary="Add a cart")
    execution = world.create(pipeline(world.bucket, stage("Test", gate("Gate"))))
    world.answer("Test")
    world.until(execution, "Succeeded")

    [summary] = world.executions()
    assert summary["trigger"]["triggerType"] == "CreatePipeline"
    assert summary["trigger"]["triggerDetail"] == "arn:aws:iam::123456789012:root"
    assert summary["executionType"] == "STANDARD"
    assert summary["executionMode"] == "SUPERSEDED"
    [revision] = summary["sourceRevisions"]
    assert (revision["actionName"], revision["revisionId"]) == ("Source", version)
    assert revision["revisionSummary"] == "Add a cart"


def test_a_run_fails_at_its_source_while_nothing_is_uploaded(world: World) -> None:
    execution = world.create(pipeline(world.bucket, stage("Test", gate("Gate"))))
    world.until(execution, "Failed")

    failed = world.action("Source", "Source")
    assert failed["errorDetails"]["code"] == "ConfigurationError"
    assert "source/shop/main.zip" in failed["errorDetails"]["message"]
    assert world.action("Test", "Gate") == {}


def test_actions_of_equal_run_order_wait_side_by_side_and_the_next_comes_after(
    world: World,
) -> None:
    world.upload()
    execution = world.create(
        pipeline(world.bucket, stage("Test", gate("A"), gate("B"), gate("C", order=2)))
    )
    world.token("Test", "A")
    world.token("Test", "B")
    assert world.action("Test", "C") == {}
    world.answer("Test", "A")
    world.answer("Test", "B")
    world.answer("Test", "C")
    world.until(execution, "Succeeded")


def test_a_failed_action_fails_the_stage_only_after_its_siblings_ended(world: World) -> None:
    world.upload()
    execution = world.create(pipeline(world.bucket, stage("Test", gate("A"), gate("B"))))
    world.answer("Test", "A", "Rejected", "no")
    eventually(lambda: world.action("Test", "A")["status"], lambda status: status == "Failed")
    assert world.stage("Test")["latestExecution"]["status"] == "InProgress"
    world.answer("Test", "B")
    world.until(execution, "Failed")
    assert world.stage("Test")["latestExecution"]["status"] == "Failed"


def test_a_waiting_execution_is_superseded_by_a_newer_one(world: World) -> None:
    world.upload("v1")
    first = world.create(pipeline(world.bucket, stage("Test", gate("Gate"))))
    world.token("Test", of=first)
    world.upload("v2")
    second = world.start()
    eventually(lambda: world.stage("Test").get("inboundExecution"))
    world.upload("v3")
    third = world.start()
    world.until(second, "Superseded")
    inbound = world.stage("Test")["inboundExecutions"]
    assert [execution["pipelineExecutionId"] for execution in inbound] == [third]
    world.answer("Test", of=first)
    world.until(first, "Succeeded")
    world.answer("Test", of=third)
    world.until(third, "Succeeded")
    assert world.states("Pipeline", second) == ["STARTED", "SUPERSEDED"]
    assert third in world.execution(second)["statusSummary"]


def test_a_failure_frees_the_stage_for_the_execution_that_waits(world: World) -> None:
    world.upload()
    first = world.create(pipeline(world.bucket, stage("Test", gate("Gate"))))
    world.token("Test", of=first)
    second = world.start()
    world.answer("Test", status="Rejected", of=first)
    world.until(first, "Failed")
    world.answer("Test", of=second)
    world.until(second, "Succeeded")


def test_queued_executions_enter_in_their_order_and_none_is_superseded(world: World) -> None:
    world.upload()
    first = world.create(
        pipeline(world.bucket, stage("Test", gate("Gate")), executionMode="QUEUED")
    )
    world.token("Test", of=first)
    second = world.start()
    eventually(lambda: len(world.stage("Test").get("inboundExecutions", [])), lambda n: n == 1)
    third = world.start()
    eventually(lambda: len(world.stage("Test").get("inboundExecutions", [])), lambda n: n == 2)
    for execution in (first, second, third):
        world.answer("Test", of=execution)
        world.until(execution, "Succeeded")


def test_a_queue_takes_fifty_executions(world: World) -> None:
    world.upload()
    world.create(pipeline(world.bucket, stage("Test", gate("Gate")), executionMode="QUEUED"))
    for _ in range(49):
        world.start()
    with pytest.raises(world.client.exceptions.ConcurrentPipelineExecutionsLimitExceededException):
        world.start()


def test_a_disabled_transition_holds_and_an_enabled_one_lets_go_on(world: World) -> None:
    world.upload()
    execution = world.create(
        pipeline(world.bucket, stage("Test", gate("Gate")), stage("Prod", gate("Gate")))
    )
    world.token("Test")
    world.client.disable_stage_transition(
        pipelineName="shop", stageName="Prod", transitionType="Inbound", reason="Rolled back v2"
    )
    world.answer("Test")
    held = eventually(lambda: world.stage("Prod").get("inboundExecution"))
    assert held == {
        "pipelineExecutionId": execution,
        "status": "InProgress",
        "type": "STANDARD",
    }
    state = world.stage("Prod")["inboundTransitionState"]
    assert (state["enabled"], state["disabledReason"]) == (False, "Rolled back v2")
    assert state["lastChangedBy"] == "arn:aws:iam::123456789012:root"
    assert world.status(execution) == "InProgress"

    world.client.enable_stage_transition(
        pipelineName="shop", stageName="Prod", transitionType="Inbound"
    )
    world.answer("Prod")
    world.until(execution, "Succeeded")
    assert world.stage("Prod")["inboundTransitionState"]["enabled"] is True


def test_an_execution_held_at_a_transition_is_superseded_there(world: World) -> None:
    world.upload()
    first = world.create(pipeline(world.bucket, stage("Test", gate("Gate"))))
    world.answer("Test", of=first)
    world.client.disable_stage_transition(
        pipelineName="shop", stageName="Test", transitionType="Inbound", reason="hold"
    )
    second = world.start()
    eventually(lambda: world.stage("Test").get("inboundExecution"))
    third = world.start()
    world.until(second, "Superseded")
    world.client.enable_stage_transition(
        pipelineName="shop", stageName="Test", transitionType="Inbound"
    )
    world.answer("Test", of=third)
    world.until(third, "Succeeded")


def test_an_outbound_transition_holds_in_front_of_the_next_stage(world: World) -> None:
    world.upload()
    execution = world.create(
        pipeline(world.bucket, stage("Test", gate("Gate")), stage("Prod", gate("Gate")))
    )
    world.token("Test")
    world.client.disable_stage_transition(
        pipelineName="shop", stageName="Test", transitionType="Outbound", reason="hold"
    )
    world.answer("Test")
    eventually(lambda: world.stage("Prod").get("inboundExecution"))
    world.client.enable_stage_transition(
        pipelineName="shop", stageName="Test", transitionType="Outbound"
    )
    world.answer("Prod")
    world.until(execution, "Succeeded")


def test_a_reason_with_a_colon_is_refused(world: World) -> None:
    world.upload()
    world.create(pipeline(world.bucket, stage("Test", gate("Gate"))))
    with pytest.raises(world.client.exceptions.ValidationException, match="regular expression"):
        world.client.disable_stage_transition(
            pipelineName="shop", stageName="Test", transitionType="Inbound", reason="bad: v2"
        )


def test_an_execution_held_at_a_transition_can_be_stopped(world: World) -> None:
    world.upload()
    first = world.create(pipeline(world.bucket, stage("Test", gate("Gate"))))
    world.answer("Test", of=first)
    world.client.disable_stage_transition(
        pipelineName="shop", stageName="Test", transitionType="Inbound", reason="hold"
    )
    second = world.start()
    eventually(lambda: world.stage("Test").get("inboundExecution"))
    world.client.stop_pipeline_execution(
        pipelineName="shop", pipelineExecutionId=second, reason="not this one"
    )
    world.until(second, "Stopped")
    assert world.stage("Test")["inboundExecution"]["status"] == "Stopped"
    assert world.executions()[0]["stopTrigger"] == {"reason": "not this one"}
    world.client.enable_stage_transition(
        pipelineName="shop", stageName="Test", transitionType="Inbound"
    )
    third = world.start()
    world.answer("Test", of=third)
    world.until(third, "Succeeded")
    assert world.status(second) == "Stopped"


def test_stop_and_wait_lets_the_running_action_end(world: World) -> None:
    world.upload()
    execution = world.create(
        pipeline(world.bucket, stage("Test", gate("Gate"), gate("Later", order=2)))
    )
    world.token("Test")
    world.client.stop_pipeline_execution(
        pipelineName="shop", pipelineExecutionId=execution, reason="a bug"
    )
    assert world.status(execution) == "Stopping"
    assert world.stage("Test")["latestExecution"]["status"] == "Stopping"
    world.answer("Test")
    world.until(execution, "Stopped")
    assert world.action("Test", "Gate")["status"] == "Succeeded"
    assert world.action("Test", "Later") == {}
    assert eventually(
        lambda: world.states("Pipeline", execution), lambda states: len(states) == 3
    ) == ["STARTED", "STOPPING", "STOPPED"]
    stopping = world.events("Pipeline", execution)[1]
    assert stopping.detail["stop-execution-comments"] == "a bug"
    assert world.states("Stage", execution)[-2:] == ["STOPPING", "STOPPED"]


def test_stop_and_abandon_does_not_wait_and_frees_the_stage(world: World) -> None:
    world.upload()
    execution = world.create(pipeline(world.bucket, stage("Test", gate("Gate"))))
    world.token("Test")
    world.client.stop_pipeline_execution(
        pipelineName="shop", pipelineExecutionId=execution, abandon=True
    )
    assert world.status(execution) == "Stopped"
    assert world.action("Test", "Gate")["status"] == "Abandoned"
    assert world.states("Action", execution)[-1] == "ABANDONED"
    second = world.start()
    world.answer("Test", of=second)
    world.until(second, "Succeeded")


def test_a_second_stop_request_is_a_duplicate_but_abandoning_is_not(world: World) -> None:
    world.upload()
    execution = world.create(pipeline(world.bucket, stage("Test", gate("Gate"))))
    world.token("Test")
    world.client.stop_pipeline_execution(pipelineName="shop", pipelineExecutionId=execution)
    with pytest.raises(world.client.exceptions.DuplicatedStopRequestException):
        world.client.stop_pipeline_execution(pipelineName="shop", pipelineExecutionId=execution)
    world.client.stop_pipeline_execution(
        pipelineName="shop", pipelineExecutionId=execution, abandon=True
    )
    assert world.status(execution) == "Stopped"


def test_what_does_not_run_cannot_be_stopped(world: World) -> None:
    world.upload()
    execution = world.create(pipeline(world.bucket, stage("Test", gate("Gate"))))
    world.answer("Test")
    world.until(execution, "Succeeded")
    for unstoppable in (execution, "00000000-0000-0000-0000-000000000000"):
        with pytest.raises(world.client.exceptions.PipelineExecutionNotStoppableException):
            world.client.stop_pipeline_execution(
                pipelineName="shop", pipelineExecutionId=unstoppable
            )


def test_a_retry_keeps_the_execution_and_runs_only_the_failed_actions(world: World) -> None:
    world.upload()
    execution = world.create(pipeline(world.bucket, stage("Test", gate("A"), gate("B"))))
    world.answer("Test", "A")
    world.answer("Test", "B", "Rejected")
    world.until(execution, "Failed")
    before = {detail["actionExecutionId"] for detail in world.actions()}

    answer = world.client.retry_stage_execution(
        pipelineName="shop",
        stageName="Test",
        pipelineExecutionId=execution,
        retryMode="FAILED_ACTIONS",
    )
    assert answer["pipelineExecutionId"] == execution
    world.answer("Test", "B")
    world.until(execution, "Succeeded")
    [again] = [d for d in world.actions() if d["actionExecutionId"] not in before]
    assert (again["actionName"], again["status"]) == ("B", "Succeeded")
    assert again["pipelineExecutionId"] == execution
    metadata = world.stage("Test")["retryStageMetadata"]
    assert metadata == {"manualStageRetryAttempt": 1, "latestRetryTrigger": "ManualStageRetry"}
    eventually(lambda: world.states("Pipeline", execution)[-1], lambda s: s == "SUCCEEDED")
    resumed = world.events("Pipeline", execution)[-2]
    assert resumed.detail["state"] == "RESUMED"
    assert resumed.detail["pipeline-execution-attempt"] == 2.0
    assert "stage-last-retry-attempt-time" in world.events("Stage", execution)[-1].detail


def test_a_retry_of_all_actions_runs_the_successful_ones_too(world: World) -> None:
    world.upload()
    execution = world.create(pipeline(world.bucket, stage("Test", gate("A"), gate("B"))))
    world.answer("Test", "A")
    world.answer("Test", "B", "Rejected")
    world.until(execution, "Failed")
    world.client.retry_stage_execution(
        pipelineName="shop",
        stageName="Test",
        pipelineExecutionId=execution,
        retryMode="ALL_ACTIONS",
    )
    world.answer("Test", "A")
    world.answer("Test", "B")
    world.until(execution, "Succeeded")


def test_a_stopped_stage_can_be_retried(world: World) -> None:
    world.upload()
    execution = world.create(pipeline(world.bucket, stage("Test", gate("Gate"))))
    world.token("Test")
    world.client.stop_pipeline_execution(
        pipelineName="shop", pipelineExecutionId=execution, abandon=True
    )
    world.client.retry_stage_execution(
        pipelineName="shop",
        stageName="Test",
        pipelineExecutionId=execution,
        retryMode="FAILED_ACTIONS",
    )
    world.answer("Test")
    world.until(execution, "Succeeded")


@pytest.mark.parametrize(
    ("stage_name", "error"),
    [
        ("Test", "NotLatestPipelineExecutionException"),
        ("Nowhere", "StageNotFoundException"),
    ],
)
def test_only_the_stages_latest_execution_can_be_retried(
    world: World, stage_name: str, error: str
) -> None:
    world.upload()
    first = world.create(pipeline(world.bucket, stage("Test", gate("Gate"))))
    world.answer("Test", status="Rejected", of=first)
    world.until(first, "Failed")
    second = world.start()
    world.token("Test", of=second)
    with pytest.raises(getattr(world.client.exceptions, error)):
        world.client.retry_stage_execution(
            pipelineName="shop",
            stageName=stage_name,
            pipelineExecutionId=first,
            retryMode="FAILED_ACTIONS",
        )


def test_a_stage_that_did_not_fail_cannot_be_retried(world: World) -> None:
    world.upload()
    execution = world.create(pipeline(world.bucket, stage("Test", gate("Gate"))))
    world.answer("Test")
    world.until(execution, "Succeeded")
    with pytest.raises(world.client.exceptions.StageNotRetryableException):
        world.client.retry_stage_execution(
            pipelineName="shop",
            stageName="Test",
            pipelineExecutionId=execution,
            retryMode="FAILED_ACTIONS",
        )


def test_a_stage_cannot_be_retried_after_the_structure_changed(world: World) -> None:
    world.upload()
    declared = pipeline(world.bucket, stage("Test", gate("Gate")))
    execution = world.create(declared)
    world.answer("Test", status="Rejected")
    world.until(execution, "Failed")
    world.client.update_pipeline(pipeline=declared)
    with pytest.raises(world.client.exceptions.StageNotRetryableException):
        world.client.retry_stage_execution(
            pipelineName="shop",
            stageName="Test",
            pipelineExecutionId=execution,
            retryMode="FAILED_ACTIONS",
        )


def test_a_stage_that_retries_by_itself_does_it_once(world: World) -> None:
    world.upload()
    retrying = {"result": "RETRY", "retryConfiguration": {"retryMode": "FAILED_ACTIONS"}}
    execution = world.create(
        pipeline(world.bucket, stage("Test", gate("Gate"), onFailure=retrying))
    )
    first = world.token("Test")
    world.answer("Test", status="Rejected")
    eventually(lambda: world.action("Test", "Gate").get("token"), lambda t: t not in (None, first))
    assert world.status(execution) == "InProgress"
    assert world.stage("Test")["retryStageMetadata"] == {
        "autoStageRetryAttempt": 1,
        "latestRetryTrigger": "AutomatedStageRetry",
    }
    world.answer("Test", status="Rejected")
    world.until(execution, "Failed")


def test_an_update_cancels_what_is_in_progress_and_makes_a_new_version(world: World) -> None:
    world.upload()
    declared = pipeline(world.bucket, stage("Test", gate("Gate")))
    running = world.create(declared)
    world.token("Test", of=running)
    waiting = world.start()
    eventually(lambda: world.stage("Test").get("inboundExecution"))

    updated = world.client.update_pipeline(pipeline=declared)["pipeline"]
    assert updated["version"] == 2
    assert world.status(running) == world.status(waiting) == "Cancelled"
    assert world.execution(running)["pipelineVersion"] == 1
    assert world.states("Action", running)[-1] == "CANCELED"
    assert world.states("Stage", running)[-1] == "CANCELED"
    assert world.states("Pipeline", running)[-1] == "CANCELED"
    assert "inboundExecution" not in world.stage("Test")
    third = world.start()
    world.answer("Test", of=third)
    world.until(third, "Succeeded")
    assert world.client.get_pipeline(name="shop", version=1)["pipeline"]["version"] == 1
    with pytest.raises(world.client.exceptions.PipelineVersionNotFoundException):
        world.client.get_pipeline(name="shop", version=7)


def test_the_same_request_token_starts_one_execution(world: World) -> None:
    world.upload()
    world.create(pipeline(world.bucket, stage("Test", gate("Gate"))))
    assert world.start(clientRequestToken="once") == world.start(clientRequestToken="once")
    assert len(world.executions()) == 2


def test_variables_reach_the_actions_and_the_execution(world: World) -> None:
    version = world.upload()
    approve = gate("Gate")
    approve["configuration"] = {
        "CustomData": "#{SourceVariables.VersionId} #{variables.Safe} "
        "#{codepipeline.PipelineExecutionId}"
    }
    execution = world.create(
        pipeline(
            world.bucket,
            stage("Test", approve),
            variables=[{"name": "Safe", "defaultValue": "yes"}],
        )
    )
    world.token("Test", of=execution)
    second = world.start(variables=[{"name": "Safe", "value": "no"}])
    world.answer("Test", of=execution)
    world.token("Test", of=second)
    resolved = {
        detail["pipelineExecutionId"]: detail["input"]["resolvedConfiguration"]["CustomData"]
        for detail in world.actions()
        if detail["actionName"] == "Gate"
    }
    assert resolved[execution] == f"{version} yes {execution}"
    assert resolved[second] == f"{version} no {second}"
    assert world.execution(second)["variables"] == [{"name": "Safe", "resolvedValue": "no"}]


def test_a_variable_that_no_action_gave_a_value_fails_the_action(world: World) -> None:
    world.upload()
    approve = gate("Gate")
    approve["configuration"] = {"CustomData": "#{SourceVariables.Nothing}"}
    execution = world.create(pipeline(world.bucket, stage("Test", approve)))
    world.until(execution, "Failed")
    assert "SourceVariables.Nothing" in world.action("Test", "Gate")["errorDetails"]["message"]


def test_unknown_and_missing_variables_are_refused(world: World) -> None:
    world.upload()
    declared = pipeline(world.bucket, stage("Test", gate("Gate")), variables=[{"name": "Needed"}])
    world.client.create_pipeline(pipeline=declared)
    refused = world.client.exceptions.ValidationException
    with pytest.raises(refused, match="does not declare the variable Other"):
        world.start(variables=[{"name": "Other", "value": "x"}])
    with pytest.raises(refused, match="Needed has no default value"):
        world.start()
    assert world.executions() == []


def test_an_unmodelled_provider_fails_by_name(world: World) -> None:
    world.upload()
    execution = world.create(
        pipeline(
            world.bucket, stage("Test", action("Run", "Invoke", "Lambda", {"FunctionName": "f"}))
        )
    )
    world.until(execution, "Failed")
    assert "Invoke/Lambda" in world.action("Test", "Run")["errorDetails"]["message"]


def test_deleting_a_pipeline_ends_what_runs_in_it(world: World) -> None:
    world.upload()
    world.create(pipeline(world.bucket, stage("Test", gate("Gate"))))
    world.token("Test")
    world.client.delete_pipeline(name="shop")
    with pytest.raises(world.client.exceptions.PipelineNotFoundException, match="'shop'"):
        world.client.get_pipeline_state(name="shop")
    world.client.delete_pipeline(name="shop")
