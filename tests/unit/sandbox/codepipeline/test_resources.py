"""A pipeline as a stack's resource."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.cloud import Scope
from sandbox.cloudformation import ResourceFailedError, ResourceType, Stack
from sandbox.codepipeline.resources import resource_types
from tests.unit.sandbox.codepipeline.conftest import World, eventually
from tests.unit.sandbox.codepipeline.declared import KEY, ROLE
from tests.unit.sandbox.local_cloud import ACCOUNT

STACK = Stack(Scope(ACCOUNT, "us-east-1"), "shop-stack")


def properties(bucket: str, **changes: Any) -> dict[str, Any]:
    return {
        "Name": "shop",
        "PipelineType": "V2",
        "RoleArn": ROLE,
        "ArtifactStore": {"Type": "S3", "Location": bucket},
        "Stages": [
            {
                "Name": "Source",
                "Actions": [
                    {
                        "Name": "Source",
                        "ActionTypeId": {
                            "Category": "Source",
                            "Owner": "AWS",
                            "Provider": "S3",
                            "Version": "1",
                        },
                        "Configuration": {
                            "S3Bucket": bucket,
                            "S3ObjectKey": KEY,
                            "PollForSourceChanges": False,
                        },
                        "OutputArtifacts": [{"Name": "SourceArtifact"}],
                        "RunOrder": "1",
                    }
                ],
            },
            {
                "Name": "Test",
                "Actions": [
                    {
                        "Name": "Gate",
                        "ActionTypeId": {
                            "Category": "Approval",
                            "Owner": "AWS",
                            "Provider": "Manual",
                            "Version": "1",
                        },
                        "Configuration": {"CustomData": "please"},
                        "TimeoutInMinutes": "60",
                    }
                ],
            },
        ],
        "Tags": [{"Key": "Owner", "Value": "shop"}],
        **changes,
    }


@pytest.fixture
def kind(world: World) -> ResourceType:
    return resource_types(world.service)["AWS::CodePipeline::Pipeline"]


def tags(world: World) -> dict[str, str]:
    arn = "arn:aws:codepipeline:us-east-1:123456789012:shop"
    answer = world.client.list_tags_for_resource(resourceArn=arn)
    return {tag["key"]: tag["value"] for tag in answer["tags"]}


def test_a_stack_makes_a_pipeline_and_its_first_run(world: World, kind: ResourceType) -> None:
    world.upload()
    assert kind.create(STACK, "Pipeline", properties(world.bucket)) == ("shop", {"Version": "1"})
    declared = world.client.get_pipeline(name="shop")["pipeline"]
    source = declared["stages"][0]["actions"][0]
    assert source["configuration"]["PollForSourceChanges"] == "false"
    assert source["configuration"]["S3Bucket"] == world.bucket
    assert source["runOrder"] == 1
    assert declared["stages"][1]["actions"][0]["timeoutInMinutes"] == 60
    assert tags(world) == {"Owner": "shop"}
    [execution] = world.executions()
    assert execution["trigger"]["triggerType"] == "CreatePipeline"


def test_only_a_changed_structure_makes_a_new_version(world: World, kind: ResourceType) -> None:
    world.upload()
    before = properties(world.bucket)
    kind.create(STACK, "Pipeline", before)
    running = world.executions()[0]["pipelineExecutionId"]
    world.token("Test")

    retagged = properties(world.bucket, Tags=[{"Key": "Team", "Value": "web"}])
    assert kind.update(STACK, "Pipeline", "shop", before, retagged) == ("shop", {"Version": "1"})
    assert tags(world) == {"Team": "web"}
    assert world.status(running) == "InProgress"

    changed = properties(world.bucket, ExecutionMode="QUEUED")
    assert kind.update(STACK, "Pipeline", "shop", retagged, changed) == ("shop", {"Version": "2"})
    assert world.status(running) == "Cancelled"
    assert len(world.executions()) == 1


def test_an_update_may_start_the_pipeline_again(world: World, kind: ResourceType) -> None:
    world.upload()
    before = properties(world.bucket)
    kind.create(STACK, "Pipeline", before)
    after = properties(world.bucket, ExecutionMode="QUEUED", RestartExecutionOnUpdate=True)
    kind.update(STACK, "Pipeline", "shop", before, after)
    assert len(world.executions()) == 2


def test_a_transition_is_closed_before_the_first_run(world: World, kind: ResourceType) -> None:
    world.upload()
    closed = properties(
        world.bucket, DisableInboundStageTransitions=[{"StageName": "Test", "Reason": "not yet"}]
    )
    kind.create(STACK, "Pipeline", closed)
    eventually(lambda: world.stage("Test").get("inboundExecution"))
    kind.update(STACK, "Pipeline", "shop", closed, properties(world.bucket))
    assert world.token("Test")


def test_a_transition_of_no_stage_leaves_no_pipeline_behind(
    world: World, kind: ResourceType
) -> None:
    closed = properties(
        world.bucket, DisableInboundStageTransitions=[{"StageName": "Nowhere", "Reason": "x"}]
    )
    with pytest.raises(ResourceFailedError, match="'Nowhere'"):
        kind.create(STACK, "Pipeline", closed)
    assert world.client.list_pipelines()["pipelines"] == []


def test_another_name_is_another_pipeline(world: World, kind: ResourceType) -> None:
    before = properties(world.bucket)
    kind.create(STACK, "Pipeline", before)
    renamed = properties(world.bucket, Name="store")
    assert kind.update(STACK, "Pipeline", "shop", before, renamed)[0] == "store"
    kind.delete(STACK, "shop", before)
    kind.delete(STACK, "shop", before)
    assert [p["name"] for p in world.client.list_pipelines()["pipelines"]] == ["store"]


def test_a_pipeline_without_a_name_gets_a_stable_one(world: World, kind: ResourceType) -> None:
    nameless = properties(world.bucket)
    del nameless["Name"]
    name, _ = kind.create(STACK, "Pipeline", nameless)
    assert name.startswith("shop-stack-Pipeline-")
    assert kind.update(STACK, "Pipeline", name, nameless, nameless) == (name, {"Version": "1"})


def test_a_pipeline_that_cannot_be_made_says_why(world: World, kind: ResourceType) -> None:
    bad = properties(world.bucket)
    del bad["Stages"][0]["Actions"][0]["Configuration"]["S3Bucket"]
    with pytest.raises(ResourceFailedError) as caught:
        kind.create(STACK, "Pipeline", bad)
    assert str(caught.value) == (
        "Action configuration for action 'Source' is missing required configuration 'S3Bucket' "
        "(Service: AWSCodePipeline; Status Code: 400; Error Code: "
        "InvalidActionDeclarationException)"
    )
