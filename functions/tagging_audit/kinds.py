"""Types of resources: what an ARN is, what a template's resource id is, and who can tag it.

Which types CloudFormation tags is what its registry says of them ("tagging" in the schemas,
https://docs.aws.amazon.com/cloudformation-cli/latest/userguide/resource-type-schema.html).
"""

from __future__ import annotations

from dataclasses import dataclass

from tagging_audit.resource import TagRoute

GLOBAL = "global"
"""Stands where a Region would, for what belongs to none."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an audit looks: what an id needs to become an ARN."""

    partition: str
    region: str
    account: str

    def arn(self, service: str, resource: str, *, is_global: bool = False) -> str:
        region = "" if is_global else self.region
        return f"arn:{self.partition}:{service}:{region}:{self.account}:{resource}"


SERVICE_LINKED_ROLE = "AWS::IAM::ServiceLinkedRole"
RESERVED_ROLE = "iam:aws-reserved"
"""A role of IAM Identity Center. Its permission set takes tags, it does not
(https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-properties-sso-instance-tag.html).
"""
# Roles that are told from others by the path in their ARNs.
_ROLES = {
    "role/aws-service-role": SERVICE_LINKED_ROLE,
    "role/aws-reserved": RESERVED_ROLE,
}
_TYPES = {
    "acm:certificate": "AWS::CertificateManager::Certificate",
    "autoscaling:autoScalingGroup": "AWS::AutoScaling::AutoScalingGroup",
    "cloudformation:stack": "AWS::CloudFormation::Stack",
    "cloudfront:distribution": "AWS::CloudFront::Distribution",
    "cloudwatch:alarm": "AWS::CloudWatch::Alarm",
    "cloudwatch:dashboard": "AWS::CloudWatch::Dashboard",
    "codebuild:project": "AWS::CodeBuild::Project",
    "codebuild:report-group": "AWS::CodeBuild::ReportGroup",
    "codeconnections:connection": "AWS::CodeConnections::Connection",
    "dynamodb:table": "AWS::DynamoDB::Table",
    "ec2:instance": "AWS::EC2::Instance",
    "ec2:internet-gateway": "AWS::EC2::InternetGateway",
    "ec2:launch-template": "AWS::EC2::LaunchTemplate",
    "ec2:natgateway": "AWS::EC2::NatGateway",
    "ec2:network-interface": "AWS::EC2::NetworkInterface",
    "ec2:route-table": "AWS::EC2::RouteTable",
    "ec2:security-group": "AWS::EC2::SecurityGroup",
    "ec2:subnet": "AWS::EC2::Subnet",
    "ec2:volume": "AWS::EC2::Volume",
    "ec2:vpc": "AWS::EC2::VPC",
    "ecr:repository": "AWS::ECR::Repository",
    "ecs:cluster": "AWS::ECS::Cluster",
    "ecs:service": "AWS::ECS::Service",
    "elasticbeanstalk:application": "AWS::ElasticBeanstalk::Application",
    "elasticbeanstalk:applicationversion": "AWS::ElasticBeanstalk::ApplicationVersion",
    "elasticbeanstalk:configurationtemplate": "AWS::ElasticBeanstalk::ConfigurationTemplate",
    "elasticbeanstalk:environment": "AWS::ElasticBeanstalk::Environment",
    "elasticloadbalancing:listener": "AWS::ElasticLoadBalancingV2::Listener",
    "elasticloadbalancing:loadbalancer": "AWS::ElasticLoadBalancingV2::LoadBalancer",
    "elasticloadbalancing:targetgroup": "AWS::ElasticLoadBalancingV2::TargetGroup",
    "events:event-bus": "AWS::Events::EventBus",
    "events:rule": "AWS::Events::Rule",
    "iam:instance-profile": "AWS::IAM::InstanceProfile",
    "iam:policy": "AWS::IAM::ManagedPolicy",
    "iam:role": "AWS::IAM::Role",
    "iam:user": "AWS::IAM::User",
    "kms:alias": "AWS::KMS::Alias",
    "kms:key": "AWS::KMS::Key",
    "lambda:event-source-mapping": "AWS::Lambda::EventSourceMapping",
    "lambda:function": "AWS::Lambda::Function",
    "lambda:layer": "AWS::Lambda::LayerVersion",
    "logs:log-group": "AWS::Logs::LogGroup",
    "rds:cluster": "AWS::RDS::DBCluster",
    "rds:db": "AWS::RDS::DBInstance",
    "scheduler:schedule-group": "AWS::Scheduler::ScheduleGroup",
    "secretsmanager:secret": "AWS::SecretsManager::Secret",
    "ssm:parameter": "AWS::SSM::Parameter",
    "states:stateMachine": "AWS::StepFunctions::StateMachine",
}
# Services whose ARNs name one kind of resource without a word for it.
_ONLY = {
    "codepipeline": "AWS::CodePipeline::Pipeline",
    "s3": "AWS::S3::Bucket",
    "sqs": "AWS::SQS::Queue",
}

_API_ONLY = {
    "AWS::ElasticBeanstalk::Application": "CloudFormation cannot tag an Elastic Beanstalk "
    "application",
    "AWS::ElasticBeanstalk::ApplicationVersion": "CloudFormation cannot tag an application version",
    "AWS::ElasticBeanstalk::ConfigurationTemplate": "CloudFormation cannot tag a configuration "
    "template",
    "AWS::IAM::InstanceProfile": "CloudFormation cannot tag an instance profile",
    "AWS::IAM::ManagedPolicy": "CloudFormation cannot tag a managed policy",
}
_UNTAGGABLE = {
    "AWS::ApplicationAutoScaling::ScalingPolicy": "a scaling policy takes no tags",
    "AWS::AutoScaling::LifecycleHook": "a lifecycle hook takes no tags",
    "AWS::AutoScaling::ScalingPolicy": "a scaling policy takes no tags",
    "AWS::AutoScaling::ScheduledAction": "a scheduled action takes no tags",
    "AWS::CDK::Metadata": "a template's own metadata is no resource",
    "AWS::CloudFormation::CustomResource": "a custom resource takes no tags",
    "AWS::CloudFormation::WaitCondition": "a wait condition takes no tags",
    "AWS::CloudFormation::WaitConditionHandle": "a wait condition takes no tags",
    "AWS::EC2::Route": "a route takes no tags",
    "AWS::EC2::SubnetRouteTableAssociation": "an association takes no tags",
    "AWS::EC2::VPCGatewayAttachment": "an attachment takes no tags",
    "AWS::Events::EventBusPolicy": "a policy takes no tags",
    "AWS::IAM::Policy": "an inline policy takes no tags",
    "AWS::IAM::RolePolicy": "an inline policy takes no tags",
    SERVICE_LINKED_ROLE: "a service-linked role belongs to its service",
    "AWS::KMS::Alias": "an alias takes no tags",
    "AWS::Lambda::Alias": "a function's alias takes no tags",
    "AWS::Lambda::EventInvokeConfig": "a function's settings for asynchronous calls take no tags",
    "AWS::Lambda::LayerVersion": "a layer takes no tags",
    "AWS::Lambda::Permission": "a permission takes no tags",
    "AWS::Lambda::Url": "a function's address takes no tags",
    "AWS::Lambda::Version": "a function's version takes no tags",
    "AWS::Logs::MetricFilter": "a metric filter takes no tags",
    "AWS::Logs::ResourcePolicy": "a policy takes no tags",
    "AWS::Logs::SubscriptionFilter": "a subscription filter takes no tags",
    "AWS::S3::BucketPolicy": "a policy takes no tags",
    "AWS::SNS::Subscription": "a subscription takes no tags",
    "AWS::SNS::TopicInlinePolicy": "a policy takes no tags",
    "AWS::SNS::TopicPolicy": "a policy takes no tags",
    "AWS::SQS::QueueInlinePolicy": "a policy takes no tags",
    "AWS::SQS::QueuePolicy": "a policy takes no tags",
    "AWS::Scheduler::Schedule": "a schedule takes no tags; its group does",
    RESERVED_ROLE: "IAM Identity Center manages the role",
}


def pattern_of(type_: str, place: Place) -> str:
    """An ARN with a star, for all resources of a type in a place."""
    region = "" if place.region == GLOBAL else place.region
    head = f"arn:{place.partition}"
    for service, name in _ONLY.items():
        if name == type_:
            owner = "::" if service == "s3" else f"{region}:{place.account}:"
            return f"{head}:{service}:{owner}*"
    if type_ == "AWS::SNS::Topic":
        return f"{head}:sns:{region}:{place.account}:*"
    service, kind = _KINDS.get(type_, type_ if ":" in type_ else f"{type_}:").split(":", 1)
    return f"{head}:{service}:{region}:{place.account}:{kind.strip(':')}/*"


def type_of(arn: str) -> str:
    """CloudFormation's name for what an ARN names; `service:kind` where we know none."""
    return described(arn)[0]


def region_of(arn: str) -> str | None:
    """The Region in an ARN, `global` where it has none, None for a bucket, whose ARN never says."""
    return described(arn)[1]


def described(arn: str) -> tuple[str, str | None]:
    """The type and the Region of what an ARN names: see `type_of` and `region_of`."""
    parts = arn.split(":", 5)
    if len(parts) != 6 or parts[0] != "arn" or not parts[2]:
        return "unknown", None
    _, _, service, region, _, resource = parts
    if service in _ONLY:
        return _ONLY[service], None if service == "s3" else region
    region = region or GLOBAL
    if service == "sns":
        return "AWS::SNS::Subscription" if ":" in resource else "AWS::SNS::Topic", region
    kind = resource.replace(":", "/").split("/", 1)[0]
    if service == "iam" and kind == "role":
        for path, name in _ROLES.items():
            if resource.startswith(f"{path}/"):
                return name, region
    name = f"{service}:{kind}"
    return _TYPES.get(name, name), region


def route_of(type_: str) -> TagRoute:
    """Who can tag a type."""
    if type_ in _UNTAGGABLE or type_.startswith("Custom::"):
        return TagRoute.NOBODY
    return TagRoute.API if type_ in _API_ONLY else TagRoute.TEMPLATE


def refusal_of(type_: str) -> str | None:
    """Why a type can carry no tags, or none by its template; None where it can."""
    if type_.startswith("Custom::"):
        return "a custom resource takes no tags"
    return _UNTAGGABLE.get(type_) or _API_ONLY.get(type_)


def tidy(arn: str) -> str:
    """An ARN as every source writes it: CloudWatch Logs ends some of its own with `:*`."""
    return arn.removesuffix(":*")


def arn_of(type_: str, physical_id: str, place: Place) -> str | None:
    """The ARN of a resource from the id that CloudFormation gives it; None where none is known.

    The ids are what `Ref` returns: an ARN for some types, an address for a queue, a name for most.
    """
    if physical_id.startswith("arn:"):
        return tidy(physical_id)
    match type_:
        case "AWS::S3::Bucket":
            return f"arn:{place.partition}:s3:::{physical_id}"
        case "AWS::SQS::Queue":
            return place.arn("sqs", physical_id.rsplit("/", 1)[-1])
        case "AWS::CodePipeline::Pipeline":
            return place.arn("codepipeline", physical_id)
        case "AWS::Events::Rule":
            return place.arn("events", f"rule/{physical_id.replace('|', '/')}")
        case "AWS::CloudWatch::CompositeAlarm":
            return place.arn("cloudwatch", f"alarm:{physical_id}")
        case "AWS::CloudWatch::Dashboard":
            return place.arn("cloudwatch", f"dashboard/{physical_id}", is_global=True)
        case "AWS::IAM::Role" | "AWS::IAM::InstanceProfile" | "AWS::IAM::User":
            kind = _KINDS[type_].split(":")[1]
            return place.arn("iam", f"{kind}/{physical_id}", is_global=True)
        case "AWS::SSM::Parameter":
            return place.arn("ssm", f"parameter/{physical_id.lstrip('/')}")
    if type_ not in _NAMED:
        return None
    service, kind = _KINDS[type_].split(":")
    return place.arn(service, f"{kind}{_NAMED[type_]}{physical_id}")


_KINDS = {name: kind for kind, name in _TYPES.items()} | {
    name: f"iam:{path}" for path, name in _ROLES.items()
}
# Types whose id is the end of their ARN, and what stands before it.
_NAMED = {
    "AWS::CloudWatch::Alarm": ":",
    "AWS::CodeBuild::Project": "/",
    "AWS::CodeBuild::ReportGroup": "/",
    "AWS::DynamoDB::Table": "/",
    "AWS::EC2::Instance": "/",
    "AWS::EC2::InternetGateway": "/",
    "AWS::EC2::LaunchTemplate": "/",
    "AWS::EC2::NatGateway": "/",
    "AWS::EC2::NetworkInterface": "/",
    "AWS::EC2::RouteTable": "/",
    "AWS::EC2::SecurityGroup": "/",
    "AWS::EC2::Subnet": "/",
    "AWS::EC2::Volume": "/",
    "AWS::EC2::VPC": "/",
    "AWS::ECR::Repository": "/",
    "AWS::ECS::Cluster": "/",
    "AWS::ElasticBeanstalk::Application": "/",
    "AWS::KMS::Key": "/",
    "AWS::Lambda::EventSourceMapping": ":",
    "AWS::Lambda::Function": ":",
    "AWS::Logs::LogGroup": ":",
    "AWS::RDS::DBCluster": ":",
    "AWS::RDS::DBInstance": ":",
    "AWS::Scheduler::ScheduleGroup": "/",
}
