"""The shipped policy, and resources tagged well and badly in fixed shares."""

import handler  # type: ignore[import-not-found]  # beside it when it runs

from tagging_audit.policy import Policy
from tagging_audit.policy_file import parse
from tagging_audit.resource import Resource

TYPES = ("AWS::SQS::Queue", "AWS::S3::Bucket", "AWS::Lambda::Function", "AWS::DynamoDB::Table")
WHOLE = {"Project": "shop", "Owner": "team-shop", "CostCenter": "CC-1000"}
TAGS: tuple[dict[str, str], ...] = (
    WHOLE,
    {**WHOLE, "Environment": "prod", "ManagedBy": "trellis"},
    {},
    {"Project": "shop", "Owner": "team-shop"},
    {"Project": "shop", "Owner": "", "costcenter": "CC-1000"},
    {"aws:cloudformation:stack-name": "x", "Name": "y"},
)
SERVICES = (
    *("dynamodb", "iam", "kms", "lambda", "logs", "s3", "secretsmanager", "sns", "sqs"),
    *("autoscaling", "cloudwatch", "codebuild", "codepipeline", "ec2", "ecr", "elasticbeanstalk"),
    *("elasticloadbalancing", "events", "rds", "ssm", "states"),
)


def policy() -> Policy:
    """The policy that ships, as a stack fills it in."""
    return parse(
        handler.POLICY.read_text(),
        {
            "ProjectName": "shop",
            "EnvironmentSuffix": "main",
            "Owner": "team-shop",
            "CostCenter": "CC-1000",
            "RequiredTags": "Project,Owner,CostCenter",
        },
        SERVICES,
    )


def resources(count: int) -> list[Resource]:
    """A third of them in order; the same number gives the same ones."""
    return [
        Resource(
            arn=f"arn:aws:sqs:us-east-1:123456789012:resource-{number}",
            type=TYPES[number % len(TYPES)],
            region="us-east-1",
            tags=TAGS[number % len(TAGS)],
        )
        for number in range(count)
    ]
