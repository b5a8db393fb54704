"""Manual approvals: token, answers, time, notification."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from sandbox.codepipeline.actions.work import Pace
from tests.unit.sandbox.codepipeline.beanstalk import client_error
from tests.unit.sandbox.codepipeline.conftest import World, eventually
from tests.unit.sandbox.codepipeline.declared import gate, pipeline, stage

TOPIC = "arn:aws:sns:us-east-1:123456789012:approvals"


class FakeTopic:
    def __init__(self) -> None:
        self.published: list[dict[str, Any]] = []
        self.error: Exception | None = None

    def publish(self, **given: Any) -> dict[str, str]:
        if self.error is not None:
            raise self.error
        self.published.append(given)
        return {"MessageId": "1"}


def waiting(world: World, **changes: Any) -> str:
    """A pipeline whose approval waits."""
    world.upload(summary="Add a cart")
    approve = gate("Gate", **changes)
    execution = world.create(pipeline(world.bucket, stage("Test", approve)))
    eventually(lambda: world.action("Test", "Gate"))
    return execution


def put(world: World, token: str, status: str = "Approved", **where: str) -> Any:
    return world.client.put_approval_result(
        **{"pipelineName": "shop", "stageName": "Test", "actionName": "Gate", **where},
        token=token,
        result={"status": status, "summary": ""},
    )


def test_the_token_is_the_action_executions_id_and_goes_with_the_answer(world: World) -> None:
    execution = waiting(world)
    token = world.token("Test")
    [detail] = [d for d in world.actions() if d["actionName"] == "Gate"]
    assert token == detail["actionExecutionId"]
    assert put(world, token)["approvedAt"] is not None
    world.until(execution, "Succeeded")
    answered = world.action("Test", "Gate")
    assert "token" not in answered
    assert answered["summary"] == "Approved by arn:aws:iam::123456789012:root"
    assert answered["lastUpdatedBy"] == "arn:aws:iam::123456789012:root"


def test_a_rejection_fails_the_stage_with_its_summary(world: World) -> None:
    execution = waiting(world)
    world.answer("Test", status="Rejected", summary="Test bake failed: 34 % of requests answer 500")
    world.until(execution, "Failed")
    rejected = world.action("Test", "Gate")
    assert rejected["status"] == "Failed"
    assert rejected["errorDetails"] == {
        "code": "JobFailed",
        "message": "Test bake failed: 34 % of requests answer 500",
    }
    failed = eventually(
        lambda: [
            e.detail for e in world.events("Action", execution) if e.detail["state"] == "FAILED"
        ]
    )
    assert failed[0]["type"]["category"] == "Approval"
    assert failed[0]["execution-result"] == {
        "external-execution-summary": "Test bake failed: 34 % of requests answer 500",
        "error-code": "JobFailed",
    }


def test_an_answered_approval_takes_no_second_answer(world: World) -> None:
    execution = waiting(world)
    token = world.token("Test")
    put(world, token)
    with pytest.raises(world.client.exceptions.ApprovalAlreadyCompletedException):
        put(world, token, "Rejected")
    world.until(execution, "Succeeded")
    with pytest.raises(world.client.exceptions.ApprovalAlreadyCompletedException):
        put(world, token)


@pytest.mark.parametrize(
    ("where", "error"),
    [
        ({}, "InvalidApprovalTokenException"),
        ({"pipelineName": "nobody"}, "PipelineNotFoundException"),
        ({"stageName": "Nowhere"}, "StageNotFoundException"),
        ({"actionName": "Nothing"}, "ActionNotFoundException"),
    ],
)
def test_a_wrong_token_or_place_is_refused(world: World, where: dict[str, str], error: str) -> None:
    waiting(world)
    world.token("Test")
    with pytest.raises(getattr(world.client.exceptions, error)):
        put(world, "00000000-0000-0000-0000-000000000000", **where)


def test_an_abandoned_approval_takes_no_answer(world: World) -> None:
    execution = waiting(world)
    token = world.token("Test")
    world.client.stop_pipeline_execution(
        pipelineName="shop", pipelineExecutionId=execution, abandon=True
    )
    with pytest.raises(world.client.exceptions.InvalidApprovalTokenException):
        put(world, token)


class TestInTime:
    @pytest.fixture
    def pace(self) -> Pace:
        return Pace(minute=0.02, poll=0.01)

    def test_an_unanswered_approval_times_out_as_a_failure(self, world: World) -> None:
        execution = waiting(world, timeoutInMinutes=5)
        # The token is the action execution's id; on a busy machine it is gone before it is seen.
        [token] = [d["actionExecutionId"] for d in world.actions() if d["actionName"] == "Gate"]
        world.until(execution, "Failed")
        error = world.action("Test", "Gate")["errorDetails"]
        assert error["code"] == "JobFailed"
        assert "not answered within 5 minutes" in error["message"]
        with pytest.raises(world.client.exceptions.InvalidApprovalTokenException):
            put(world, token)


def test_the_topic_gets_the_services_own_message(world: World) -> None:
    topic = world.cloud.clients["sns"] = FakeTopic()
    execution = waiting(
        world,
        timeoutInMinutes=60,
        configuration={
            "NotificationArn": TOPIC,
            "ExternalEntityLink": "https://test.example",
            "CustomData": "Commit #{SourceVariables.VersionId}",
        },
    )
    token = world.token("Test")
    [sent] = topic.published
    assert sent["TopicArn"] == TOPIC
    assert sent["Subject"] == "APPROVAL NEEDED: AWS CodePipeline shop for action Gate"
    message = json.loads(sent["Message"])
    console = "https://console.aws.amazon.com/codepipeline/home?region=us-east-1#/view/shop"
    approval = message.pop("approval")
    assert message == {"region": "us-east-1", "consoleLink": console}
    expires = approval.pop("expires")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\dZ", expires)
    version = world.execution(execution)["artifactRevisions"][0]["revisionId"]
    assert approval == {
        "pipelineName": "shop",
        "stageName": "Test",
        "actionName": "Gate",
        "token": token,
        "externalEntityLink": "https://test.example",
        "approvalReviewLink": f"{console}/Test/Gate/approve/{token}",
        "customData": f"Commit {version}",
    }


def test_a_role_that_may_not_publish_fails_the_approval(world: World) -> None:
    topic = world.cloud.clients["sns"] = FakeTopic()
    topic.error = client_error("Publish", "AuthorizationError", "not authorized: SNS:Publish", 403)
    execution = waiting(world, configuration={"NotificationArn": TOPIC})
    world.until(execution, "Failed")
    error = world.action("Test", "Gate")["errorDetails"]
    assert error["code"] == "PermissionError"
    assert "SNS:Publish" in error["message"]
