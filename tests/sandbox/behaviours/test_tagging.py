"""Tags across services: what the Tagging API lists and changes, and what is told of changes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.sandbox.behaviours.conftest import Local, allow, let_in, policy
from tests.sandbox.behaviours.test_eventbridge import EVENTS
from tests.sandbox.behaviours.test_monitoring import alarm

pytestmark = pytest.mark.sandbox


def listed(local: Local, **request: Any) -> dict[str, dict[str, str]]:
    pages = local.client("resourcegroupstaggingapi").get_paginator("get_resources")
    return {
        one["ResourceARN"]: {tag["Key"]: tag["Value"] for tag in one["Tags"]}
        for page in pages.paginate(**request)
        for one in page["ResourceTagMappingList"]
    }


def estate(local: Local) -> dict[str, str]:
    """One resource of each kind with a tag; ARNs by kind."""
    tag = [{"Key": "Owner", "Value": "a"}]
    local.client("logs").create_log_group(logGroupName="/ours", tags={"Owner": "a"})
    local.client("events").put_rule(
        Name="ours", EventPattern=json.dumps({"source": ["x"]}), Tags=tag
    )
    alarm(local, "ours", Tags=tag)
    local.client("sqs").create_queue(QueueName="ours", tags={"Owner": "a"})
    secret = local.client("secretsmanager").create_secret(Name="ours", SecretString="x", Tags=tag)
    local.client("ssm").put_parameter(Name="ours", Value="x", Type="String", Tags=tag)
    return {
        "log group": local.arn("logs", "log-group:/ours"),
        "rule": local.arn("events", "rule/ours"),
        "alarm": local.arn("cloudwatch", "alarm:ours"),
        "queue": local.arn("sqs", "ours"),
        "secret": secret["ARN"],
        "parameter": local.arn("ssm", "parameter/ours"),
    }


def test_every_kind_is_listed_changed_and_remembered(local: Local) -> None:
    arns = estate(local)
    local.client("sqs").create_queue(QueueName="never-tagged")
    assert listed(local) == {arn: {"Owner": "a"} for arn in arns.values()}
    tagging = local.client("resourcegroupstaggingapi")
    answer = tagging.tag_resources(ResourceARNList=list(arns.values()), Tags={"CostCenter": "1"})
    assert answer["FailedResourcesMap"] == {}
    both = {"Owner": "a", "CostCenter": "1"}
    assert listed(local) == {arn: both for arn in arns.values()}
    answer = tagging.untag_resources(
        ResourceARNList=list(arns.values()), TagKeys=["Owner", "CostCenter"]
    )
    assert answer["FailedResourcesMap"] == {}
    assert listed(local) == {arn: {} for arn in arns.values()}


def test_failures_are_named_one_by_one(local: Local) -> None:
    queue, gone = estate(local)["queue"], local.arn("sqs", "gone")
    user = local.user("u", allow(["tag:*", "events:*"]))
    tagging = local.client("resourcegroupstaggingapi", **user)
    rule = local.arn("events", "rule/ours")
    failed = tagging.tag_resources(ResourceARNList=[queue, gone, rule], Tags={"A": "1"})[
        "FailedResourcesMap"
    ]
    assert failed[queue]["ErrorCode"] == "AccessDeniedException"
    assert "sqs:TagQueue" in failed[queue]["ErrorMessage"]
    assert rule not in failed
    root = local.client("resourcegroupstaggingapi")
    failed = root.tag_resources(ResourceARNList=[gone], Tags={"A": "1"})["FailedResourcesMap"]
    assert failed[gone]["ErrorCode"] == "InvalidParameterException"


def test_one_dashboard_among_the_arns_is_refused_with_all_others(local: Local) -> None:
    queue = estate(local)["queue"]
    cloudwatch = local.client("cloudwatch")
    cloudwatch.put_dashboard(DashboardName="board", DashboardBody='{"widgets": []}')
    board = cloudwatch.get_dashboard(DashboardName="board")["DashboardArn"]
    tagging = local.client("resourcegroupstaggingapi")
    for operation, more in (
        (tagging.get_resources, {}),
        (tagging.tag_resources, {"Tags": {"A": "1"}}),
        (tagging.untag_resources, {"TagKeys": ["Owner"]}),
    ):
        with pytest.raises(tagging.exceptions.InvalidParameterException, match=board):
            operation(ResourceARNList=[queue, board], **more)
    assert listed(local)[queue] == {"Owner": "a"}
    cloudwatch.tag_resource(ResourceARN=board, Tags=[{"Key": "Owner", "Value": "a"}])
    assert board not in listed(local)


def test_a_changed_tag_is_told_with_the_whole_set(local: Local) -> None:
    heard = local.queue("heard", policy(let_in(EVENTS, "sqs:SendMessage")))
    events = local.client("events")
    events.put_rule(Name="tags", EventPattern=json.dumps({"source": ["aws.tag"]}))
    events.put_targets(Rule="tags", Targets=[{"Id": "q", "Arn": heard}])
    assert local.messages(heard, seconds=2) == []
    url = local.client("sqs").create_queue(QueueName="told", tags={"Owner": "a"})["QueueUrl"]
    [made] = [json.loads(one["Body"]) for one in local.messages(heard)]
    local.client("sqs").tag_queue(QueueUrl=url, Tags={"Owner": "b", "Team": "x"})
    [changed] = [json.loads(one["Body"]) for one in local.messages(heard)]
    local.client("sqs").untag_queue(QueueUrl=url, TagKeys=["Team"])
    [removed] = [json.loads(one["Body"]) for one in local.messages(heard)]
    assert made["detail-type"] == "Tag Change on Resource"
    assert made["resources"] == [local.arn("sqs", "told")]
    assert made["detail"]["tags"] == {"Owner": "a"}
    assert changed["detail"] == {
        "changed-tag-keys": ["Owner", "Team"],
        "service": "sqs",
        "resource-type": "queue",
        "version": 2,
        "tags": {"Owner": "b", "Team": "x"},
    }
    assert removed["detail"]["changed-tag-keys"] == ["Team"]
    assert removed["detail"]["tags"] == {"Owner": "b"}
