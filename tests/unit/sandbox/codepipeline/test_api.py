"""Pipelines, lists, tags, events and rights, through boto3."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from sandbox.cloud import AccessDeniedError, Scope
from sandbox.service import ApiError
from tests.unit.sandbox.codepipeline.conftest import World, eventually
from tests.unit.sandbox.codepipeline.declared import ROLE, gate, pipeline, stage
from tests.unit.sandbox.local_cloud import ACCOUNT, client, serve

ARN = "arn:aws:codepipeline:us-east-1:123456789012:shop"
SCOPE = Scope(ACCOUNT, "us-east-1")
RULE_ROLE = "arn:aws:iam::123456789012:role/rule"


def test_a_pipeline_is_answered_as_it_was_declared(world: World) -> None:
    declared = pipeline(world.bucket, stage("Test", gate("Gate")))
    created = world.client.create_pipeline(
        pipeline=declared, tags=[{"key": "Owner", "value": "shop"}]
    )
    assert created["tags"] == [{"key": "Owner", "value": "shop"}]
    answer = world.client.get_pipeline(name="shop")
    assert answer["pipeline"] == declared | {"version": 1, "executionMode": "SUPERSEDED"}
    assert answer["metadata"]["pipelineArn"] == ARN
    [listed] = world.client.list_pipelines()["pipelines"]
    assert (listed["name"], listed["version"], listed["pipelineType"]) == ("shop", 1, "V2")
    assert ("iam:PassRole", ROLE) in world.cloud.authorized


def test_errors_are_the_models_own(world: World) -> None:
    errors = world.client.exceptions
    declared = pipeline(world.bucket, stage("Test", gate("Gate")))
    with pytest.raises(errors.PipelineNotFoundException):
        world.client.update_pipeline(pipeline=declared)
    world.create(declared)
    with pytest.raises(errors.PipelineNameInUseException):
        world.client.create_pipeline(pipeline=declared)
    with pytest.raises(errors.InvalidStructureException, match="only contains source actions"):
        world.client.update_pipeline(pipeline=declared | {"stages": declared["stages"][::-1]})
    with pytest.raises(errors.PipelineExecutionNotFoundException):
        world.execution("00000000-0000-0000-0000-000000000000")
    with pytest.raises(errors.StageNotFoundException):
        world.client.enable_stage_transition(
            pipelineName="shop", stageName="Nowhere", transitionType="Inbound"
        )
    with pytest.raises(errors.ClientError, match="does not implement codepipeline:ListRuleExec"):
        world.client.list_rule_executions(pipelineName="shop")


def test_a_role_that_does_not_trust_codepipeline_is_refused(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **named: Any) -> dict[str, str]:
        raise AccessDeniedError(named["service_principal"], "sts:AssumeRole", named["role_arn"])

    monkeypatch.setattr(world.cloud, "environment", refuse)
    with pytest.raises(
        world.client.exceptions.InvalidStructureException,
        match=f"not authorized to perform AssumeRole on role {ROLE}",
    ):
        world.client.create_pipeline(pipeline=pipeline(world.bucket, stage("Test", gate("Gate"))))


def test_pipelines_of_another_region_are_another_world(world: World) -> None:
    world.create(pipeline(world.bucket, stage("Test", gate("Gate"))))
    with serve(world.service) as endpoint:
        elsewhere = client(endpoint, "codepipeline", "us-west-2")
        assert elsewhere.list_pipelines()["pipelines"] == []
        with pytest.raises(elsewhere.exceptions.PipelineNotFoundException):
            elsewhere.get_pipeline(name="shop")


def test_executions_and_actions_come_in_pages_newest_first(world: World) -> None:
    world.upload()
    first = world.create(pipeline(world.bucket, stage("Test", gate("Gate"))))
    started = [first, *(world.start() for _ in range(4))]
    pages = world.client.get_paginator("list_pipeline_executions").paginate(
        pipelineName="shop", PaginationConfig={"PageSize": 2}
    )
    sizes = [len(page["pipelineExecutionSummaries"]) for page in pages]
    assert sizes == [2, 2, 1]
    assert [s["pipelineExecutionId"] for s in world.executions()] == started[::-1]
    with pytest.raises(world.client.exceptions.InvalidNextTokenException):
        world.executions(nextToken="bm9uc2Vuc2U=")

    world.token("Test", of=first)
    token = world.client.list_action_executions(pipelineName="shop", maxResults=1)["nextToken"]
    with pytest.raises(world.client.exceptions.InvalidNextTokenException):
        world.executions(nextToken=token)


def test_actions_are_found_by_execution_and_by_latest_attempt(world: World) -> None:
    world.upload()
    execution = world.create(pipeline(world.bucket, stage("Test", gate("Gate"))))
    world.answer("Test", status="Rejected")
    world.until(execution, "Failed")
    world.client.retry_stage_execution(
        pipelineName="shop",
        stageName="Test",
        pipelineExecutionId=execution,
        retryMode="FAILED_ACTIONS",
    )
    again = world.token("Test")
    other = world.start()
    one = world.actions(filter={"pipelineExecutionId": execution})
    assert [detail["actionName"] for detail in one] == ["Gate", "Gate", "Source"]
    assert {detail["pipelineExecutionId"] for detail in one} == {execution}

    def attempts(time_range: str) -> list[str]:
        wanted = {"pipelineExecutionId": execution, "startTimeRange": time_range}
        found = world.actions(filter={"latestInPipelineExecution": wanted})
        return [d["actionExecutionId"] for d in found if d["actionName"] == "Gate"]

    assert attempts("Latest") == [again]
    assert len(attempts("All")) == 2
    assert other not in {detail["pipelineExecutionId"] for detail in one}
    with pytest.raises(world.client.exceptions.PipelineExecutionNotFoundException):
        world.actions(filter={"pipelineExecutionId": "00000000-0000-0000-0000-000000000000"})


def test_tags_are_kept_changed_and_removed(world: World) -> None:
    world.create(pipeline(world.bucket, stage("Test", gate("Gate"))))
    world.client.tag_resource(
        resourceArn=ARN, tags=[{"key": "Owner", "value": "a"}, {"key": "Stage", "value": "b"}]
    )
    world.client.tag_resource(resourceArn=ARN, tags=[{"key": "Owner", "value": "c"}])
    world.client.untag_resource(resourceArn=ARN, tagKeys=["Stage", "Never"])
    tags = world.client.list_tags_for_resource(resourceArn=ARN)["tags"]
    assert tags == [{"key": "Owner", "value": "c"}]
    with pytest.raises(world.client.exceptions.ResourceNotFoundException):
        world.client.list_tags_for_resource(resourceArn=f"{ARN}-other")
    with pytest.raises(world.client.exceptions.InvalidArnException):
        world.client.list_tags_for_resource(
            resourceArn="arn:aws:codepipeline:us-west-2:123456789012:shop"
        )


@pytest.mark.parametrize(
    ("operation", "request_body", "resource"),
    [
        ("GetPipeline", {"name": "shop"}, "shop"),
        ("CreatePipeline", {"pipeline": {"name": "shop"}}, "shop"),
        ("StartPipelineExecution", {"name": "shop"}, "shop"),
        ("StopPipelineExecution", {"pipelineName": "shop"}, "shop"),
        ("RollbackStage", {"pipelineName": "shop", "stageName": "Prod"}, "shop/Prod"),
        ("RetryStageExecution", {"pipelineName": "shop", "stageName": "Prod"}, "shop/Prod"),
        ("DisableStageTransition", {"pipelineName": "shop", "stageName": "Prod"}, "shop/Prod"),
        ("EnableStageTransition", {"pipelineName": "shop", "stageName": "Prod"}, "shop/Prod"),
        (
            "PutApprovalResult",
            {"pipelineName": "shop", "stageName": "Test", "actionName": "Gate"},
            "shop/Test/Gate",
        ),
        ("TagResource", {"resourceArn": ARN}, "shop"),
    ],
)
def test_iam_judges_each_operation_on_its_own_resource(
    world: World, operation: str, request_body: dict[str, Any], resource: str
) -> None:
    arn = world.service.resource_arn(SCOPE, operation, request_body)
    assert arn == f"arn:aws:codepipeline:us-east-1:123456789012:{resource}"


def test_listing_is_judged_on_everything(world: World) -> None:
    assert world.service.resource_arn(SCOPE, "ListPipelines", {}) == "*"


# Started by a rule


def test_a_rule_starts_the_pipeline_with_the_version_that_it_pins(world: World) -> None:
    first = world.upload("v1")
    world.upload("v2")
    world.create(pipeline(world.bucket, stage("Test", gate("Gate"))))
    given = {
        "sourceRevisions": [
            {
                "actionName": "Source",
                "revisionType": "S3_OBJECT_VERSION_ID",
                "revisionValue": first,
            }
        ]
    }
    rule = "arn:aws:events:us-east-1:123456789012:rule/upload"
    execution = world.service.start_from_event(SCOPE, ARN, RULE_ROLE, json.dumps(given), rule)
    eventually(lambda: world.execution(execution)["artifactRevisions"])
    seen = world.execution(execution)
    assert seen["artifactRevisions"][0]["revisionId"] == first
    assert seen["trigger"] == {"triggerType": "CloudWatchEvent", "triggerDetail": rule}
    assert ("codepipeline:StartPipelineExecution", ARN) in world.cloud.authorized


def test_a_rules_ordinary_event_pins_nothing(world: World) -> None:
    world.upload()
    world.create(pipeline(world.bucket, stage("Test", gate("Gate"))))
    event = json.dumps({"detail-type": "Object Created", "detail": {"bucket": {}}})
    assert world.service.start_from_event(SCOPE, ARN, RULE_ROLE, event)


def test_a_rules_role_needs_the_right_to_start(world: World) -> None:
    world.create(pipeline(world.bucket, stage("Test", gate("Gate"))))
    world.cloud.denied.add("codepipeline:StartPipelineExecution")
    with pytest.raises(AccessDeniedError):
        world.service.start_from_event(SCOPE, ARN, RULE_ROLE, "{}")
    assert len(world.executions()) == 1


@pytest.mark.parametrize(
    "text", ["not json", '{"sourceRevisions": {}}', '{"sourceRevisions": [1]}']
)
def test_a_rules_input_that_makes_no_sense_is_refused(world: World, text: str) -> None:
    world.create(pipeline(world.bucket, stage("Test", gate("Gate"))))
    with pytest.raises(ApiError, match="ValidationException"):
        world.service.start_from_event(SCOPE, ARN, RULE_ROLE, text)


# Events


def test_every_step_is_told_in_order_and_in_the_services_shapes(world: World) -> None:
    version = world.upload(summary="Add a cart")
    execution = world.create(pipeline(world.bucket, stage("Test", gate("Gate"))))
    world.answer("Test")
    eventually(lambda: world.states("Pipeline", execution)[-1], lambda s: s == "SUCCEEDED")

    told = [
        (event.detail_type.split()[1], event.detail.get("stage"), event.detail["state"])
        for event in world.cloud.events
    ]
    assert told == [
        ("Pipeline", None, "STARTED"),
        ("Stage", "Source", "STARTED"),
        ("Action", "Source", "STARTED"),
        ("Action", "Source", "SUCCEEDED"),
        ("Stage", "Source", "SUCCEEDED"),
        ("Stage", "Test", "STARTED"),
        ("Action", "Test", "STARTED"),
        ("Action", "Test", "SUCCEEDED"),
        ("Stage", "Test", "SUCCEEDED"),
        ("Pipeline", None, "SUCCEEDED"),
    ]
    assert {event.source for event in world.cloud.events} == {"aws.codepipeline"}
    assert {event.resources for event in world.cloud.events} == {(ARN,)}

    started = dict(world.events("Pipeline", execution)[0].detail)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", started.pop("start-time"))
    assert started == {
        "pipeline": "shop",
        "execution-id": execution,
        "execution-trigger": {
            "trigger-type": "CreatePipeline",
            "trigger-detail": "arn:aws:iam::123456789012:root",
        },
        "state": "STARTED",
        "version": 1.0,
        "pipeline-execution-attempt": 1.0,
    }
    assert isinstance(started["version"], float)
    assert "execution-trigger" not in world.events("Pipeline", execution)[-1].detail

    picked_up = dict(world.events("Action", execution)[1].detail)
    [artifact] = picked_up.pop("output-artifacts")
    assert artifact["name"] == "SourceArtifact"
    assert artifact["s3location"]["bucket"] == world.bucket
    action_id = world.actions()[-1]["actionExecutionId"]
    picked_up.pop("start-time")
    assert picked_up == {
        "pipeline": "shop",
        "execution-id": execution,
        "stage": "Source",
        "action-execution-id": action_id,
        "action": "Source",
        "execution-result": {
            "external-execution-summary": "Add a cart",
            "external-execution-id": version,
        },
        "state": "SUCCEEDED",
        "region": "us-east-1",
        "type": {"owner": "AWS", "provider": "S3", "category": "Source", "version": "1"},
        "version": 1.0,
        "pipeline-execution-attempt": 1.0,
    }


def test_no_event_carries_a_token(world: World) -> None:
    world.upload()
    execution = world.create(pipeline(world.bucket, stage("Test", gate("Gate"))))
    world.token("Test")
    eventually(lambda: world.states("Action", execution)[-1:] == ["STARTED"])
    assert all("token" not in event.detail for event in world.cloud.events)


def test_a_bus_that_refuses_an_event_does_not_stop_the_next(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = world.cloud.emit
    refused: list[str] = []

    def emit(*given: Any, **named: Any) -> None:
        if not refused:
            refused.append(given[2])
            raise RuntimeError("the bus is down")
        put(*given, **named)

    monkeypatch.setattr(world.cloud, "emit", emit)
    world.upload()
    execution = world.create(pipeline(world.bucket, stage("Test", gate("Gate"))))
    world.answer("Test")
    eventually(lambda: world.states("Pipeline", execution), lambda s: s == ["SUCCEEDED"])
