"""A bucket's properties in CloudFormation, as S3's own API takes them.

https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-s3-bucket.html
https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import botocore.serialize
import botocore.session

Properties = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Setting:
    """One property: the operation that sets it, the operation's parameter, and what goes in it."""

    operation: str
    parameter: str
    translate: Callable[[Any, str], Any]
    """From the property's value and the bucket's name."""


def _encryption(value: Properties, _: str) -> dict[str, Any]:
    rules = []
    for rule in value["ServerSideEncryptionConfiguration"]:
        told: dict[str, Any] = {"BucketKeyEnabled": _is_on(rule.get("BucketKeyEnabled"))}
        if rule.get("ServerSideEncryptionByDefault"):
            told["ApplyServerSideEncryptionByDefault"] = rule["ServerSideEncryptionByDefault"]
        rules.append(told)
    return {"Rules": rules}


def _same(value: Properties, _: str) -> Properties:
    return value


def _logging(value: Properties, bucket: str) -> dict[str, Any]:
    return {
        "LoggingEnabled": {
            "TargetBucket": value.get("DestinationBucketName") or bucket,
            "TargetPrefix": value.get("LogFilePrefix", ""),
        }
    }


def _lifecycle(value: Properties, _: str) -> dict[str, Any]:
    return {"Rules": [_lifecycle_rule(rule) for rule in value["Rules"]]}


def _lifecycle_rule(rule: Properties) -> dict[str, Any]:
    told: dict[str, Any] = {"Status": rule["Status"], "Filter": _filter(rule)}
    if rule.get("Id"):
        told["ID"] = rule["Id"]
    expiration: dict[str, Any] = {}
    if rule.get("ExpirationInDays") is not None:
        expiration["Days"] = int(rule["ExpirationInDays"])
    if rule.get("ExpirationDate"):
        expiration["Date"] = rule["ExpirationDate"]
    if rule.get("ExpiredObjectDeleteMarker") is not None:
        expiration["ExpiredObjectDeleteMarker"] = _is_on(rule["ExpiredObjectDeleteMarker"])
    if expiration:
        told["Expiration"] = expiration
    noncurrent = rule.get("NoncurrentVersionExpiration")
    if noncurrent:
        told["NoncurrentVersionExpiration"] = _numbers(noncurrent)
    elif rule.get("NoncurrentVersionExpirationInDays") is not None:
        days = int(rule["NoncurrentVersionExpirationInDays"])
        told["NoncurrentVersionExpiration"] = {"NoncurrentDays": days}
    if rule.get("AbortIncompleteMultipartUpload"):
        told["AbortIncompleteMultipartUpload"] = _numbers(rule["AbortIncompleteMultipartUpload"])
    for name, when in (("Transitions", "Days"), ("NoncurrentVersionTransitions", "NoncurrentDays")):
        if rule.get(name):
            told[name] = [
                {"StorageClass": one["StorageClass"], when: int(one["TransitionInDays"])}
                for one in rule[name]
            ]
    return told


def _filter(rule: Properties) -> dict[str, Any]:
    """A rule's filter: S3 takes one condition, or several in an `And`."""
    conditions: dict[str, Any] = {}
    if rule.get("Prefix"):
        conditions["Prefix"] = rule["Prefix"]
    for name in ("ObjectSizeGreaterThan", "ObjectSizeLessThan"):
        if rule.get(name) is not None:
            conditions[name] = int(rule[name])
    tags = rule.get("TagFilters") or []
    if len(tags) == 1 and not conditions:
        return {"Tag": tags[0]}
    if tags:
        return {"And": {**conditions, "Tags": tags}}
    if len(conditions) > 1:
        return {"And": conditions}
    return conditions or {"Prefix": ""}


def _numbers(value: Properties) -> dict[str, int]:
    return {name: int(number) for name, number in value.items()}


def _is_on(value: Any) -> bool:
    return str(value).lower() == "true"


SETTINGS = {
    "BucketEncryption": Setting(
        "PutBucketEncryption", "ServerSideEncryptionConfiguration", _encryption
    ),
    "LifecycleConfiguration": Setting(
        "PutBucketLifecycleConfiguration", "LifecycleConfiguration", _lifecycle
    ),
    "LoggingConfiguration": Setting("PutBucketLogging", "BucketLoggingStatus", _logging),
    "OwnershipControls": Setting("PutBucketOwnershipControls", "OwnershipControls", _same),
    "Tags": Setting("PutBucketTagging", "Tagging", lambda value, _: {"TagSet": value}),
}


def request_body(name: str, value: Any, bucket: str) -> bytes:
    """The XML that sets a property of a bucket to what a template says."""
    setting = SETTINGS[name]
    serializer, model = _s3()
    request = serializer.serialize_to_request(
        {"Bucket": bucket, setting.parameter: setting.translate(value, bucket)},
        model.operation_model(setting.operation),
    )
    body = request["body"]
    return body if isinstance(body, bytes) else str(body).encode()


@cache
def _s3() -> tuple[Any, Any]:
    model = botocore.session.get_session().get_service_model("s3")
    return botocore.serialize.create_serializer("rest-xml", include_validation=True), model
