"""The inventory of one stack: CloudFormation as moto has it, Beanstalk's answers at the gate."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from tagging_audit.inventory.aws import Aws
from tagging_audit.inventory.take import Order, Take
from tagging_audit.pace import Paces
from tagging_audit.resource import Resource, Source, TagRoute
from tagging_audit.scope import ScopeKind
from tests.unit.tagging_audit.conftest import client, clients
from tests.unit.tagging_audit.gate import Answer, Gate, Request

ACCOUNT = "123456789012"
TAGS = [{"Key": "Owner", "Value": "team-bakery"}]
STACK = "bakery"
TIERS = {"bakery-dev-demo": "dev", "bakery-prod-demo": "prod"}
BEANSTALK = f"arn:aws:elasticbeanstalk:us-east-1:{ACCOUNT}"


def deploy(
    resources: Mapping[str, Any], name: str = STACK, parameters: Mapping[str, str] | None = None
) -> str:
    given = parameters or {}
    template = {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Parameters": {key: {"Type": "String"} for key in given},
        "Resources": resources,
    }
    made = client("cloudformation").create_stack(
        StackName=name,
        TemplateBody=json.dumps(template),
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in given.items()],
    )
    return str(made["StackId"])


def inventory(**more: Any) -> dict[str, Resource]:
    """What the stack holds, by the last part of each ARN."""
    order = Order(
        **{
            "scope": ScopeKind.STACK,
            "regions": ("us-east-1",),
            "account": ACCOUNT,
            "stack": STACK,
            "tiers": TIERS,
            **more,
        }
    )
    take = Take(
        Aws(Paces(time.monotonic, lambda _: None), clients, attempts=3), order, lambda: True
    )
    assert take.run()
    inventory.troubles = take.union.troubles  # type: ignore[attr-defined]  # for the tests below
    return {one.arn.split(":")[-1].split("/")[-1]: one for one in take.union.resources()}


QUEUE = {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "orders", "Tags": TAGS}}


def test_holds_what_the_stack_declares_and_nothing_else(moto: Gate) -> None:
    client("sqs").create_queue(QueueName="somebody-elses")
    deploy(
        {
            "Orders": QUEUE,
            "Bare": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "bare"}},
            "Topic": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": "news"}},
            "Role": {
                "Type": "AWS::IAM::Role",
                "Properties": {"AssumeRolePolicyDocument": {}, "RoleName": "r", "Tags": TAGS},
            },
        }
    )
    found = inventory()
    assert {name: (one.type, one.tags) for name, one in found.items()} == {
        "orders": ("AWS::SQS::Queue", {"Owner": "team-bakery"}),
        "bare": ("AWS::SQS::Queue", {}),
        "news": ("AWS::SNS::Topic", {}),
        "r": ("AWS::IAM::Role", {"Owner": "team-bakery"}),
    }
    assert found["orders"].sources == (Source.STACK, Source.TAGGING_API)
    assert found["bare"].sources == (Source.STACK, Source.SERVICE)
    assert found["r"].sources == (Source.STACK, Source.SERVICE)
    assert found["r"].region == "global"
    assert {(one.is_ours, one.tier) for one in found.values()} == {(True, "shared")}
    assert found["orders"].logical_id == "Orders"
    assert found["orders"].created is not None


def test_names_what_can_carry_no_tags(moto: Gate) -> None:
    moto.rules.append(
        listed(
            {
                "LogicalResourceId": "Policy",
                "PhysicalResourceId": "bakery-Policy-1X",
                "ResourceType": "AWS::SQS::QueuePolicy",
            }
        )
    )
    (found,) = inventory().values()
    assert found.route is TagRoute.NOBODY
    assert found.refusal == "a policy takes no tags"
    assert found.arn == f"arn:aws:cloudformation:us-east-1:{ACCOUNT}:stack/bakery/Policy"
    assert moto.asked("GetResources") == 1, "nothing to ask but what the environments made"


def test_a_type_that_nobody_here_can_read_is_unknown(moto: Gate) -> None:
    moto.rules.append(
        listed({"LogicalResourceId": "It", "PhysicalResourceId": "x", "ResourceType": "AWS::A::B"})
    )
    (found,) = inventory().values()
    assert (found.tags, found.trouble) == (
        None,
        "this audit does not know how to read the tags of a AWS::A::B",
    )


def listed(*summaries: dict[str, Any]) -> Any:
    """CloudFormation's answer as its protocol writes it."""
    members = "".join(
        "<member>"
        + "".join(f"<{key}>{value}</{key}>" for key, value in one.items())
        + "<ResourceStatus>CREATE_COMPLETE</ResourceStatus>"
        + "<LastUpdatedTimestamp>2026-11-24T09:00:00Z</LastUpdatedTimestamp></member>"
        for one in summaries
    )
    return answer(
        "ListStackResources", f"<StackResourceSummaries>{members}</StackResourceSummaries>"
    )


def answer(operation: str, result: str, *, having: str = "") -> Any:
    """A rule that answers an operation of a query API."""

    def rule(request: Request) -> Answer | None:
        if request.operation != operation or having not in request.body:
            return None
        body = f"<{operation}Response><{operation}Result>{result}</{operation}Result>"
        return 200, f"{body}</{operation}Response>"

    return rule


def beanstalk(moto: Gate) -> None:
    """An application with a version and an environment that runs."""
    moto.rules += [
        listed(
            {
                "LogicalResourceId": "App",
                "PhysicalResourceId": "bakery-demo",
                "ResourceType": "AWS::ElasticBeanstalk::Application",
            },
            {
                "LogicalResourceId": "DevEnvironment",
                "PhysicalResourceId": "bakery-dev-demo",
                "ResourceType": "AWS::ElasticBeanstalk::Environment",
            },
        ),
        answer(
            "DescribeApplicationVersions",
            "<ApplicationVersions><member><ApplicationVersionArn>"
            f"{BEANSTALK}:applicationversion/bakery-demo/v1</ApplicationVersionArn></member>"
            "</ApplicationVersions>",
        ),
        answer(
            "DescribeEnvironments",
            "<Environments><member><EnvironmentName>bakery-dev-demo</EnvironmentName>"
            f"<EnvironmentArn>{BEANSTALK}:environment/bakery-demo/bakery-dev-demo</EnvironmentArn>"
            "</member></Environments>",
        ),
        answer(
            "DescribeEnvironmentResources",
            "<EnvironmentResources><EnvironmentName>bakery-dev-demo</EnvironmentName>"
            "<AutoScalingGroups><member><Name>awseb-group</Name></member></AutoScalingGroups>"
            "<Instances><member><Id>i-1</Id></member></Instances>"
            "<LaunchTemplates><member><Id>lt-1</Id></member></LaunchTemplates>"
            f"<LoadBalancers><member><Name>arn:aws:elasticloadbalancing:us-east-1:{ACCOUNT}:"
            "loadbalancer/app/awseb/balancer</Name></member></LoadBalancers>"
            "</EnvironmentResources>",
        ),
        answer(
            "DescribeAutoScalingGroups",
            "<AutoScalingGroups><member><AutoScalingGroupName>awseb-group</AutoScalingGroupName>"
            f"<AutoScalingGroupARN>arn:aws:autoscaling:us-east-1:{ACCOUNT}:autoScalingGroup:1:"
            "autoScalingGroupName/awseb-group</AutoScalingGroupARN>"
            "<Tags><member><Key>Owner</Key><Value>team-bakery</Value></member></Tags></member>"
            "</AutoScalingGroups>",
        ),
    ]
    tagged = {
        f"{BEANSTALK}:environment/bakery-demo/bakery-dev-demo": TAGS,
        f"arn:aws:ec2:us-east-1:{ACCOUNT}:instance/i-1": TAGS,
    }

    def tagging_api(request: Request) -> Answer | None:
        if request.operation != "GetResources":
            return None
        asked = json.loads(request.body)
        found = {
            arn: tags for arn, tags in tagged.items() if arn in asked.get("ResourceARNList", [])
        }
        if "TagFilters" in asked:
            assert asked["TagFilters"][0]["Values"] == list(TIERS)
            group = {"Key": "elasticbeanstalk:environment-name", "Value": "bakery-dev-demo"}
            found = {f"arn:aws:ec2:us-east-1:{ACCOUNT}:security-group/sg-1": [group, *TAGS]}
        return 200, {
            "ResourceTagMappingList": [
                {"ResourceARN": arn, "Tags": tags} for arn, tags in found.items()
            ]
        }

    moto.rules.append(tagging_api)


def test_holds_what_beanstalk_makes_for_the_environments(moto: Gate) -> None:
    beanstalk(moto)
    version = "applicationversion/bakery-demo/v1".replace("/", "%2F")
    moto.rules.append(
        answer(
            "ListTagsForResource",
            "<ResourceTags><member><Key>Owner</Key><Value>x</Value></member></ResourceTags>",
            having=version,
        )
    )
    moto.rules.append(answer("ListTagsForResource", "<ResourceTags/>"))
    moto.refuse("DescribeTags", "LoadBalancerNotFound")
    found = inventory()
    seen = {name: (one.tags, one.tier) for name, one in found.items()}
    owner = {"Owner": "team-bakery"}
    assert seen["bakery-demo"] == ({}, "shared")
    assert seen["v1"] == ({"Owner": "x"}, "shared")
    assert seen["bakery-dev-demo"] == (owner, "dev")
    assert seen["i-1"] == (owner, "dev")
    assert seen["awseb-group"] == (owner, "dev")
    assert seen["sg-1"][1] == "dev"
    assert {one.is_ours for one in found.values()} == {True}
    # Nobody knows these two: they are named, and nobody says that they are untagged.
    assert found["lt-1"].tags is None
    assert found["lt-1"].trouble == "ec2:DescribeLaunchTemplates says that it is gone"
    assert found["balancer"].tags is None
    assert found["bakery-demo"].route is TagRoute.API


def test_an_instance_that_its_environment_has_replaced_is_not_there(moto: Gate) -> None:
    """The tagging API shows it for a while, by the tag that names its environment."""
    ended = f"arn:aws:ec2:us-east-1:{ACCOUNT}:instance/i-0"

    def tagging_api(request: Request) -> Answer | None:
        if request.operation != "GetResources" or "TagFilters" not in request.body:
            return None
        group = {"Key": "elasticbeanstalk:environment-name", "Value": "bakery-dev-demo"}
        return 200, {"ResourceTagMappingList": [{"ResourceARN": ended, "Tags": [group]}]}

    moto.rules.append(tagging_api)
    beanstalk(moto)
    moto.rules.append(answer("ListTagsForResource", "<ResourceTags/>"))
    moto.rules.append(
        lambda request: (
            (
                200,
                "<DescribeInstancesResponse><reservationSet><item><instancesSet><item>"
                "<instanceId>i-0</instanceId>"
                "<instanceState><code>48</code><name>terminated</name></instanceState>"
                "</item></instancesSet></item></reservationSet></DescribeInstancesResponse>",
            )
            if request.operation == "DescribeInstances"
            else None
        )
    )
    assert {"i-1"} == {name for name in inventory() if name.startswith("i-")}


def test_a_group_that_the_tagging_api_alone_shows_is_there(moto: Gate) -> None:
    name = f"arn:aws:autoscaling:us-east-1:{ACCOUNT}:autoScalingGroup:1:autoScalingGroupName"

    def tagging_api(request: Request) -> Answer | None:
        if request.operation != "GetResources" or "TagFilters" not in request.body:
            return None
        group = {"Key": "elasticbeanstalk:environment-name", "Value": "bakery-dev-demo"}
        found = {"ResourceARN": f"{name}/awseb-group", "Tags": [group, *TAGS]}
        return 200, {"ResourceTagMappingList": [found]}

    moto.rules.append(tagging_api)
    moto.rules.append(answer("DescribeAutoScalingGroups", "<AutoScalingGroups/>"))
    beanstalk(moto)
    moto.rules.append(answer("ListTagsForResource", "<ResourceTags/>"))
    assert inventory()["awseb-group"].tags is not None
    assert inventory.troubles == []  # type: ignore[attr-defined]  # put there above


def test_what_beanstalk_names_and_nobody_shows_is_told(moto: Gate) -> None:
    beanstalk(moto)
    moto.rules.insert(0, answer("DescribeAutoScalingGroups", "<AutoScalingGroups/>"))
    moto.rules.append(answer("ListTagsForResource", "<ResourceTags/>"))
    inventory()
    assert [one.text for one in inventory.troubles] == [  # type: ignore[attr-defined]  # put there above
        "autoscaling:DescribeAutoScalingGroups does not know awseb-group"
    ]


def test_a_stack_in_the_stack_is_looked_into(moto: Gate) -> None:
    nested = deploy({"Inner": QUEUE}, "inner")
    outer = listed(
        {
            "LogicalResourceId": "Child",
            "PhysicalResourceId": nested,
            "ResourceType": "AWS::CloudFormation::Stack",
        }
    )
    moto.rules.append(lambda one: outer(one) if f"StackName={STACK}&" in one.body + "&" else None)
    assert inventory()["orders"].logical_id == "Inner"


def test_a_stack_that_cannot_be_read_is_told(moto: Gate) -> None:
    moto.refuse("ListStackResources", "AccessDenied", status=403)
    assert inventory() == {}
    (trouble,) = inventory.troubles  # type: ignore[attr-defined]  # put there above
    assert trouble.text == "cloudformation:ListStackResources was denied for the stack bakery"


def test_without_the_tagging_api_each_service_is_asked_itself(moto: Gate) -> None:
    deploy({"Orders": QUEUE})
    moto.refuse("GetResources", "AccessDeniedException")
    found = inventory()
    assert found["orders"].tags == {"Owner": "team-bakery"}
    assert found["orders"].sources == (Source.STACK, Source.SERVICE)


DASHBOARD = {
    "LogicalResourceId": "Dashboard",
    "PhysicalResourceId": "bakery-demo-us-east-1",
    "ResourceType": "AWS::CloudWatch::Dashboard",
}


def strict(moto: Gate, *, also: str = "") -> None:
    """The tagging API as it is: for one ARN that it does not take it refuses them all."""

    def rule(request: Request) -> Answer | None:
        if request.operation != "GetResources":
            return None
        for arn in json.loads(request.body).get("ResourceARNList", ()):
            _, _, service, region, *_ = arn.split(":", 5)
            if (not region and service != "s3") or (also and arn.endswith(also)):
                said = f"{arn} is not a valid AmazonResourceName (ARN)"
                return 400, {"__type": "InvalidParameterException", "message": said}
        return None

    moto.rules.insert(0, rule)


def test_a_dashboard_is_asked_of_cloudwatch_alone(moto: Gate) -> None:
    """Its ARN names no Region: https://github.com/cloud-custodian/cloud-custodian/issues/11029."""
    beanstalk(moto)
    moto.rules.insert(0, listed(DASHBOARD))
    moto.answer("ListTagsForResource", {"Tags": [{"Key": "Owner", "Value": "x"}]})
    strict(moto)
    found = inventory()
    assert found["bakery-demo-us-east-1"].tags == {"Owner": "x"}
    assert found["bakery-demo-us-east-1"].sources == (Source.STACK, Source.SERVICE)
    assert found["sg-1"].tier == "dev"
    assert inventory.troubles == []  # type: ignore[attr-defined]  # put there above


def test_an_arn_that_the_tagging_api_refuses_costs_the_others_nothing(moto: Gate) -> None:
    names = [f"orders-{number}" for number in range(5)]
    for name in names:
        client("sqs").create_queue(QueueName=name, tags={"Owner": "x"})
    strict(moto, also="orders-3")
    arns = tuple(f"arn:aws:sqs:us-east-1:{ACCOUNT}:{name}" for name in names)
    found = inventory(scope=ScopeKind.ARNS, arns=arns)
    assert set(found) == set(names)
    assert all(one.tags == {"Owner": "x"} for one in found.values())
    assert {name for name, one in found.items() if Source.SERVICE in one.sources} == {"orders-3"}
    assert inventory.troubles == []  # type: ignore[attr-defined]  # put there above


def test_what_environments_made_is_asked_for_though_the_arns_were_refused(moto: Gate) -> None:
    beanstalk(moto)
    moto.rules.append(answer("ListTagsForResource", "<ResourceTags/>"))
    denied = {"__type": "AccessDeniedException", "message": "no"}
    moto.rules.insert(
        0,
        lambda one: (
            (400, denied)
            if one.operation == "GetResources" and "ResourceARNList" in one.body
            else None
        ),
    )
    found = inventory()
    assert found["sg-1"].tier == "dev"
    (trouble,) = inventory.troubles  # type: ignore[attr-defined]  # put there above
    assert trouble.text == "tag:GetResources was denied"


def test_resources_are_looked_at_again_by_their_arns(moto: Gate) -> None:
    client("sqs").create_queue(QueueName="orders", tags={"Owner": "x"})
    client("sqs").create_queue(QueueName="bare")
    arns = tuple(f"arn:aws:sqs:us-east-1:{ACCOUNT}:{name}" for name in ("orders", "bare", "gone"))
    found = inventory(scope=ScopeKind.ARNS, arns=arns)
    assert {name: one.tags for name, one in found.items()} == {"orders": {"Owner": "x"}, "bare": {}}
