"""The table of what Beanstalk does with its caller's rights."""

from __future__ import annotations

import fnmatch

import pytest

from sandbox.cloud import Scope
from sandbox.elasticbeanstalk.downstream import (
    TABLE,
    Situation,
    Step,
    denial,
    needed,
    refusal,
)
from sandbox.elasticbeanstalk.names import Names

HERE = Situation(
    Names(Scope("123456789012", "us-west-2"), "e-abcdefghij"),
    "application",
    "arn:aws:iam::123456789012:role/instances",
    "arn:aws:iam::123456789012:role/service",
)


def test_every_row_names_a_public_source() -> None:
    assert all(row.source.startswith("https://") for row in TABLE)


def test_every_step_needs_something() -> None:
    assert [step for step in Step if step is not Step.SPLIT and not needed(step, HERE)] == []


# What AWSElasticBeanstalkRoleCore allows, action and resource, for what it restricts.
ROLE_CORE = (
    ("autoscaling:*", "arn:aws:autoscaling:*:*:autoScalingGroup:*:autoScalingGroupName/awseb-e-*"),
    ("cloudformation:*", "arn:aws:cloudformation:*:*:stack/awseb-e-*"),
    ("cloudwatch:*", "arn:aws:cloudwatch:*:*:alarm:awseb-*"),
    ("elasticloadbalancing:*", "arn:aws:elasticloadbalancing:*:*:*/awseb-*"),
    ("elasticloadbalancing:*", "arn:aws:elasticloadbalancing:*:*:*/app/awseb-*"),
    ("s3:*", "arn:aws:s3:::elasticbeanstalk-*"),
    ("ec2:*", "arn:aws:ec2:*:*:*"),
    ("iam:PassRole", "arn:aws:iam::*:role/*"),
    ("logs:*", "arn:aws:logs:*:*:log-group:/aws/elasticbeanstalk/*"),
)


@pytest.mark.parametrize("balancer", ["", "classic", "application", "network"])
def test_every_resource_is_within_what_aws_grants_its_own_role(balancer: str) -> None:
    here = Situation(HERE.names, balancer, HERE.instance_role, HERE.service_role)
    outside = [
        one
        for step in Step
        for one in needed(step, here)
        if one.resource != "*"
        and not any(
            fnmatch.fnmatchcase(one.action, action) and fnmatch.fnmatchcase(one.resource, resource)
            for action, resource in ROLE_CORE
        )
    ]
    assert outside == []


def test_a_single_instance_needs_nothing_of_a_load_balancer() -> None:
    single = Situation(HERE.names, "", HERE.instance_role, HERE.service_role)
    actions = {
        one.action for step in Step if step is not Step.SPLIT for one in needed(step, single)
    }
    assert [action for action in actions if action.startswith("elasticloadbalancing:")] == []


def test_condition_keys_are_given_where_the_managed_policy_asks_for_them() -> None:
    contexts = {one.action: one.context for step in Step for one in needed(step, HERE)}
    assert contexts["ec2:RunInstances"] == {"ec2:LaunchTemplate": HERE.names.launch_template_arn}
    assert contexts["ec2:TerminateInstances"] == {
        "ec2:ResourceTag/aws:cloudformation:stack-id": HERE.names.stack_arn
    }
    assert contexts["ec2:AuthorizeSecurityGroupIngress"] == contexts["ec2:TerminateInstances"]
    assert contexts["ec2:CreateSecurityGroup"] == {}
    assert contexts["iam:PassRole"] == {"iam:PassedToService": "ec2.amazonaws.com"}


def test_a_role_that_is_not_set_is_not_passed() -> None:
    without = Situation(HERE.names, "application", HERE.instance_role, "")
    passed = [one.resource for one in needed(Step.CREATE, without) if one.action == "iam:PassRole"]
    assert passed == [HERE.instance_role]


def test_words_of_a_denial() -> None:
    reason = "deployer is not authorized to perform: elasticloadbalancing:RegisterTargets"
    assert denial("elasticloadbalancing:RegisterTargets", reason) == (
        f"Service:AmazonElasticLoadBalancing, Message:User: {reason}"
    )
    assert refusal("s3:CreateBucket") == (
        "You do not have permission to perform the 's3:CreateBucket' action. Verify that your S3 "
        "policies and your ACLs allow you to perform these actions."
    )
