"""A bucket's properties become the XML of S3's own API."""

from __future__ import annotations

import re
from typing import Any

import pytest

from sandbox.buckets import request_body


def xml(name: str, value: Any) -> str:
    return re.sub(r' xmlns="[^"]*"', "", request_body(name, value, "here").decode())


@pytest.mark.parametrize(
    ("rule", "filtered"),
    [
        ({}, "<Filter><Prefix /></Filter>"),
        ({"Prefix": "a/"}, "<Filter><Prefix>a/</Prefix></Filter>"),
        (
            {"TagFilters": [{"Key": "k", "Value": "v"}]},
            "<Filter><Tag><Key>k</Key><Value>v</Value></Tag></Filter>",
        ),
        (
            {"Prefix": "a/", "TagFilters": [{"Key": "k", "Value": "v"}]},
            "<And><Prefix>a/</Prefix><Tag><Key>k</Key><Value>v</Value></Tag></And>",
        ),
        (
            {"Prefix": "a/", "ObjectSizeGreaterThan": "5"},
            "<And><Prefix>a/</Prefix><ObjectSizeGreaterThan>5</ObjectSizeGreaterThan></And>",
        ),
    ],
)
def test_a_lifecycle_rule_is_filtered_by_one_condition_or_by_all(
    rule: dict[str, Any], filtered: str
) -> None:
    told = xml("LifecycleConfiguration", {"Rules": [{"Status": "Enabled", **rule}]})
    assert filtered in told


def test_numbers_and_truth_may_be_texts() -> None:
    rule = {
        "Status": "Enabled",
        "ExpiredObjectDeleteMarker": "true",
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": "2"},
        "Transitions": [{"StorageClass": "GLACIER", "TransitionInDays": "9"}],
        "NoncurrentVersionExpirationInDays": "3",
    }
    told = xml("LifecycleConfiguration", {"Rules": [rule]})
    assert "<ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker>" in told
    assert "<DaysAfterInitiation>2</DaysAfterInitiation>" in told
    assert "<StorageClass>GLACIER</StorageClass><Days>9</Days>" in told
    assert "<NoncurrentDays>3</NoncurrentDays>" in told


def test_a_bucket_is_encrypted_by_its_key() -> None:
    by_default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "arn"}
    rule = {"ServerSideEncryptionByDefault": by_default, "BucketKeyEnabled": "true"}
    told = xml("BucketEncryption", {"ServerSideEncryptionConfiguration": [rule]})
    assert "<KMSMasterKeyID>arn</KMSMasterKeyID>" in told
    assert "<BucketKeyEnabled>true</BucketKeyEnabled>" in told


def test_a_bucket_keeps_its_own_log_unless_another_is_named() -> None:
    assert "<TargetBucket>here<" in xml("LoggingConfiguration", {"LogFilePrefix": "own/"})
    there = {"DestinationBucketName": "there"}
    assert "<TargetBucket>there<" in xml("LoggingConfiguration", there)
