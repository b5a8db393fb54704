"""Which resources an API call created, as CloudTrail tells it.

CloudTrail writes what was asked and what was answered. Most answers hold the ARN of what is new;
what only a name or an id is told of is built here
(https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tagging_audit.kinds import Place, tidy
from trellis.arn import Arn, partition_of

_BY_NAME = {
    "CreateBucket": ("bucketName", "s3"),
    "CreateLogGroup": ("logGroupName", "logs"),
}
_IDS = {"instanceId": "instance", "volumeId": "volume"}


def created_arns(detail: Mapping[str, Any]) -> tuple[str, ...]:
    """The ARNs of what a call created; none for a call that failed, or that creates nothing."""
    name = str(detail.get("eventName", ""))
    if detail.get("errorCode") or detail.get("readOnly") is True:
        return ()
    if not name.startswith("Create") and name != "RunInstances":
        return ()
    place = Place(
        partition_of(str(detail.get("awsRegion", ""))),
        str(detail.get("awsRegion", "")),
        str(detail.get("recipientAccountId", "")),
    )
    asked = detail.get("requestParameters") or {}
    answered = detail.get("responseElements") or {}
    service = str(detail.get("eventSource", "")).removesuffix(".amazonaws.com")
    if name in _BY_NAME:
        key, kind = _BY_NAME[name]
        if kind == "s3":
            return (f"arn:{place.partition}:s3:::{asked[key]}",) if key in asked else ()
        return (place.arn("logs", f"log-group:{asked[key]}"),) if key in asked else ()
    if name == "CreateQueue" and "queueUrl" in answered:
        return (place.arn("sqs", str(answered["queueUrl"]).rsplit("/", 1)[-1]),)
    if service == "ec2":
        return tuple(
            place.arn("ec2", f"{_IDS[key]}/{value}")
            for key, value in _texts(answered)
            if key in _IDS
        )
    # What is new has the shortest ARN: others in the answer are its roles, keys and targets, and
    # those are of other services, or parts of it.
    own = [
        tidy(value)
        for _, value in _texts(answered)
        if (parsed := Arn.parse(value)) is not None and parsed.service == _arn_service(service)
    ]
    return (min(own, key=len),) if own else ()


def _arn_service(source: str) -> str:
    return {"monitoring": "cloudwatch"}.get(source, source)


def _texts(node: Any, key: str = "") -> Iterator[tuple[str, str]]:
    match node:
        case str():
            yield key, node
        case Mapping():
            for name, value in node.items():
                yield from _texts(value, str(name))
        case list():
            for value in node:
                yield from _texts(value, key)
