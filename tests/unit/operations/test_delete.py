"""Emptying a bucket that keeps versions, and refusing a stack that keeps its data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber
from moto import mock_aws

from operations import delete

BUCKET = "bakery-artifacts"


@pytest.fixture
def s3() -> Iterator[Any]:
    with mock_aws():
        client = boto3.client(
            "s3",
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )
        client.create_bucket(Bucket=BUCKET)
        client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        yield client


def test_versions_delete_markers_and_unfinished_uploads_go(s3: Any) -> None:
    for key in ("a", "b"):
        for body in (b"1", b"2"):
            s3.put_object(Bucket=BUCKET, Key=key, Body=body)
    s3.delete_object(Bucket=BUCKET, Key="a")
    s3.create_multipart_upload(Bucket=BUCKET, Key="half")
    assert delete.empty(s3, BUCKET) == 5
    left = s3.list_object_versions(Bucket=BUCKET)
    assert "Versions" not in left
    assert "DeleteMarkers" not in left
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=BUCKET)
    s3.delete_bucket(Bucket=BUCKET)


def test_more_versions_than_one_request_may_delete(s3: Any) -> None:
    for number in range(1005):
        s3.put_object(Bucket=BUCKET, Key=f"{number}", Body=b"")
    assert delete.empty(s3, BUCKET) == 1005


def test_a_bucket_that_is_gone_already_is_empty(s3: Any) -> None:
    assert delete.empty(s3, "another") == 0


@pytest.mark.parametrize(
    "parameters", [[], [{"ParameterKey": "DataRetention", "ParameterValue": "retain"}]]
)
def test_a_stack_that_keeps_its_data_is_refused(parameters: list[dict[str, str]]) -> None:
    with pytest.raises(delete.DeletionError, match="DataRetention=delete first"):
        delete.check_is_deletable({"StackName": "bakery", "Parameters": parameters})


def test_a_deletable_stack_is_taken() -> None:
    delete.check_is_deletable(
        {
            "StackName": "bakery",
            "Parameters": [{"ParameterKey": "DataRetention", "ParameterValue": "delete"}],
        }
    )


def test_the_wrong_name_deletes_nothing() -> None:
    said: list[str] = []
    assert delete.main(["sandbox-us-east-1"], said.append, lambda question: "no") == 1
    assert said == ["nothing was deleted: 'no' is not its name"]


FUNCTION = "arn:aws:lambda:us-east-1:111122223333:function:bakery-rollback"
EXECUTIONS = [f"{FUNCTION}:{version}/durable-execution/{version}/a" for version in (1, 2)]


class Watched:
    """A stack whose rollback watches: its two clients, and what they were asked for."""

    def __init__(self) -> None:
        made: dict[str, Any] = {"region_name": "us-east-1"}
        made |= {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        self.clients = {name: boto3.client(name, **made) for name in ("events", "lambda")}
        self.stubs = {name: Stubber(client) for name, client in self.clients.items()}
        for stub in self.stubs.values():
            stub.activate()

    def client(self, service: str) -> Any:
        return self.clients[service]

    def runs(self) -> None:
        self.stubs["events"].add_response("disable_rule", {}, {"Name": "deploys"})
        self.stubs["events"].add_client_error("disable_rule", "ResourceNotFoundException")
        self.stubs["lambda"].add_response(
            "list_durable_executions_by_function",
            {
                "DurableExecutions": [
                    {
                        "DurableExecutionArn": arn,
                        "DurableExecutionName": "a",
                        "FunctionArn": FUNCTION,
                        "Status": "RUNNING",
                        "StartTimestamp": 0,
                    }
                    for arn in EXECUTIONS
                ]
            },
            {"FunctionName": FUNCTION, "Statuses": ["RUNNING"]},
        )

    def fails_to_stop(self, then: str) -> None:
        stub = self.stubs["lambda"]
        stub.add_response("stop_durable_execution", {"StopTimestamp": 0})
        stub.add_client_error("stop_durable_execution", "InvalidParameterValueException")
        stub.add_response(
            "get_durable_execution",
            {
                "DurableExecutionArn": EXECUTIONS[1],
                "DurableExecutionName": "a",
                "FunctionArn": FUNCTION,
                "StartTimestamp": 0,
                "Status": then,
            },
        )


OUTPUTS = {"RollbackFunctionArn": FUNCTION, "RollbackRuleNames": "deploys,sweeps"}


def test_watches_of_every_version_are_stopped_before_the_stack_goes() -> None:
    watched = Watched()
    watched.runs()
    for arn in EXECUTIONS:
        watched.stubs["lambda"].add_response(
            "stop_durable_execution", {"StopTimestamp": 0}, {"DurableExecutionArn": arn}
        )
    done = delete.Done()
    delete.stop_watches(watched.client, OUTPUTS, done)
    assert (done.watches, done.rules) == (2, ["deploys"])
    for stub in watched.stubs.values():
        stub.assert_no_pending_responses()


def test_a_watch_that_ended_by_itself_is_no_failure() -> None:
    watched = Watched()
    watched.runs()
    watched.fails_to_stop(then="SUCCEEDED")
    done = delete.Done()
    delete.stop_watches(watched.client, OUTPUTS, done)
    assert done.watches == 1


def test_a_watch_that_cannot_be_stopped_is_told() -> None:
    watched = Watched()
    watched.runs()
    watched.fails_to_stop(then="RUNNING")
    with pytest.raises(ClientError, match="InvalidParameterValueException"):
        delete.stop_watches(watched.client, OUTPUTS, delete.Done())


def test_a_stack_without_rollback_has_nothing_to_stop() -> None:
    done = delete.Done()
    delete.stop_watches(Watched().client, {}, done)
    assert done == delete.Done()
