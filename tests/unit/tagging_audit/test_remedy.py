"""The remedy on moto's server: it adds, and never changes."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from operations.template import load
from tagging_audit.inventory.aws import Aws
from tagging_audit.judging import Settings
from tagging_audit.pace import Paces
from tagging_audit.policy import TagRule
from tagging_audit.remedy import TEMPLATE_KEYS, apply, plan
from tagging_audit.report.build import Change, row
from tagging_audit.resource import Resource, Source
from tests.unit.tagging_audit.conftest import client, clients
from tests.unit.tagging_audit.gate import Gate
from tests.unit.tagging_audit.samples import ACCOUNT, NOW, POLICY, arn

ALL = {
    "Project": "bakery",
    "Owner": "team-bakery",
    "CostCenter": "CC-4242",
    "Environment": "shared",
    "ManagedBy": "trellis",
}


def ours(name: str, tags: dict[str, str], **more: Any) -> Resource:
    return Resource(
        **{
            "arn": arn(name),
            "type": "AWS::SQS::Queue",
            "region": "us-east-1",
            "tags": tags,
            "sources": (Source.STACK,),
            "is_ours": True,
            "tier": "shared",
            "logical_id": "Queue",
            **more,
        }
    )


def planned(resource: Resource) -> list[Change]:
    settings = Settings(POLICY, NOW, tags_api_only_types=True)
    return plan(row(resource, settings), resource, POLICY)


def applied(*resources: Resource, has_time: Callable[[], bool] = lambda: True) -> list[Change]:
    changes = [change for one in resources for change in planned(one)]
    aws = Aws(Paces(time.monotonic, lambda _: None), clients, attempts=3)
    return apply(aws, changes, {one.arn: one for one in resources}, "us-east-1", has_time)


def tags_of(name: str) -> dict[str, str]:
    sqs = client("sqs")
    url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
    found: dict[str, str] = sqs.list_queue_tags(QueueUrl=url).get("Tags", {})
    return found


def test_plans_what_is_missing_and_known_and_nothing_else() -> None:
    tags = {"Project": "", "Owner": "somebody-else", "costcenter": "CC-1", "ManagedBy": " "}
    changes = planned(ours("q", tags))
    assert [(one.key, one.value) for one in changes] == [
        ("CostCenter", "CC-4242"),
        ("Environment", "shared"),
    ]
    assert not any(one.is_done for one in changes)


def test_plans_nothing_for_what_is_not_ours_or_whose_value_nobody_knows() -> None:
    assert planned(ours("q", {}, is_ours=False)) == []
    policy = replace(POLICY, required=("Team",), tags={"Team": TagRule("Team")})
    resource = ours("q", ALL)
    assert plan(row(resource, Settings(policy, NOW)), resource, policy) == []


def test_the_environment_is_the_one_that_the_resource_belongs_to() -> None:
    changes = planned(
        ours("q", {key: ALL[key] for key in ALL if key != "Environment"}, tier="prod")
    )
    assert [(one.key, one.value) for one in changes] == [("Environment", "prod")]


def test_says_what_a_change_means_for_the_template() -> None:
    missing = {key: value for key, value in ALL.items() if key != "Owner"}
    (change,) = planned(ours("q", missing))
    assert change.drift == "the template sets this tag: it is back where it was"
    (change,) = planned(ours("q", missing, logical_id=None, sources=(Source.ENVIRONMENT,)))
    assert change.drift == "Elastic Beanstalk made this resource, and makes it anew without the tag"
    policy = replace(POLICY, required=("Team",), tags={"Team": TagRule("Team", stack_value="x")})
    resource = ours("q", ALL)
    (change,) = plan(row(resource, Settings(policy, NOW)), resource, policy)
    assert change.drift == (
        "the template does not set this tag: CloudFormation calls it drift until it does"
    )


def test_the_keys_that_the_template_sets_are_those_of_the_template() -> None:
    tags = load()["Resources"]["EncryptionKey"]["Properties"]["Tags"]
    assert [tag["Key"] for tag in tags] == list(TEMPLATE_KEYS)


@pytest.fixture
def tagging(moto: Gate) -> list[dict[str, Any]]:
    """TagResources as AWS does it for queues, which moto does not: what was asked of it."""
    asked: list[dict[str, Any]] = []
    sqs = client("sqs")

    def rule(request: Any) -> Any:
        if request.operation != "TagResources":
            return None
        body = json.loads(request.body)
        asked.append(body)
        failed = {}
        for one in body["ResourceARNList"]:
            if one.endswith("denied"):
                failed[one] = {
                    "StatusCode": 403,
                    "ErrorCode": "AccessDeniedException",
                    "ErrorMessage": "no",
                }
                continue
            url = sqs.get_queue_url(QueueName=one.rsplit(":", 1)[-1])["QueueUrl"]
            sqs.tag_queue(QueueUrl=url, Tags=body["Tags"])
        return 200, {"FailedResourcesMap": failed}

    moto.rules.append(rule)
    return asked


def test_adds_what_is_missing_and_leaves_what_is_there(
    moto: Gate, tagging: list[dict[str, Any]]
) -> None:
    tags = {"Owner": "", "Project": "other"}
    client("sqs").create_queue(QueueName="q", tags=tags)
    done = applied(ours("q", tags))
    assert all(one.is_done for one in done)
    assert tags_of("q") == {**ALL, "Owner": "", "Project": "other"}


def test_never_overwrites_what_was_set_meanwhile(moto: Gate, tagging: list[dict[str, Any]]) -> None:
    client("sqs").create_queue(QueueName="q", tags={"Owner": "set-by-hand"})
    done = applied(ours("q", {}))
    assert [(one.key, one.error) for one in done if not one.is_done] == [
        ("Owner", "somebody set it meanwhile: it was left alone")
    ]
    assert tags_of("q")["Owner"] == "set-by-hand"
    assert "Owner" not in tagging[0]["Tags"]


def test_tags_twenty_at_a_time(moto: Gate, tagging: list[dict[str, Any]]) -> None:
    names = [f"q{number}" for number in range(45)]
    for name in names:
        client("sqs").create_queue(QueueName=name)
    done = applied(*[ours(name, {}) for name in names])
    assert [len(one["ResourceARNList"]) for one in tagging] == [20, 20, 5]
    assert all(one.is_done for one in done)
    assert len(done) == 45 * 5


def test_what_was_read_again_is_tagged_even_when_the_time_is_up(
    moto: Gate, tagging: list[dict[str, Any]]
) -> None:
    names = [f"q{number}" for number in range(30)]
    for name in names:
        client("sqs").create_queue(QueueName=name)
    looks = iter([True] * 22)
    done = applied(*[ours(name, {}) for name in names], has_time=lambda: next(looks, False))
    assert [len(one["ResourceARNList"]) for one in tagging] == [20, 2]
    late = [one for one in done if not one.is_done]
    assert {one.error for one in late} == {"the time ran out: the next audit adds it"}
    assert [one.arn for one in late[::5]] == [arn(name) for name in names[22:]]
    assert len(done) == 30 * 5


def test_a_resource_that_was_refused_is_told_by_itself(
    moto: Gate, tagging: list[dict[str, Any]]
) -> None:
    for name in ("q", "denied"):
        client("sqs").create_queue(QueueName=name)
    done = applied(ours("q", {}), ours("denied", {}))
    by_name = {one.arn.rsplit(":", 1)[-1]: one for one in done}
    assert by_name["q"].is_done
    assert (by_name["denied"].is_done, by_name["denied"].error) == (
        False,
        "AccessDeniedException: no",
    )
    assert tags_of("denied") == {}


def test_an_arn_that_the_tagging_api_refuses_costs_the_others_nothing(
    moto: Gate, tagging: list[dict[str, Any]]
) -> None:
    for name in ("q", "odd", "r"):
        client("sqs").create_queue(QueueName=name)
    said = {"__type": "InvalidParameterException", "message": "odd is no ARN"}
    moto.rules.insert(
        0,
        lambda one: (
            (400, said) if one.operation == "TagResources" and arn("odd") in one.body else None
        ),
    )
    done = applied(*[ours(name, {}) for name in ("q", "odd", "r")])
    assert {one.error for one in done if one.arn == arn("odd")} == {
        "tag:TagResources was refused: InvalidParameterException: odd is no ARN"
    }
    assert all(one.is_done for one in done if one.arn != arn("odd"))
    assert tags_of("q") == tags_of("r") == ALL


def test_a_dashboard_is_tagged_by_cloudwatch(moto: Gate) -> None:
    moto.answer("ListTagsForResource", {"Tags": []})
    moto.answer("TagResource", {})
    board = f"arn:aws:cloudwatch::{ACCOUNT}:dashboard/bakery-demo"
    done = applied(ours("x", {}, arn=board, type="AWS::CloudWatch::Dashboard", region="global"))
    assert [one.is_done for one in done] == [True] * 5
    assert moto.asked("TagResources") == 0


def test_a_call_that_fails_as_a_whole_fails_each_of_its_changes(moto: Gate) -> None:
    client("sqs").create_queue(QueueName="q")
    moto.refuse("TagResources", "AccessDeniedException")
    done = applied(ours("q", {}))
    assert {one.error for one in done} == {"tag:TagResources was denied"}


def test_nothing_is_changed_where_the_tags_cannot_be_read_again(
    moto: Gate, tagging: list[dict[str, Any]]
) -> None:
    client("sqs").create_queue(QueueName="q")
    moto.refuse("ListQueueTags", "AccessDeniedException")
    done = applied(ours("q", {}))
    assert {one.error for one in done} == {
        "its tags could not be read again, so nothing was changed: sqs:ListQueueTags was denied"
    }
    assert tagging == []


def test_iam_is_tagged_by_its_own_api(moto: Gate) -> None:
    iam = client("iam")
    iam.create_role(RoleName="r", AssumeRolePolicyDocument="{}")
    nothing = json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Deny", "Action": "s3:*", "Resource": "*"}],
        }
    )
    policy = iam.create_policy(PolicyName="p", PolicyDocument=nothing)["Policy"]["Arn"]
    # moto knows no tags of instance profiles.
    moto.rules.append(empty("ListInstanceProfileTags", "<Tags/><IsTruncated>false</IsTruncated>"))
    moto.rules.append(empty("TagInstanceProfile"))
    arns = {
        "AWS::IAM::Role": f"arn:aws:iam::{ACCOUNT}:role/r",
        "AWS::IAM::ManagedPolicy": policy,
        "AWS::IAM::InstanceProfile": f"arn:aws:iam::{ACCOUNT}:instance-profile/i",
    }
    done = applied(
        *[ours("x", {}, arn=one, type=kind, region="global") for kind, one in arns.items()]
    )
    assert {one.error for one in done} == {None}
    for found in (iam.list_role_tags(RoleName="r"), iam.list_policy_tags(PolicyArn=policy)):
        assert {tag["Key"]: tag["Value"] for tag in found["Tags"]} == ALL
    request = next(one for one in moto.requests if one.operation == "TagInstanceProfile")
    assert "InstanceProfileName=i&" in request.body
    assert moto.asked("TagResources") == 0


def empty(operation: str, inside: str = "") -> Any:
    """A rule that answers an operation of a query API with next to nothing."""
    body = f"<{operation}Response><{operation}Result>{inside}</{operation}Result>"
    return lambda one: (
        (200, f"{body}</{operation}Response>") if one.operation == operation else None
    )


def test_beanstalk_is_tagged_by_its_own_api_and_its_refusal_is_told(moto: Gate) -> None:
    environment = f"arn:aws:elasticbeanstalk:us-east-1:{ACCOUNT}:environment/bakery/dev"
    moto.rules.append(empty("ListTagsForResource", "<ResourceTags/>"))
    moto.refuse("UpdateTagsForResource", "OperationInProgressFailure")
    done = applied(ours("x", {}, arn=environment, type="AWS::ElasticBeanstalk::Environment"))
    assert len(done) == 5
    assert all(
        str(one.error).startswith(
            "elasticbeanstalk:UpdateTagsForResource was refused: OperationInProgressFailure"
        )
        for one in done
    )
    request = next(one for one in moto.requests if one.operation == "UpdateTagsForResource")
    assert re.search(r"TagsToAdd.member.1.Key=Project", request.body)
