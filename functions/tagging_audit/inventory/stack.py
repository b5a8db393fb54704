"""What a stack holds, and what its Elastic Beanstalk environments run on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tagging_audit.inventory.aws import Aws, CallError
from tagging_audit.inventory.seen import Trouble, Union
from tagging_audit.inventory.tagging_api import pairs
from tagging_audit.kinds import Place, arn_of, refusal_of, route_of
from tagging_audit.resource import Source, TagRoute
from tagging_audit.scope import SHARED

_ENVIRONMENT = "AWS::ElasticBeanstalk::Environment"
_APPLICATION = "AWS::ElasticBeanstalk::Application"
_STACK = "AWS::CloudFormation::Stack"
_CHILDREN = (
    "AWS::AutoScaling::AutoScalingGroup",
    "AWS::EC2::Instance",
    "AWS::EC2::LaunchTemplate",
    "AWS::EC2::Volume",
    "AWS::ElasticLoadBalancingV2::LoadBalancer",
)


def add_stack(
    aws: Aws, place: Place, stack: str, tiers: Mapping[str, str], union: Union
) -> tuple[str, ...]:
    """Add everything that a stack holds, and return the names of its environments.

    `tiers` says which environment, by its name, is dev, test or prod.
    """
    declared = list(_declared(aws, place.region, stack, union))
    environments = tuple(one["PhysicalResourceId"] for _, one in declared if _is(one, _ENVIRONMENT))
    for stack_id, one in declared:
        if not _is(one, _ENVIRONMENT):
            _add_declared(one, stack_id, place, union)
    for _, one in declared:
        if _is(one, _APPLICATION):
            _add_versions(aws, place, one["PhysicalResourceId"], union)
    if environments:
        logical = {one["PhysicalResourceId"]: one["LogicalResourceId"] for _, one in declared}
        _add_environments(aws, place, environments, logical, tiers, union)
    return environments


def add_environment(aws: Aws, place: Place, name: str, tier: str, union: Union) -> None:
    """Add what one environment runs on, whether it is tagged or not."""
    try:
        answer = aws.call(
            "elasticbeanstalk",
            place.region,
            "describe_environment_resources",
            EnvironmentName=name,
        )
    except CallError as err:
        union.fail(Trouble(f"{err} for {name}", place.region, _CHILDREN))
        return
    parts = answer["EnvironmentResources"]
    mine: dict[str, Any] = {"region": place.region, "is_ours": True, "tier": tier}
    instances = [one["Id"] for one in parts.get("Instances", ())]
    for instance in instances:
        union.add(place.arn("ec2", f"instance/{instance}"), Source.ENVIRONMENT, **mine)
    for template in parts.get("LaunchTemplates", ()):
        union.add(place.arn("ec2", f"launch-template/{template['Id']}"), Source.ENVIRONMENT, **mine)
    for balancer in parts.get("LoadBalancers", ()):
        if balancer["Name"].startswith("arn:"):
            union.add(balancer["Name"], Source.ENVIRONMENT, **mine)
    groups = [one["Name"] for one in parts.get("AutoScalingGroups", ())]
    _add_groups(aws, place, groups, mine, union)
    _add_volumes(aws, place, instances, mine, union)


def _declared(
    aws: Aws, region: str, stack: str, union: Union
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The resources of a stack and of the stacks in it, each with the stack that declares it."""
    token: dict[str, str] = {}
    while True:
        try:
            answer = aws.call(
                "cloudformation", region, "list_stack_resources", StackName=stack, **token
            )
        except CallError as err:
            union.fail(Trouble(f"{err} for the stack {stack}", region, ()))
            return
        for one in answer["StackResourceSummaries"]:
            if "PhysicalResourceId" not in one or one["ResourceStatus"] == "DELETE_COMPLETE":
                continue
            if _is(one, _STACK):
                yield from _declared(aws, region, one["PhysicalResourceId"], union)
            yield stack, one
        if not answer.get("NextToken"):
            return
        token = {"NextToken": answer["NextToken"]}


def _is(summary: Mapping[str, Any], type_: str) -> bool:
    return bool(summary["ResourceType"] == type_)


def _add_declared(one: Mapping[str, Any], stack: str, place: Place, union: Union) -> None:
    type_ = one["ResourceType"]
    arn = arn_of(type_, one["PhysicalResourceId"], place)
    nameless = arn is None
    if arn is None:
        # What has no ARN of its own is named by its place in the stack.
        arn = f"{place.arn('cloudformation', f'stack/{stack}')}/{one['LogicalResourceId']}"
    union.add(
        arn,
        Source.STACK,
        region=place.region,
        type_=type_,
        created=one.get("LastUpdatedTimestamp"),
        logical_id=one["LogicalResourceId"],
        is_ours=True,
        tier=SHARED,
        refusal=refusal_of(type_) if route_of(type_) is TagRoute.NOBODY else None,
    )
    if nameless and route_of(type_) is not TagRoute.NOBODY:
        union.could_not_read(arn, f"this audit does not know how to read the tags of a {type_}")


def _add_versions(aws: Aws, place: Place, application: str, union: Union) -> None:
    token: dict[str, str] = {}
    while True:
        try:
            answer = aws.call(
                "elasticbeanstalk",
                place.region,
                "describe_application_versions",
                ApplicationName=application,
                MaxRecords=1000,
                **token,
            )
        except CallError as err:
            kinds = ("AWS::ElasticBeanstalk::ApplicationVersion",)
            union.fail(Trouble(f"{err} for {application}", place.region, kinds))
            return
        for version in answer.get("ApplicationVersions", ()):
            union.add(
                version["ApplicationVersionArn"],
                Source.LIST,
                region=place.region,
                created=version.get("DateCreated"),
                is_ours=True,
                tier=SHARED,
            )
        if not answer.get("NextToken"):
            return
        token = {"NextToken": answer["NextToken"]}


def _add_environments(
    aws: Aws,
    place: Place,
    names: Sequence[str],
    logical: Mapping[str, str],
    tiers: Mapping[str, str],
    union: Union,
) -> None:
    try:
        answer = aws.call(
            "elasticbeanstalk",
            place.region,
            "describe_environments",
            EnvironmentNames=list(names),
            IncludeDeleted=False,
        )
    except CallError as err:
        union.fail(Trouble(str(err), place.region, (_ENVIRONMENT, *_CHILDREN)))
        return
    for environment in answer.get("Environments", ()):
        name = environment["EnvironmentName"]
        tier = tiers.get(name, SHARED)
        union.add(
            environment["EnvironmentArn"],
            Source.STACK,
            region=place.region,
            created=environment.get("DateCreated"),
            logical_id=logical.get(name),
            is_ours=True,
            tier=tier,
        )
        add_environment(aws, place, name, tier, union)


def _add_groups(
    aws: Aws, place: Place, names: Sequence[str], mine: Mapping[str, Any], union: Union
) -> None:
    if not names:
        return
    kinds = ("AWS::AutoScaling::AutoScalingGroup",)
    try:
        answer = aws.call(
            "autoscaling",
            place.region,
            "describe_auto_scaling_groups",
            AutoScalingGroupNames=list(names),
        )
    except CallError as err:
        union.fail(Trouble(str(err), place.region, kinds))
        return
    for group in answer.get("AutoScalingGroups", ()):
        union.add(
            group["AutoScalingGroupARN"],
            Source.ENVIRONMENT,
            tags=pairs(group.get("Tags")),
            created=group.get("CreatedTime"),
            **mine,
        )
    known = {group["AutoScalingGroupName"] for group in answer.get("AutoScalingGroups", ())}
    for name in names:
        if name not in known:
            text = f"autoscaling:DescribeAutoScalingGroups does not know {name}"
            union.expect(f"autoScalingGroupName/{name}", Trouble(text, place.region, kinds))


def _add_volumes(
    aws: Aws, place: Place, instances: Sequence[str], mine: Mapping[str, Any], union: Union
) -> None:
    if not instances:
        return
    token: dict[str, str] = {}
    while True:
        try:
            answer = aws.call(
                "ec2",
                place.region,
                "describe_volumes",
                Filters=[{"Name": "attachment.instance-id", "Values": list(instances)}],
                **token,
            )
        except CallError as err:
            union.fail(Trouble(str(err), place.region, ("AWS::EC2::Volume",)))
            return
        for volume in answer.get("Volumes", ()):
            union.add(
                place.arn("ec2", f"volume/{volume['VolumeId']}"),
                Source.ENVIRONMENT,
                tags=pairs(volume.get("Tags")),
                created=volume.get("CreateTime"),
                **mine,
            )
        if not answer.get("NextToken"):
            return
        token = {"NextToken": answer["NextToken"]}
