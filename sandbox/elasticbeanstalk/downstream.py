"""What Elastic Beanstalk does at other services with the rights of its caller.

CreateEnvironment, UpdateEnvironment and TerminateEnvironment act on Auto Scaling, EC2, Elastic
Load Balancing, S3, CloudFormation and others in the caller's name ("Elastic Beanstalk uses user
permissions to launch all of the resources in an environment",
https://docs.aws.amazon.com/elasticbeanstalk/latest/dg/concepts-roles-user.html). AWS publishes no
list of the actions. The table below is what people met as a denial, and what AWS grants its own
deployment role; each row names its source. A row's action is judged when the step comes.

Only an account can prove the table complete; it errs on the side of the sources.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from sandbox.elasticbeanstalk.names import Names


class Step(StrEnum):
    """The steps of operations that need rights."""

    STORE = "store the version"
    PREPARE = "prepare an update"
    DETACH = "take instances out of service"
    ATTACH = "put instances in service"
    LAUNCH = "launch instances"
    TRIM = "terminate instances"
    TEMPORARY = "create a temporary group"
    TRANSFER = "transfer the temporary group's instances"
    SPLIT = "split the traffic"
    CONFIGURE = "change the configuration"
    CREATE = "create the environment's resources"
    STREAM = "stream logs"
    DELETE = "delete the environment's resources"


# The sources.
AZURE = "https://github.com/aws/aws-toolkit-azure-devops/issues/124"
CODESHIP_258 = "https://github.com/codeship/documentation/issues/258"
CODESHIP_338 = "https://github.com/codeship/documentation/issues/338"
CODESHIP_230 = "https://github.com/codeship/documentation/pull/230"
JENKINS = "https://github.com/jenkinsci/aws-beanstalk-publisher-plugin/issues/47"
GRAILS_ACL = "https://github.com/apache/grails-core/pull/16260"
GRAILS_ASG = "https://github.com/apache/grails-core/pull/16261"
ROLE_CORE = (
    "https://docs.aws.amazon.com/aws-managed-policy/latest/reference/"
    "AWSElasticBeanstalkRoleCore.html"
)
ROLE_CWL = (
    "https://docs.aws.amazon.com/aws-managed-policy/latest/reference/"
    "AWSElasticBeanstalkRoleCWL.html"
)
CREATE_TAGS = "https://github.com/aws/elastic-beanstalk-roadmap/issues/343"
USER_POLICY = "https://docs.aws.amazon.com/elasticbeanstalk/latest/dg/concepts-roles-user.html"


@dataclass(frozen=True, slots=True)
class Situation:
    """What an environment is, as far as it decides which rights are needed.

    `balancer` is `classic`, `application`, `network` or empty; the roles are ARNs, empty for none.
    """

    names: Names
    balancer: str = ""
    instance_role: str = ""
    service_role: str = ""


Resource = Callable[[Situation], str]


@dataclass(frozen=True, slots=True)
class Right:
    """One action at another service; `only` are the load balancers with which it is needed."""

    step: Step
    action: str
    resource: Resource
    source: str
    only: tuple[str, ...] = ("", "classic", "application", "network")
    context: Callable[[Situation], Mapping[str, str]] = lambda _: {}


def _anything(_: Situation) -> str:
    return "*"


def _bucket(here: Situation) -> str:
    return f"arn:{here.names.scope.partition}:s3:::{here.names.bucket}"


def _objects(here: Situation) -> str:
    return f"{_bucket(here)}/resources/environments/{here.names.environment_id}/*"


def _patches(here: Situation) -> str:
    """In a bucket of AWS's own: reported with this key by who narrowed a role to the account's."""
    scope = here.names.scope
    bucket = f"elasticbeanstalk-env-resources-{scope.region}"
    return (
        f"arn:{scope.partition}:s3:::{bucket}/eb_patching_resources/instance_patch_extension.linux"
    )


def _stack(here: Situation) -> str:
    return here.names.stack_arn


def _temporary_stack(here: Situation) -> str:
    return here.names.temporary_stack_arn


def _group(here: Situation) -> str:
    return here.names.group_arn


def _temporary_group(here: Situation) -> str:
    return here.names.temporary_group_arn


def _instances(here: Situation) -> str:
    return here.names.instances_arn


def _launch_template(here: Situation) -> str:
    return here.names.launch_template_arn


def _targets(here: Situation) -> str:
    return here.names.target_group_arn


def _balancer(here: Situation) -> str:
    return here.names.balancer_arn


def _classic_balancer(here: Situation) -> str:
    return here.names.classic_balancer_arn


def _listener(here: Situation) -> str:
    return here.names.listener_arn


def _alarms(here: Situation) -> str:
    return here.names.alarms_arn


def _security_groups(here: Situation) -> str:
    return here.names.scope.arn("ec2", "security-group/*")


def _log_groups(here: Situation) -> str:
    return here.names.scope.arn("logs", "log-group:/aws/elasticbeanstalk/*")


def _instance_role(here: Situation) -> str:
    return here.instance_role


def _service_role(here: Situation) -> str:
    return here.service_role


def _from_template(here: Situation) -> Mapping[str, str]:
    return {"ec2:LaunchTemplate": here.names.launch_template_arn}


def _of_the_stack(here: Situation) -> Mapping[str, str]:
    return {"ec2:ResourceTag/aws:cloudformation:stack-id": here.names.stack_arn}


def _with_its_template(_: Situation) -> Mapping[str, str]:
    """What EC2 says when it tags a resource that the same call creates.

    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/supported-iam-actions-tagging.html
    """
    return {"ec2:CreateAction": "CreateLaunchTemplate"}


def _to_ec2(_: Situation) -> Mapping[str, str]:
    return {"iam:PassedToService": "ec2.amazonaws.com"}


def _to_beanstalk(_: Situation) -> Mapping[str, str]:
    return {"iam:PassedToService": "elasticbeanstalk.amazonaws.com"}


_V2 = ("application", "network")
_CLASSIC = ("classic",)

TABLE = (
    Right(Step.STORE, "s3:CreateBucket", _bucket, CODESHIP_338),
    Right(Step.STORE, "s3:PutObject", _objects, USER_POLICY),
    Right(Step.STORE, "s3:PutObjectAcl", _objects, GRAILS_ACL),
    Right(Step.STORE, "s3:GetObject", _objects, ROLE_CORE),
    Right(Step.STORE, "s3:DeleteObject", _objects, GRAILS_ACL),
    Right(Step.PREPARE, "s3:GetObject", _patches, ROLE_CORE),
    Right(Step.PREPARE, "cloudformation:DescribeStackResource", _stack, AZURE),
    Right(Step.PREPARE, "cloudformation:DescribeStackResources", _stack, AZURE),
    Right(Step.PREPARE, "cloudformation:DescribeStackEvents", _stack, CODESHIP_258),
    Right(Step.PREPARE, "cloudformation:DescribeStacks", _stack, CODESHIP_258),
    Right(Step.PREPARE, "cloudformation:GetTemplate", _stack, JENKINS),
    Right(Step.PREPARE, "autoscaling:DescribeAutoScalingGroups", _anything, GRAILS_ASG),
    Right(Step.PREPARE, "autoscaling:DescribeScalingActivities", _anything, AZURE),
    Right(Step.PREPARE, "autoscaling:SuspendProcesses", _group, AZURE),
    Right(Step.PREPARE, "autoscaling:ResumeProcesses", _group, AZURE),
    Right(Step.PREPARE, "ec2:DescribeInstances", _anything, GRAILS_ASG),
    Right(Step.PREPARE, "elasticloadbalancing:DescribeTargetGroups", _anything, JENKINS, _V2),
    Right(Step.PREPARE, "elasticloadbalancing:DescribeTargetHealth", _anything, ROLE_CORE, _V2),
    Right(
        Step.PREPARE,
        "elasticloadbalancing:DescribeInstanceHealth",
        _anything,
        CODESHIP_230,
        _CLASSIC,
    ),
    Right(Step.DETACH, "elasticloadbalancing:DeregisterTargets", _targets, JENKINS, _V2),
    Right(
        Step.DETACH,
        "elasticloadbalancing:DeregisterInstancesFromLoadBalancer",
        _classic_balancer,
        CODESHIP_230,
        _CLASSIC,
    ),
    Right(Step.ATTACH, "elasticloadbalancing:RegisterTargets", _targets, JENKINS, _V2),
    Right(
        Step.ATTACH,
        "elasticloadbalancing:RegisterInstancesWithLoadBalancer",
        _classic_balancer,
        CODESHIP_338,
        _CLASSIC,
    ),
    Right(Step.LAUNCH, "autoscaling:UpdateAutoScalingGroup", _group, ROLE_CORE),
    Right(Step.LAUNCH, "ec2:RunInstances", _instances, ROLE_CORE, context=_from_template),
    Right(Step.LAUNCH, "iam:PassRole", _instance_role, ROLE_CORE, context=_to_ec2),
    Right(Step.TRIM, "autoscaling:TerminateInstanceInAutoScalingGroup", _group, ROLE_CORE),
    Right(Step.TRIM, "ec2:TerminateInstances", _instances, ROLE_CORE, context=_of_the_stack),
    Right(Step.TEMPORARY, "cloudformation:CreateStack", _temporary_stack, ROLE_CORE),
    Right(Step.TEMPORARY, "ec2:CreateLaunchTemplate", _launch_template, ROLE_CORE),
    Right(
        Step.TEMPORARY,
        "ec2:CreateTags",
        _launch_template,
        CREATE_TAGS,
        context=_with_its_template,
    ),
    Right(Step.TEMPORARY, "autoscaling:CreateAutoScalingGroup", _temporary_group, ROLE_CORE),
    Right(Step.TEMPORARY, "ec2:RunInstances", _instances, ROLE_CORE, context=_from_template),
    Right(Step.TEMPORARY, "iam:PassRole", _instance_role, ROLE_CORE, context=_to_ec2),
    Right(Step.TRANSFER, "autoscaling:DetachInstances", _temporary_group, ROLE_CORE),
    Right(Step.TRANSFER, "autoscaling:AttachInstances", _group, ROLE_CORE),
    Right(Step.TRANSFER, "autoscaling:DeleteAutoScalingGroup", _temporary_group, ROLE_CORE),
    Right(Step.TRANSFER, "cloudformation:DeleteStack", _temporary_stack, ROLE_CORE),
    Right(Step.TRANSFER, "ec2:TerminateInstances", _instances, ROLE_CORE, context=_of_the_stack),
    Right(Step.SPLIT, "elasticloadbalancing:CreateTargetGroup", _targets, ROLE_CORE),
    Right(Step.SPLIT, "elasticloadbalancing:ModifyListener", _listener, ROLE_CORE),
    Right(Step.SPLIT, "elasticloadbalancing:DeleteTargetGroup", _targets, ROLE_CORE),
    Right(Step.CONFIGURE, "cloudformation:UpdateStack", _stack, ROLE_CORE),
    Right(Step.CONFIGURE, "autoscaling:UpdateAutoScalingGroup", _group, ROLE_CORE),
    Right(Step.CONFIGURE, "autoscaling:PutScalingPolicy", _group, ROLE_CORE),
    Right(Step.CONFIGURE, "cloudwatch:PutMetricAlarm", _alarms, ROLE_CORE),
    Right(Step.CONFIGURE, "ec2:CreateLaunchTemplateVersion", _launch_template, ROLE_CORE),
    Right(Step.CONFIGURE, "elasticloadbalancing:ModifyTargetGroup", _targets, ROLE_CORE, _V2),
    Right(Step.CREATE, "iam:PassRole", _service_role, ROLE_CORE, context=_to_beanstalk),
    Right(Step.CREATE, "iam:PassRole", _instance_role, ROLE_CORE, context=_to_ec2),
    Right(Step.CREATE, "cloudformation:CreateStack", _stack, ROLE_CORE),
    Right(Step.CREATE, "ec2:CreateSecurityGroup", _security_groups, ROLE_CORE),
    Right(
        Step.CREATE,
        "ec2:AuthorizeSecurityGroupIngress",
        _security_groups,
        ROLE_CORE,
        context=_of_the_stack,
    ),
    Right(Step.CREATE, "ec2:CreateLaunchTemplate", _launch_template, ROLE_CORE),
    Right(
        Step.CREATE,
        "ec2:CreateTags",
        _launch_template,
        CREATE_TAGS,
        context=_with_its_template,
    ),
    Right(Step.CREATE, "autoscaling:CreateAutoScalingGroup", _group, ROLE_CORE),
    Right(Step.CREATE, "ec2:RunInstances", _instances, ROLE_CORE, context=_from_template),
    Right(Step.CREATE, "autoscaling:PutScalingPolicy", _group, ROLE_CORE),
    Right(Step.CREATE, "cloudwatch:PutMetricAlarm", _alarms, ROLE_CORE),
    Right(Step.CREATE, "elasticloadbalancing:CreateLoadBalancer", _balancer, ROLE_CORE, _V2),
    Right(Step.CREATE, "elasticloadbalancing:CreateTargetGroup", _targets, ROLE_CORE, _V2),
    Right(Step.CREATE, "elasticloadbalancing:CreateListener", _balancer, ROLE_CORE, _V2),
    Right(
        Step.CREATE,
        "elasticloadbalancing:CreateLoadBalancer",
        _classic_balancer,
        ROLE_CORE,
        _CLASSIC,
    ),
    Right(Step.STREAM, "logs:CreateLogGroup", _log_groups, ROLE_CWL),
    Right(Step.STREAM, "logs:PutRetentionPolicy", _log_groups, ROLE_CWL),
    Right(Step.DELETE, "cloudformation:DescribeStackResources", _stack, AZURE),
    Right(Step.DELETE, "cloudformation:DeleteStack", _stack, ROLE_CORE),
    Right(Step.DELETE, "autoscaling:DeleteAutoScalingGroup", _group, ROLE_CORE),
    Right(Step.DELETE, "ec2:TerminateInstances", _instances, ROLE_CORE, context=_of_the_stack),
    Right(Step.DELETE, "ec2:DeleteLaunchTemplate", _launch_template, ROLE_CORE),
    Right(Step.DELETE, "cloudwatch:DeleteAlarms", _alarms, ROLE_CORE),
    Right(Step.DELETE, "elasticloadbalancing:DeleteLoadBalancer", _balancer, ROLE_CORE, _V2),
    Right(Step.DELETE, "elasticloadbalancing:DeleteTargetGroup", _targets, ROLE_CORE, _V2),
    Right(
        Step.DELETE,
        "elasticloadbalancing:DeleteLoadBalancer",
        _classic_balancer,
        ROLE_CORE,
        _CLASSIC,
    ),
)


@dataclass(frozen=True, slots=True)
class Needed:
    """One action to be judged: on which resource, with which condition keys."""

    action: str
    resource: str
    context: Mapping[str, str]


def needed(step: Step, here: Situation) -> tuple[Needed, ...]:
    """The actions of a step in one environment, in the order in which they are taken."""
    rows = (right for right in TABLE if right.step is step and here.balancer in right.only)
    found = (Needed(row.action, row.resource(here), row.context(here)) for row in rows)
    return tuple(one for one in found if one.resource)


_SERVICES = {
    "autoscaling": "AmazonAutoScaling",
    "cloudformation": "AmazonCloudFormation",
    "cloudwatch": "AmazonCloudWatch",
    "ec2": "AmazonEC2",
    "elasticloadbalancing": "AmazonElasticLoadBalancing",
    "iam": "AmazonIdentityManagement",
    "logs": "AWSLogs",
    "s3": "AmazonS3",
}


def denial(action: str, reason: str) -> str:
    """The event that tells of a missing right.

    `Service:AmazonElasticLoadBalancing, Message:User: … is not authorized to perform: …`, as in
    https://github.com/codeship/documentation/issues/338.
    """
    service = action.partition(":")[0]
    return f"Service:{_SERVICES.get(service, service)}, Message:User: {reason}"


def refusal(action: str) -> str:
    """What InsufficientPrivilegesException says at once of a missing right on S3.

    https://github.com/codeship/documentation/issues/338,
    https://github.com/jenkinsci/aws-beanstalk-publisher-plugin/issues/27
    """
    return (
        f"You do not have permission to perform the '{action}' action. Verify that your S3 "
        "policies and your ACLs allow you to perform these actions."
    )
