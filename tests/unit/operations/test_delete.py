"""Emptying a bucket that keeps versions, and refusing a stack that keeps its data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
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
    assert said == ["nothing was deleted"]
