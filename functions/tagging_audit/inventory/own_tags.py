"""A service's own word on the tags of one resource, where the tagging API said nothing of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tagging_audit.inventory.aws import Aws, CallError, Why, nothing_found
from tagging_audit.inventory.ended import can_linger, has_ended
from tagging_audit.inventory.tagging_api import pairs
from trellis.arn import Arn

_NO_TAGS = ("NoSuchTagSet", "NoSuchTagSetError")
"""How S3 says that a bucket has none."""


@dataclass(frozen=True, slots=True)
class _Reader:
    client: str
    operation: str
    request: Callable[[str], dict[str, Any]]
    """The request for an ARN."""
    tags: str = "Tags"
    within: tuple[str, ...] = ()
    """The fields that lead to the tags, each a list whose first item is meant."""


def _whole(field: str) -> Callable[[str], dict[str, Any]]:
    return lambda arn: {field: arn}


def _end(field: str, separator: str = "/") -> Callable[[str], dict[str, Any]]:
    return lambda arn: {field: arn.split(":", 5)[5].rsplit(separator, 1)[-1]}


def _queue(arn: str) -> dict[str, Any]:
    _, _, _, region, account, name = arn.split(":", 5)
    return {"QueueUrl": f"https://sqs.{region}.amazonaws.com/{account}/{name}"}


_READERS: Mapping[str, _Reader] = {
    "AWS::CloudWatch::Alarm": _Reader(
        "cloudwatch", "list_tags_for_resource", _whole("ResourceARN")
    ),
    "AWS::CloudWatch::Dashboard": _Reader(
        "cloudwatch", "list_tags_for_resource", _whole("ResourceARN")
    ),
    "AWS::CodeBuild::Project": _Reader(
        "codebuild",
        "batch_get_projects",
        lambda arn: {"names": [arn.rsplit("/", 1)[-1]]},
        "tags",
        ("projects",),
    ),
    "AWS::CodePipeline::Pipeline": _Reader(
        "codepipeline", "list_tags_for_resource", _whole("resourceArn"), "tags"
    ),
    "AWS::DynamoDB::Table": _Reader("dynamodb", "list_tags_of_resource", _whole("ResourceArn")),
    "AWS::ECR::Repository": _Reader("ecr", "list_tags_for_resource", _whole("resourceArn"), "tags"),
    "AWS::Events::Rule": _Reader("events", "list_tags_for_resource", _whole("ResourceARN")),
    "AWS::Events::EventBus": _Reader("events", "list_tags_for_resource", _whole("ResourceARN")),
    "AWS::IAM::InstanceProfile": _Reader(
        "iam", "list_instance_profile_tags", _end("InstanceProfileName")
    ),
    "AWS::IAM::ManagedPolicy": _Reader("iam", "list_policy_tags", _whole("PolicyArn")),
    "AWS::IAM::Role": _Reader("iam", "list_role_tags", _end("RoleName")),
    "AWS::IAM::User": _Reader("iam", "list_user_tags", _end("UserName")),
    "AWS::KMS::Key": _Reader("kms", "list_resource_tags", _whole("KeyId")),
    "AWS::Lambda::EventSourceMapping": _Reader("lambda", "list_tags", _whole("Resource")),
    "AWS::Lambda::Function": _Reader("lambda", "list_tags", _whole("Resource")),
    "AWS::Logs::LogGroup": _Reader("logs", "list_tags_for_resource", _whole("resourceArn"), "tags"),
    "AWS::S3::Bucket": _Reader("s3", "get_bucket_tagging", _end("Bucket"), "TagSet"),
    "AWS::SNS::Topic": _Reader("sns", "list_tags_for_resource", _whole("ResourceArn")),
    "AWS::SQS::Queue": _Reader("sqs", "list_queue_tags", _queue),
    "AWS::SSM::Parameter": _Reader(
        "ssm",
        "list_tags_for_resource",
        lambda arn: {
            "ResourceType": "Parameter",
            "ResourceId": arn.split(":parameter", 1)[1].removeprefix("/")
            if arn.count("/") == 1
            else arn.split(":parameter", 1)[1],
        },
        "TagList",
    ),
    "AWS::Scheduler::ScheduleGroup": _Reader(
        "scheduler", "list_tags_for_resource", _whole("ResourceArn")
    ),
    "AWS::SecretsManager::Secret": _Reader("secretsmanager", "describe_secret", _whole("SecretId")),
    "AWS::StepFunctions::StateMachine": _Reader(
        "stepfunctions", "list_tags_for_resource", _whole("resourceArn"), "tags"
    ),
    "AWS::AutoScaling::AutoScalingGroup": _Reader(
        "autoscaling",
        "describe_auto_scaling_groups",
        lambda arn: {"AutoScalingGroupNames": [arn.rsplit("/", 1)[-1]]},
        within=("AutoScalingGroups",),
    ),
    "AWS::EC2::Instance": _Reader(
        "ec2",
        "describe_instances",
        lambda arn: {"InstanceIds": [arn.rsplit("/", 1)[-1]]},
        within=("Reservations", "Instances"),
    ),
    "AWS::EC2::LaunchTemplate": _Reader(
        "ec2",
        "describe_launch_templates",
        lambda arn: {"LaunchTemplateIds": [arn.rsplit("/", 1)[-1]]},
        within=("LaunchTemplates",),
    ),
    "AWS::EC2::SecurityGroup": _Reader(
        "ec2",
        "describe_security_groups",
        lambda arn: {"GroupIds": [arn.rsplit("/", 1)[-1]]},
        within=("SecurityGroups",),
    ),
    "AWS::EC2::Volume": _Reader(
        "ec2",
        "describe_volumes",
        lambda arn: {"VolumeIds": [arn.rsplit("/", 1)[-1]]},
        within=("Volumes",),
    ),
    "AWS::ElasticLoadBalancingV2::LoadBalancer": _Reader(
        "elbv2", "describe_tags", lambda arn: {"ResourceArns": [arn]}, within=("TagDescriptions",)
    ),
    "AWS::ElasticLoadBalancingV2::TargetGroup": _Reader(
        "elbv2", "describe_tags", lambda arn: {"ResourceArns": [arn]}, within=("TagDescriptions",)
    ),
    "AWS::RDS::DBCluster": _Reader(
        "rds",
        "describe_db_clusters",
        _end("DBClusterIdentifier", ":"),
        "TagList",
        ("DBClusters",),
    ),
    "AWS::RDS::DBInstance": _Reader(
        "rds",
        "describe_db_instances",
        _end("DBInstanceIdentifier", ":"),
        "TagList",
        ("DBInstances",),
    ),
    **{
        f"AWS::ElasticBeanstalk::{kind}": _Reader(
            "elasticbeanstalk", "list_tags_for_resource", _whole("ResourceArn"), "ResourceTags"
        )
        for kind in ("Application", "ApplicationVersion", "ConfigurationTemplate", "Environment")
    },
}


def can_read(type_: str) -> bool:
    """Whether a type has a reader here."""
    return type_ in _READERS


def shows_ends(type_: str) -> bool:
    """Whether a reader here knows a resource that is only described any more from one that is."""
    reader = _READERS.get(type_)
    return reader is not None and can_linger(type_) and reader.operation.startswith("describe_")


def read(aws: Aws, region: str, arn: str, type_: str) -> dict[str, str]:
    """The tags of one resource. Raises CallError, also when it is gone or has ended."""
    reader = _READERS[type_]
    try:
        answer = aws.call(reader.client, region, reader.operation, **reader.request(arn))
    except CallError as err:
        if err.code in _NO_TAGS:
            return {}
        raise
    for field in reader.within:
        items = answer.get(field) or ()
        if not items:
            raise nothing_found(reader.client, reader.operation)
        answer = items[0]
    if has_ended(type_, answer):
        raise nothing_found(reader.client, reader.operation, Why.ENDED)
    return pairs(answer.get(reader.tags))


def region_to_ask(arn: str, default: str) -> str:
    """Where a resource's service is asked: in its own Region, or any for what has none."""
    parsed = Arn.parse(arn)
    return (parsed.region if parsed else "") or default
