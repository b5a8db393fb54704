"""The services' own list calls: the only source for what was never tagged.

One row a call. Each is asked page by page, to the end.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tagging_audit.inventory.aws import Aws
from tagging_audit.inventory.ended import has_ended
from tagging_audit.inventory.tagging_api import pairs
from tagging_audit.kinds import RESERVED_ROLE, SERVICE_LINKED_ROLE, Place


@dataclass(frozen=True, slots=True)
class Listed:
    """A resource as its service lists it."""

    arn: str
    tags: dict[str, str] | None = None
    """None where the list does not show tags."""
    created: datetime | None = None
    refusal: str | None = None
    """Why this one can carry no tags: it is AWS's own."""
    is_note: bool = False
    """It says something of a resource that another call lists."""
    has_ended: bool = False
    """Its service still describes it, but it is there no longer."""


type _Read = Callable[[Mapping[str, Any], Place], Iterator[Listed]]


@dataclass(frozen=True, slots=True)
class Lister:
    """One list call: what to ask, how it pages, and how its answer reads."""

    service: str
    """Its name in ARNs, in the tagging API and in the policy file."""
    operation: str
    read: _Read
    types: tuple[str, ...]
    token: tuple[str, str] = ("NextToken", "NextToken")
    """What the next page is asked by, and what it is called in the answer."""
    request: Mapping[str, Any] = field(default_factory=dict)
    client: str | None = None
    """botocore's name of the service, where it is another."""
    is_global: bool = False

    def page(self, aws: Aws, place: Place, token: str | None) -> tuple[list[Listed], str | None]:
        """One page, and the token of the next. Raises CallError."""
        request = {
            key: place.region if value is _REGION else value for key, value in self.request.items()
        }
        if token:
            request[self.token[0]] = token
        answer = aws.page(self.client or self.service, place.region, self.operation, **request)
        return list(self.read(answer, place)), answer.get(self.token[1]) or None


@dataclass(frozen=True, slots=True)
class RulesOfEachBus(Lister):
    """ListRules shows the rules of one bus, and of the default bus where none is named.

    https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_ListRules.html

    The token of a page is JSON: the buses that are left, and the service's own token.
    """

    def page(self, aws: Aws, place: Place, token: str | None) -> tuple[list[Listed], str | None]:
        """The buses for a beginning; then their rules, page by page. Raises CallError."""
        buses, rest = json.loads(token) if token else ([], None)
        if not buses:
            buses = list(self._buses(aws, place))
            return [], json.dumps([buses, None]) if buses else None
        request = {**self.request, "EventBusName": buses[0]}
        if rest:
            request[self.token[0]] = rest
        answer = aws.page(self.service, place.region, self.operation, **request)
        rest = answer.get(self.token[1]) or None
        left = buses if rest else buses[1:]
        return list(self.read(answer, place)), json.dumps([left, rest]) if left else None

    def _buses(self, aws: Aws, place: Place) -> Iterator[str]:
        request: dict[str, Any] = {"Limit": 100}
        while True:
            answer = aws.call(self.service, place.region, "list_event_buses", **request)
            yield from (bus["Name"] for bus in answer.get("EventBuses") or ())
            if not answer.get("NextToken"):
                return
            request["NextToken"] = answer["NextToken"]


_REGION = object()
_MILLISECONDS = 1e11
"""Greater numbers are no seconds since 1970 any more, but milliseconds."""


def _arns(
    items: str,
    arn: str | None = None,
    *,
    created: str | None = None,
    tags: str | None = None,
    service: str = "",
    before: str = "",
    type_: str = "",
) -> _Read:
    """A reader for a list of ARNs, or of items with an ARN, or of names that make one.

    `before` is what stands before the name in its ARN; with it, `arn` is the name's field.
    `type_` is named where items may be shown after their end.
    """

    def read(answer: Mapping[str, Any], place: Place) -> Iterator[Listed]:
        for item in answer.get(items) or ():
            found = item if arn is None else item[arn]
            yield Listed(
                place.arn(service, before + found) if service else found,
                tags=None if tags is None else pairs(item.get(tags)),
                created=None if created is None else _time(item.get(created)),
                has_ended=bool(type_) and has_ended(type_, item),
            )

    return read


def _time(value: Any) -> datetime | None:
    """A moment as services write it: a time, an ISO 8601 text, or seconds or milliseconds."""
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, int | float):
        return datetime.fromtimestamp(value / 1000 if value > _MILLISECONDS else value, UTC)
    if isinstance(value, str):
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            return None
    return None


def _buckets(answer: Mapping[str, Any], place: Place) -> Iterator[Listed]:
    for bucket in answer.get("Buckets") or ():
        # An endpoint that knows no filter by Region at least says where each bucket is.
        if bucket.get("BucketRegion", place.region) == place.region:
            yield Listed(
                f"arn:{place.partition}:s3:::{bucket['Name']}",
                created=_time(bucket.get("CreationDate")),
            )


def _queues(answer: Mapping[str, Any], place: Place) -> Iterator[Listed]:
    for url in answer.get("QueueUrls") or ():
        account, name = url.rsplit("/", 2)[-2:]
        arn = place.arn("sqs", name)
        yield Listed(arn.replace(f":{place.account}:", f":{account}:") if account else arn)


def _own_keys(answer: Mapping[str, Any], place: Place) -> Iterator[Listed]:
    """The keys that AWS manages: each has an alias that begins with `alias/aws/`.

    https://docs.aws.amazon.com/kms/latest/developerguide/concepts.html
    """
    for alias in answer.get("Aliases") or ():
        if alias["AliasName"].startswith("alias/aws/") and alias.get("TargetKeyId"):
            yield Listed(
                place.arn("kms", f"key/{alias['TargetKeyId']}"),
                refusal=f"AWS manages the key {alias['AliasName']}",
                is_note=True,
            )


def _rules(answer: Mapping[str, Any], place: Place) -> Iterator[Listed]:
    for rule in answer.get("Rules") or ():
        owner = rule.get("ManagedBy")
        yield Listed(rule["Arn"], refusal=f"{owner} manages the rule" if owner else None)


def _alarms(answer: Mapping[str, Any], place: Place) -> Iterator[Listed]:
    for kind in ("MetricAlarms", "CompositeAlarms"):
        yield from (Listed(alarm["AlarmArn"]) for alarm in answer.get(kind) or ())


def _instances(answer: Mapping[str, Any], place: Place) -> Iterator[Listed]:
    for reservation in answer.get("Reservations") or ():
        for instance in reservation.get("Instances") or ():
            yield Listed(
                place.arn("ec2", f"instance/{instance['InstanceId']}"),
                tags=pairs(instance.get("Tags")),
                created=_time(instance.get("LaunchTime")),
                has_ended=has_ended("AWS::EC2::Instance", instance),
            )


def _secrets(answer: Mapping[str, Any], place: Place) -> Iterator[Listed]:
    for secret in answer.get("SecretList") or ():
        owner = secret.get("OwningService")
        yield Listed(
            secret["ARN"],
            tags=pairs(secret.get("Tags")),
            created=_time(secret.get("CreatedDate")),
            refusal=f"{owner} manages the secret" if owner else None,
            has_ended=has_ended("AWS::SecretsManager::Secret", secret),
        )


def _functions(answer: Mapping[str, Any], place: Place) -> Iterator[Listed]:
    for function in answer.get("Functions") or ():
        yield Listed(function["FunctionArn"])


def _people(answer: Mapping[str, Any], place: Place) -> Iterator[Listed]:
    for kind in ("UserDetailList", "RoleDetailList"):
        for detail in answer.get(kind) or ():
            yield Listed(
                detail["Arn"],
                tags=pairs(detail.get("Tags")),
                created=_time(detail.get("CreateDate")),
            )


LISTERS: tuple[Lister, ...] = (
    Lister(
        "autoscaling",
        "describe_auto_scaling_groups",
        _arns(
            "AutoScalingGroups",
            "AutoScalingGroupARN",
            created="CreatedTime",
            tags="Tags",
            type_="AWS::AutoScaling::AutoScalingGroup",
        ),
        ("AWS::AutoScaling::AutoScalingGroup",),
        request={"MaxRecords": 100},
    ),
    Lister(
        "cloudwatch",
        "describe_alarms",
        _alarms,
        ("AWS::CloudWatch::Alarm",),
        request={"MaxRecords": 100, "AlarmTypes": ["MetricAlarm", "CompositeAlarm"]},
    ),
    Lister(
        "codebuild",
        "list_projects",
        _arns("projects", service="codebuild", before="project/"),
        ("AWS::CodeBuild::Project",),
        token=("nextToken", "nextToken"),
    ),
    Lister(
        "codepipeline",
        "list_pipelines",
        _arns("pipelines", "name", created="created", service="codepipeline"),
        ("AWS::CodePipeline::Pipeline",),
        token=("nextToken", "nextToken"),
    ),
    Lister(
        "dynamodb",
        "list_tables",
        _arns("TableNames", service="dynamodb", before="table/"),
        ("AWS::DynamoDB::Table",),
        token=("ExclusiveStartTableName", "LastEvaluatedTableName"),
    ),
    Lister(
        "ec2",
        "describe_instances",
        _instances,
        ("AWS::EC2::Instance",),
        request={"MaxResults": 1000},
    ),
    Lister(
        "ec2",
        "describe_volumes",
        _arns(
            "Volumes",
            "VolumeId",
            created="CreateTime",
            tags="Tags",
            service="ec2",
            before="volume/",
            type_="AWS::EC2::Volume",
        ),
        ("AWS::EC2::Volume",),
        request={"MaxResults": 500},
    ),
    Lister(
        "ecr",
        "describe_repositories",
        _arns("repositories", "repositoryArn", created="createdAt"),
        ("AWS::ECR::Repository",),
        token=("nextToken", "nextToken"),
        request={"maxResults": 1000},
    ),
    Lister(
        "elasticbeanstalk",
        "describe_applications",
        _arns("Applications", "ApplicationArn", created="DateCreated"),
        ("AWS::ElasticBeanstalk::Application",),
    ),
    Lister(
        "elasticbeanstalk",
        "describe_application_versions",
        _arns("ApplicationVersions", "ApplicationVersionArn", created="DateCreated"),
        ("AWS::ElasticBeanstalk::ApplicationVersion",),
        request={"MaxRecords": 1000},
    ),
    Lister(
        "elasticbeanstalk",
        "describe_environments",
        _arns(
            "Environments",
            "EnvironmentArn",
            created="DateCreated",
            type_="AWS::ElasticBeanstalk::Environment",
        ),
        ("AWS::ElasticBeanstalk::Environment",),
        request={"MaxRecords": 1000, "IncludeDeleted": False},
    ),
    Lister(
        "elasticloadbalancing",
        "describe_load_balancers",
        _arns("LoadBalancers", "LoadBalancerArn", created="CreatedTime"),
        ("AWS::ElasticLoadBalancingV2::LoadBalancer",),
        token=("Marker", "NextMarker"),
        request={"PageSize": 400},
        client="elbv2",
    ),
    Lister(
        "elasticloadbalancing",
        "describe_target_groups",
        _arns("TargetGroups", "TargetGroupArn"),
        ("AWS::ElasticLoadBalancingV2::TargetGroup",),
        token=("Marker", "NextMarker"),
        request={"PageSize": 400},
        client="elbv2",
    ),
    RulesOfEachBus(
        "events",
        "list_rules",
        _rules,
        ("AWS::Events::Rule",),
        request={"Limit": 100},
    ),
    Lister(
        "iam",
        "get_account_authorization_details",
        _people,
        ("AWS::IAM::Role", SERVICE_LINKED_ROLE, RESERVED_ROLE, "AWS::IAM::User"),
        token=("Marker", "Marker"),
        request={"Filter": ["Role", "User"], "MaxItems": 1000},
        is_global=True,
    ),
    Lister(
        "kms",
        "list_keys",
        _arns("Keys", "KeyArn"),
        ("AWS::KMS::Key",),
        token=("Marker", "NextMarker"),
        request={"Limit": 1000},
    ),
    Lister(
        "kms",
        "list_aliases",
        _own_keys,
        ("AWS::KMS::Key",),
        token=("Marker", "NextMarker"),
        request={"Limit": 100},
    ),
    Lister(
        "lambda",
        "list_functions",
        _functions,
        ("AWS::Lambda::Function",),
        token=("Marker", "NextMarker"),
        request={"MaxItems": 50},
    ),
    Lister(
        "logs",
        "describe_log_groups",
        _arns("logGroups", "arn", created="creationTime"),
        ("AWS::Logs::LogGroup",),
        token=("nextToken", "nextToken"),
        request={"limit": 50},
    ),
    Lister(
        "rds",
        "describe_db_clusters",
        _arns(
            "DBClusters",
            "DBClusterArn",
            created="ClusterCreateTime",
            tags="TagList",
            type_="AWS::RDS::DBCluster",
        ),
        ("AWS::RDS::DBCluster",),
        token=("Marker", "Marker"),
        request={"MaxRecords": 100},
    ),
    Lister(
        "rds",
        "describe_db_instances",
        _arns(
            "DBInstances",
            "DBInstanceArn",
            created="InstanceCreateTime",
            tags="TagList",
            type_="AWS::RDS::DBInstance",
        ),
        ("AWS::RDS::DBInstance",),
        token=("Marker", "Marker"),
        request={"MaxRecords": 100},
    ),
    Lister(
        "s3",
        "list_buckets",
        _buckets,
        ("AWS::S3::Bucket",),
        token=("ContinuationToken", "ContinuationToken"),
        # A page of so many is the largest there is, and a bucket belongs to its own Region.
        request={"MaxBuckets": 10_000, "BucketRegion": _REGION},
    ),
    Lister(
        "secretsmanager",
        "list_secrets",
        _secrets,
        ("AWS::SecretsManager::Secret",),
        # Those that wait to be deleted too: an index may show them.
        request={"MaxResults": 100, "IncludePlannedDeletion": True},
    ),
    Lister(
        "sns",
        "list_topics",
        _arns("Topics", "TopicArn"),
        ("AWS::SNS::Topic",),
    ),
    Lister(
        "sqs",
        "list_queues",
        _queues,
        ("AWS::SQS::Queue",),
        request={"MaxResults": 1000},
    ),
    Lister(
        "ssm",
        "describe_parameters",
        _arns("Parameters", "ARN"),
        ("AWS::SSM::Parameter",),
        request={"MaxResults": 50},
    ),
    Lister(
        "states",
        "list_state_machines",
        _arns("stateMachines", "stateMachineArn", created="creationDate"),
        ("AWS::StepFunctions::StateMachine",),
        token=("nextToken", "nextToken"),
        request={"maxResults": 1000},
        client="stepfunctions",
    ),
)

SERVICES: tuple[str, ...] = tuple(dict.fromkeys(lister.service for lister in LISTERS))
"""The services whose resources can be listed, by the names that ARNs have for them."""


def of_service(service: str) -> tuple[Lister, ...]:
    """The list calls of a service."""
    return tuple(lister for lister in LISTERS if lister.service == service)
