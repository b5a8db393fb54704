"""A function's role may do what its code calls, and nothing else.

The calls are read from the code: every operation of botocore's models whose name stands in it.
What is done on the function's behalf, by Lambda, Powertools or the durable SDK, is listed here.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from pathlib import Path

import botocore.session
from botocore import xform_name

from operations.template import ROOT
from tests.template.faults import statement, statements, turns_red_when
from tests.template.rendered import CHAT_SECRET, Template, as_list

BY_LAMBDA = {
    "logs:CreateLogStream": "Lambda writes the function's log",
    "logs:PutLogEvents": "Lambda writes the function's log",
    "xray:PutTelemetryRecords": "Lambda sends traces",
    "xray:PutTraceSegments": "Lambda sends traces",
    "kms:Decrypt": "S3, SNS and DynamoDB ask for it as their caller",
    "kms:GenerateDataKey": "S3, SNS and DynamoDB ask for it as their caller",
    "sqs:SendMessage": "Lambda leaves what failed in the dead-letter queue",
}
"""What is done with a role of every function, and by whom."""

CALLS = {
    "elasticbeanstalk:UpdateTagsForResource": {
        "elasticbeanstalk:AddTags",
        "elasticbeanstalk:UpdateTagsForResource",
    },
    "elbv2:DescribeLoadBalancers": {"elasticloadbalancing:DescribeLoadBalancers"},
    "elbv2:DescribeTags": {"elasticloadbalancing:DescribeTags"},
    "elbv2:DescribeTargetGroups": {"elasticloadbalancing:DescribeTargetGroups"},
    "resourcegroupstaggingapi:GetResources": {"tag:GetResources"},
    "resourcegroupstaggingapi:TagResources": {"tag:TagResources"},
    "s3:ListBuckets": {"s3:ListAllMyBuckets"},
    "stepfunctions:ListStateMachines": {"states:ListStateMachines"},
    "stepfunctions:ListTagsForResource": {"states:ListTagsForResource"},
    "lambda:Invoke": {"lambda:InvokeFunction"},
    "s3:CopyObject": {"s3:GetObject", "s3:PutObject"},
    "s3:HeadObject": {"s3:GetObject", "s3:ListBucket"},
}
"""Operations that IAM knows by other names; without ListBucket a missing object is forbidden."""


@dataclass(frozen=True, slots=True)
class Function:
    """A function's code, and what others do for it."""

    folder: str
    services: tuple[str, ...]
    """The services whose operations to look for."""
    for_it: frozenset[str]
    uncalled: frozenset[str] = frozenset()
    """Operations that stand in shared code and are another function's, or another service's."""
    policies: tuple[str, ...] = ()
    """Policies of its role beside the one that is named after it."""


FUNCTIONS = {
    "NotifyFunction": Function(
        folder="notify",
        services=(
            "codebuild",
            "codepipeline",
            "dynamodb",
            "elasticbeanstalk",
            "logs",
            "sns",
            "sqs",
        ),
        for_it=frozenset(
            {
                "secretsmanager:GetSecretValue",  # Powertools' get_secret
                "sqs:ReceiveMessage",  # Lambda polls the queue
                "sqs:DeleteMessage",
                "sqs:GetQueueAttributes",
            }
        ),
    ),
    "RollbackFunction": Function(
        folder="rollback",
        services=(
            "cloudwatch",
            "codepipeline",
            "dynamodb",
            "elasticbeanstalk",
            "events",
            "lambda",
            "s3",
            "ssm",
        ),
        for_it=frozenset(
            {
                "lambda:CheckpointDurableExecution",  # the durable SDK
                "lambda:GetDurableExecutionState",
            }
        ),
    ),
    "TaggingAuditFunction": Function(
        folder="tagging_audit",
        services=(
            "autoscaling",
            "cloudformation",
            "cloudwatch",
            "codebuild",
            "codepipeline",
            "dynamodb",
            "ec2",
            "ecr",
            "elasticbeanstalk",
            "elbv2",
            "events",
            "iam",
            "kms",
            "lambda",
            "logs",
            "rds",
            "resource-explorer-2",
            "resourcegroupstaggingapi",
            "s3",
            "scheduler",
            "secretsmanager",
            "sns",
            "sqs",
            "ssm",
            "stepfunctions",
        ),
        for_it=frozenset(
            {
                "s3:ListBucket",  # S3 tells a missing object from a forbidden one
                "sqs:ReceiveMessage",  # Lambda polls the queue
                "sqs:DeleteMessage",
                "sqs:GetQueueAttributes",
                # Elastic Beanstalk asks about an environment's resources with its caller's rights.
                "cloudformation:DescribeStackResource",
                "cloudformation:DescribeStackResources",
                "elasticloadbalancing:DescribeLoadBalancers",
                # The tagging API tags with the rights of its caller.
                "autoscaling:CreateOrUpdateTags",
                "cloudwatch:TagResource",
                "codebuild:UpdateProject",
                "codepipeline:TagResource",
                "dynamodb:TagResource",
                "ec2:CreateTags",
                "elasticloadbalancing:AddTags",
                "events:TagResource",
                "kms:TagResource",
                "lambda:TagResource",
                "logs:TagResource",
                "s3:PutBucketTagging",
                "sns:TagResource",
                "sqs:TagQueue",
                "ssm:AddTagsToResource",
            }
        ),
        uncalled=frozenset(
            {
                "autoscaling:DescribeLoadBalancers",  # the load balancers' own call
                "autoscaling:DescribeTags",
                "ec2:DescribeTags",
                "cloudformation:GetTemplate",  # jinja2's
                "lambda:ListAliases",  # the key service's
                "rds:ListTagsForResource",  # many a service's; databases tell their tags themselves
                "resource-explorer-2:ListTagsForResource",
                "sns:Publish",  # the bus's
                # CloudWatch's own call, for dashboards.
                "ecr:TagResource",
                "resource-explorer-2:TagResource",
                "scheduler:TagResource",
                "secretsmanager:TagResource",
                "stepfunctions:TagResource",
            }
        ),
        policies=("AccountAuditPolicy", "TagRemedyPolicy"),
    ),
}


@functools.cache
def operations(service: str) -> dict[str, str]:
    """A service's operations by the names that boto3 gives them."""
    model = botocore.session.Session().get_service_model(service)
    return {xform_name(operation): operation for operation in model.operation_names}


def called(function: Function) -> set[str]:
    """The IAM actions of what the code of a function, and of the layer, calls."""
    folders = (ROOT / "functions" / function.folder, ROOT / "layers/shared/trellis")
    code = "\n".join(
        path.read_text(encoding="utf-8") for folder in folders for path in _python(folder)
    )
    names = set(re.findall(r"\.(\w+)\b|\"(\w+)\"", code))
    words = {word for pair in names for word in pair if word}
    found: set[str] = set()
    for service in function.services:
        for name in words & operations(service).keys():
            action = f"{service}:{operations(service)[name]}"
            found |= CALLS.get(action, {action})
    return found - function.uncalled


def _python(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))


@turns_red_when(
    "an action that no code calls",
    lambda source: statement(source, "NotifyFunctionPolicy", "KeepTheStoryOfEachRelease")[
        "Action"
    ].append("dynamodb:BatchGetItem"),
)
@turns_red_when(
    "a call that is refused",
    lambda source: statements(source, "RollbackFunctionPolicy").pop(
        next(
            index
            for index, entry in enumerate(statements(source, "RollbackFunctionPolicy"))
            if entry["Sid"] == "RejectTheApprovalOfABadRelease"
        )
    ),
)
def test_a_role_may_do_what_its_code_calls_and_nothing_else(template: Template) -> None:
    form = template.resolved(
        ChatSecretArn=CHAT_SECRET,
        AuditScope="account",
        AuditGlobalResources="true",
        AuditRemedy="on",
    )
    for name, function in FUNCTIONS.items():
        granted = {
            action
            for policy in (f"{name}Policy", *function.policies)
            for entry in form.properties(policy)["PolicyDocument"]["Statement"]
            for action in as_list(entry["Action"])
        }
        needed = called(function) | function.for_it
        assert not granted - needed - BY_LAMBDA.keys(), f"{name} does not need some"
        assert not needed - granted, f"{name} is not granted some"


@turns_red_when(
    "a function that nobody looks at",
    lambda source: source["Resources"].update(
        AnotherFunction=source["Resources"]["NotifyFunction"]
    ),
)
def test_every_function_is_looked_at(template: Template) -> None:
    assert set(FUNCTIONS) == set(template.resolved().of_type("AWS::Lambda::Function"))
