"""What is described after its end, read as not there, and never shown by a list."""

from __future__ import annotations

from typing import Any, cast

import pytest

from tagging_audit.inventory import own_tags
from tagging_audit.inventory.aws import Aws, CallError, Why
from tagging_audit.inventory.ended import can_linger, has_ended
from tagging_audit.inventory.listing import LISTERS, Lister
from tagging_audit.kinds import Place
from tests.unit.tagging_audit.samples import ACCOUNT

PLACE = Place("aws", "us-east-1", ACCOUNT)
HERE = f"us-east-1:{ACCOUNT}"
TAGS = [{"Key": "Owner", "Value": "x"}]
LINGERING: dict[str, tuple[str, dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "AWS::AutoScaling::AutoScalingGroup": (
        f"arn:aws:autoscaling:{HERE}:autoScalingGroup:1:autoScalingGroupName/web",
        {"Tags": TAGS},
        {"Status": "Delete in progress"},
        {},
    ),
    "AWS::EC2::Instance": (
        f"arn:aws:ec2:{HERE}:instance/i-1",
        {"InstanceId": "i-1", "Tags": TAGS},
        {"State": {"Name": "shutting-down"}},
        {"State": {"Name": "stopped"}},
    ),
    "AWS::EC2::Volume": (
        f"arn:aws:ec2:{HERE}:volume/vol-1",
        {"VolumeId": "vol-1", "Tags": TAGS},
        {"State": "deleting"},
        {"State": "error"},
    ),
    "AWS::ElasticBeanstalk::Environment": (
        f"arn:aws:elasticbeanstalk:{HERE}:environment/app/web",
        {},
        {"Status": "Terminating"},
        {"Status": "Updating"},
    ),
    "AWS::RDS::DBCluster": (
        f"arn:aws:rds:{HERE}:cluster:web",
        {"TagList": TAGS},
        {"Status": "deleting"},
        {"Status": "available"},
    ),
    "AWS::RDS::DBInstance": (
        f"arn:aws:rds:{HERE}:db:web",
        {"TagList": TAGS},
        {"DBInstanceStatus": "deleting"},
        {"DBInstanceStatus": "stopped"},
    ),
    "AWS::SecretsManager::Secret": (
        f"arn:aws:secretsmanager:{HERE}:secret:web-AbCdEf",
        {"Tags": TAGS},
        {"DeletedDate": 1_795_000_000},
        {},
    ),
}
"""Types with the ARN of one, how it is described, and what more at its end and before."""
_LISTS = {
    "autoscaling": "AutoScalingGroups",
    "describe_instances": "Instances",
    "describe_volumes": "Volumes",
    "elasticbeanstalk": "Environments",
    "describe_db_clusters": "DBClusters",
    "describe_db_instances": "DBInstances",
    "secretsmanager": "SecretList",
}
_ARNS = {
    "AWS::AutoScaling::AutoScalingGroup": "AutoScalingGroupARN",
    "AWS::ElasticBeanstalk::Environment": "EnvironmentArn",
    "AWS::RDS::DBCluster": "DBClusterArn",
    "AWS::RDS::DBInstance": "DBInstanceArn",
    "AWS::SecretsManager::Secret": "ARN",
}


class Said:
    """AWS, which answers every question with one document."""

    def __init__(self, answer: dict[str, Any]) -> None:
        self._answer = answer
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def call(self, service: str, region: str, operation: str, /, **request: Any) -> dict[str, Any]:
        self.asked.append((operation, request))
        return self._answer


def answer_of(type_: str, item: dict[str, Any]) -> dict[str, Any]:
    """A list call's answer with one item."""
    lister = lister_of(type_)
    name = _LISTS.get(lister.operation) or _LISTS[lister.service]
    if type_ == "AWS::EC2::Instance":
        return {"Reservations": [{"Instances": [item]}]}
    return {name: [item]}


def lister_of(type_: str) -> Lister:
    return next(one for one in LISTERS if type_ in one.types)


@pytest.mark.parametrize("type_", LINGERING)
def test_a_list_tells_what_has_ended_from_what_is_there(type_: str) -> None:
    arn, item, at_end, before = LINGERING[type_]
    named = {**item, **({_ARNS[type_]: arn} if type_ in _ARNS else {})}
    for more, ended in ((at_end, True), (before, False)):
        (found,) = lister_of(type_).read(answer_of(type_, {**named, **more}), PLACE)
        assert (found.arn, found.has_ended) == (arn, ended)


@pytest.mark.parametrize("type_", [one for one in LINGERING if "Beanstalk" not in one])
def test_what_has_ended_is_read_as_ended_and_what_is_there_with_its_tags(type_: str) -> None:
    arn, item, at_end, before = LINGERING[type_]
    assert own_tags.shows_ends(type_)

    def said(more: dict[str, Any]) -> Aws:
        described = {**item, **more}
        is_bare = type_ == "AWS::SecretsManager::Secret"
        return cast("Aws", Said(described if is_bare else answer_of(type_, described)))

    assert own_tags.read(said(before), "us-east-1", arn, type_) == {"Owner": "x"}
    with pytest.raises(CallError, match="says that it has come to its end") as raised:
        own_tags.read(said(at_end), "us-east-1", arn, type_)
    assert raised.value.why is Why.ENDED


def test_a_database_is_asked_for_by_its_name() -> None:
    said = Said({"DBInstances": [{"TagList": TAGS}]})
    arn = LINGERING["AWS::RDS::DBInstance"][0]
    own_tags.read(cast("Aws", said), "us-east-1", arn, "AWS::RDS::DBInstance")
    assert said.asked == [("describe_db_instances", {"DBInstanceIdentifier": "web"})]


def test_what_does_not_linger_never_has_ended() -> None:
    assert not can_linger("AWS::SQS::Queue")
    assert not has_ended("AWS::SQS::Queue", {"State": "deleted"})
    assert not own_tags.shows_ends("AWS::SQS::Queue")
    assert not own_tags.shows_ends("AWS::ElasticBeanstalk::Environment")
