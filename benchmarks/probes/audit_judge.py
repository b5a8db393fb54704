"""tagging_audit loaded, its shipped policy read, and resources judged: `audit_judge.py <number>`.

Prints how many of each verdict there were, and the CPU seconds that the judging alone took.
"""

import json
import os
import sys
import time
from collections import Counter
from datetime import UTC, datetime

import tagging_audit.handler
from tagging_audit.policy import judge
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

count = int(sys.argv[1])
policy = parse(
    tagging_audit.handler.POLICY.read_text(),
    {
        "ProjectName": "shop",
        "EnvironmentSuffix": "main",
        "Owner": "team-shop",
        "CostCenter": "CC-1000",
        "RequiredTags": "Project,Owner,CostCenter",
    },
    SERVICES,
)
resources = [
    Resource(
        arn=f"arn:aws:sqs:us-east-1:123456789012:resource-{number}",
        type=TYPES[number % len(TYPES)],
        region="us-east-1",
        tags=TAGS[number % len(TAGS)],
    )
    for number in range(count)
]
now = datetime(2026, 11, 24, tzinfo=UTC)
begun = time.process_time()
verdicts = Counter(judge(resource, policy, now).verdict.value for resource in resources)
seconds = time.process_time() - begun
sys.stdout.write(json.dumps({"verdicts": verdicts, "seconds": seconds}) + "\n")
sys.stdout.flush()
os._exit(0)
