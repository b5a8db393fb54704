"""Which resources an API call created, as CloudTrail tells it.

CloudTrail writes what was asked and what was answered
(https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html).
Some answers hold the ARN of what is new; what only a name or an id is told of is built here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tagging_audit.kinds import tidy
from trellis.arn import Arn, partition_of


@dataclass(frozen=True, slots=True)
class _Told:
    """Where a call tells of what it created, and what becomes its ARN."""

    field: str
    """The end of the path to it, in lower case: CloudTrail writes `aRN` and `dBInstanceArn`."""
    shape: str = "{name}"
    """What follows the partition; the whole ARN where nothing does."""
    is_asked: bool = False
    """It stands in the request; the answer does not name it, or is not kept."""


_EC2 = "ec2:{here}:"

CREATIONS: Mapping[str, _Told] = {
    "CreateBucket": _Told("bucketname", "s3:::{name}", is_asked=True),
    "CreateDBCluster": _Told("dbclusterarn"),
    "CreateDBInstance": _Told("dbinstancearn"),
    "CreateDBInstanceReadReplica": _Told("dbinstancearn"),
    "CreateEventSourceMapping": _Told("uuid", "lambda:{here}:event-source-mapping:{name}"),
    "CreateFunction": _Told("functionarn"),
    "CreateKey": _Told("keymetadata.arn"),
    "CreateLaunchTemplate": _Told("launchtemplateid", f"{_EC2}launch-template/{{name}}"),
    "CreateLoadBalancer": _Told("loadbalancerarn"),
    "CreateLogGroup": _Told("loggroupname", "logs:{here}:log-group:{name}", is_asked=True),
    "CreatePipeline": _Told("pipeline.name", "codepipeline:{here}:{name}", is_asked=True),
    "CreateQueue": _Told("queueurl", "sqs:{here}:{name}"),
    "CreateSecret": _Told("arn"),
    "CreateSecurityGroup": _Told("groupid", f"{_EC2}security-group/{{name}}"),
    "CreateTable": _Told("tablearn"),
    "CreateTargetGroup": _Told("targetgrouparn"),
    "CreateTopic": _Told("topicarn"),
    "CreateVolume": _Told("volumeid", f"{_EC2}volume/{{name}}"),
    "RunInstances": _Told("instanceid", f"{_EC2}instance/{{name}}"),
}
"""The calls that create what can be looked at by its ARN alone."""

# Lambda's names may carry a date: CreateFunction20150331
# (https://docs.aws.amazon.com/lambda/latest/dg/logging-using-cloudtrail.html).
_DATE = re.compile(r"\d{8}(v\d+)?$")


def created_arns(detail: Mapping[str, Any]) -> tuple[str, ...]:
    """The ARNs of what a call created; none for a call that failed, or that creates nothing."""
    told = CREATIONS.get(_DATE.sub("", str(detail.get("eventName", ""))))
    if told is None or detail.get("errorCode") or detail.get("readOnly") is True:
        return ()
    side = "requestParameters" if told.is_asked else "responseElements"
    region, account = (str(detail.get(key, "")) for key in ("awsRegion", "recipientAccountId"))
    found = dict.fromkeys(
        _arn(text, told, region, account)
        for path, text in _texts(detail.get(side) or {})
        if f".{path}".endswith(f".{told.field}")
    )
    return tuple(arn for arn in found if Arn.parse(arn) is not None)


def _arn(text: str, told: _Told, region: str, account: str) -> str:
    if told.shape == "{name}":
        return tidy(text)
    # A queue is told of by its address; a log group's name may hold slashes.
    name = text.rsplit("/", 1)[-1] if told.field == "queueurl" else text
    made = told.shape.format(here=f"{region}:{account}", name=name)
    return f"arn:{partition_of(region)}:{made}"


def _texts(node: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every text in a document, with the way to it in lower case; lists are no step of it."""
    match node:
        case str():
            yield path, node
        case Mapping():
            for name, value in node.items():
                yield from _texts(value, f"{path}.{name}".lower().removeprefix("."))
        case list():
            for value in node:
                yield from _texts(value, path)
