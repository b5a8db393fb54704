"""Configuration options: their catalogue, what is wrong with a value, what an environment has.

The catalogue follows
https://docs.aws.amazon.com/elasticbeanstalk/latest/dg/command-options-general.html
(namespaces, names, defaults, values). An option that it does not hold is refused, as on AWS.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache

Key = tuple[str, str]
"""Namespace and option name."""

ASG = "aws:autoscaling:asg"
LAUNCH = "aws:autoscaling:launchconfiguration"
ROLLING = "aws:autoscaling:updatepolicy:rollingupdate"
INSTANCES = "aws:ec2:instances"
VARIABLES = "aws:elasticbeanstalk:application:environment"
APPLICATION = "aws:elasticbeanstalk:application"
LOGS = "aws:elasticbeanstalk:cloudwatch:logs"
COMMAND = "aws:elasticbeanstalk:command"
ENVIRONMENT = "aws:elasticbeanstalk:environment"
PROCESS = "aws:elasticbeanstalk:environment:process:default"
HEALTH = "aws:elasticbeanstalk:healthreporting:system"
MANAGED = "aws:elasticbeanstalk:managedactions"
MANAGED_UPDATE = "aws:elasticbeanstalk:managedactions:platformupdate"
SPLITTING = "aws:elasticbeanstalk:trafficsplitting"


class Change(StrEnum):
    """What changing an option does to the instances; the API's ChangeSeverity."""

    NOTHING = "NoInterruption"
    RESTART = "RestartApplicationServer"
    REPLACE = "RestartEnvironment"


class OptionError(Exception):
    """When an option is unknown, a value not allowed, or options contradict each other."""


@dataclass(frozen=True, slots=True)
class Option:
    """One option of the catalogue; `values` are the only ones allowed when there are any."""

    namespace: str
    name: str
    default: str | None = None
    values: tuple[str, ...] = ()
    low: int | None = None
    high: int | None = None
    change: Change = Change.NOTHING


_BOOLEAN = ("true", "false")
_DAYS = tuple(
    str(days)
    for days in (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1827, 3653)
)
_PROCESS = "aws:elasticbeanstalk:environment:process:*"
_LISTENER2 = "aws:elbv2:listener:*"
_RULE = "aws:elbv2:listenerrule:*"
_LISTENER = "aws:elb:listener*"
_POLICY = "aws:elb:policies*"
_SCHEDULED = "aws:autoscaling:scheduledaction"
_TRIGGER = "aws:autoscaling:trigger"
VPC = "aws:ec2:vpc"
_SNS = "aws:elasticbeanstalk:sns:topics"
_BALANCER2 = "aws:elbv2:loadbalancer"
_BALANCER = "aws:elb:loadbalancer"
_ELB_CHECK = "aws:elb:healthcheck"
_PYTHON = "aws:elasticbeanstalk:container:python"

_FREE_NAMESPACES = (
    VARIABLES,
    "aws:elasticbeanstalk:environment:proxy:staticfiles",
    "aws:cloudformation:template:parameter",
)
"""Namespaces whose option names are the customer's own."""

_REPLACE, _RESTART = Change.REPLACE, Change.RESTART

CATALOGUE = (
    Option(ASG, "Availability Zones", "Any", ("Any", "Any 1", "Any 2", "Any 3")),
    Option(ASG, "Cooldown", "360", (), 0, 10000),
    Option(ASG, "Custom Availability Zones"),
    Option(ASG, "EnableCapacityRebalancing", "false", _BOOLEAN),
    Option(ASG, "MinSize", "1", (), 1, 10000),
    Option(ASG, "MaxSize", "4", (), 1, 10000),
    Option(LAUNCH, "DisableDefaultEC2SecurityGroup", "false", _BOOLEAN, None, None, _REPLACE),
    Option(LAUNCH, "DisableIMDSv1", "false", _BOOLEAN, None, None, _REPLACE),
    Option(LAUNCH, "EC2KeyName", None, (), None, None, _REPLACE),
    Option(LAUNCH, "IamInstanceProfile", None, (), None, None, _REPLACE),
    Option(LAUNCH, "ImageId", None, (), None, None, _REPLACE),
    Option(LAUNCH, "InstanceType", None, (), None, None, _REPLACE),
    Option(LAUNCH, "LaunchTemplateTagPropagationEnabled", "false", _BOOLEAN),
    Option(LAUNCH, "MonitoringInterval", "5 minute", ("1 minute", "5 minute")),
    Option(LAUNCH, "SecurityGroups", "elasticbeanstalk-default", (), None, None, _REPLACE),
    Option(LAUNCH, "SSHSourceRestriction"),
    Option(LAUNCH, "BlockDeviceMappings", None, (), None, None, _REPLACE),
    Option(
        LAUNCH,
        "RootVolumeType",
        None,
        ("standard", "gp2", "gp3", "io1", "io2"),
        None,
        None,
        _REPLACE,
    ),
    Option(LAUNCH, "RootVolumeSize", None, (), 8, 16384, _REPLACE),
    Option(LAUNCH, "RootVolumeIOPS", None, (), 100, 80000, _REPLACE),
    Option(LAUNCH, "RootVolumeThroughput", None, (), 125, 2000, _REPLACE),
    Option(_SCHEDULED, "StartTime"),
    Option(_SCHEDULED, "EndTime"),
    Option(_SCHEDULED, "MaxSize", None, (), 0, 10000),
    Option(_SCHEDULED, "MinSize", None, (), 0, 10000),
    Option(_SCHEDULED, "DesiredCapacity", None, (), 0, 10000),
    Option(_SCHEDULED, "Recurrence"),
    Option(_SCHEDULED, "Suspend", "false", _BOOLEAN),
    Option(_TRIGGER, "BreachDuration", "5", (), 1, 600),
    Option(_TRIGGER, "LowerBreachScaleIncrement", "-1"),
    Option(_TRIGGER, "LowerThreshold", "2000000", (), 0, 20000000),
    Option(
        _TRIGGER,
        "MeasureName",
        "NetworkOut",
        (
            "CPUUtilization",
            "NetworkIn",
            "NetworkOut",
            "DiskWriteOps",
            "DiskReadBytes",
            "DiskReadOps",
            "DiskWriteBytes",
            "Latency",
            "RequestCount",
            "HealthyHostCount",
            "UnhealthyHostCount",
            "TargetResponseTime",
        ),
    ),
    Option(_TRIGGER, "Period", "5", (), 1, 600),
    Option(_TRIGGER, "EvaluationPeriods", "1", (), 1, 600),
    Option(_TRIGGER, "Statistic", "Average", ("Minimum", "Maximum", "Sum", "Average")),
    Option(
        _TRIGGER,
        "Unit",
        "Bytes",
        (
            "Seconds",
            "Percent",
            "Bytes",
            "Bits",
            "Count",
            "Bytes/Second",
            "Bits/Second",
            "Count/Second",
            "None",
        ),
    ),
    Option(_TRIGGER, "UpperBreachScaleIncrement", "1"),
    Option(_TRIGGER, "UpperThreshold", "6000000", (), 0, 20000000),
    Option(ROLLING, "MaxBatchSize", None, (), 1, 10000),
    Option(ROLLING, "MinInstancesInService", None, (), 0, 9999),
    Option(ROLLING, "RollingUpdateEnabled", "false", _BOOLEAN),
    Option(ROLLING, "RollingUpdateType", "Time", ("Time", "Health", "Immutable")),
    Option(ROLLING, "PauseTime"),
    Option(ROLLING, "Timeout", "PT30M"),
    Option(INSTANCES, "EnableSpot", "false", _BOOLEAN, None, None, _REPLACE),
    Option(INSTANCES, "InstanceTypes", None, (), None, None, _REPLACE),
    Option(INSTANCES, "SpotAllocationStrategy"),
    Option(INSTANCES, "SpotFleetOnDemandBase", "0", (), 0, 10000),
    Option(INSTANCES, "SpotFleetOnDemandAboveBasePercentage", None, (), 0, 100),
    Option(INSTANCES, "SpotMaxPrice"),
    Option(INSTANCES, "SupportedArchitectures", None, (), None, None, _REPLACE),
    Option(VPC, "VPCId", None, (), None, None, _REPLACE),
    Option(VPC, "Subnets", None, (), None, None, _REPLACE),
    Option(VPC, "ELBSubnets"),
    Option(VPC, "ELBScheme", "public"),
    Option(VPC, "DBSubnets"),
    Option(VPC, "AssociatePublicIpAddress", None, _BOOLEAN, None, None, _REPLACE),
    Option(APPLICATION, "Application Healthcheck URL"),
    Option(LOGS, "StreamLogs", "false", _BOOLEAN),
    Option(LOGS, "DeleteOnTerminate", "false", _BOOLEAN),
    Option(LOGS, "RetentionInDays", "7", _DAYS),
    Option(f"{LOGS}:health", "HealthStreamingEnabled", "false", _BOOLEAN),
    Option(f"{LOGS}:health", "DeleteOnTerminate", "false", _BOOLEAN),
    Option(f"{LOGS}:health", "RetentionInDays", "7", _DAYS),
    Option(
        COMMAND,
        "DeploymentPolicy",
        "AllAtOnce",
        ("AllAtOnce", "Rolling", "RollingWithAdditionalBatch", "Immutable", "TrafficSplitting"),
    ),
    Option(COMMAND, "Timeout", "600", (), 1, 3600),
    Option(COMMAND, "BatchSizeType", "Percentage", ("Percentage", "Fixed")),
    Option(COMMAND, "BatchSize", "100", (), 1, 10000),
    Option(COMMAND, "IgnoreHealthCheck", "false", _BOOLEAN),
    Option(ENVIRONMENT, "EnvironmentType", "LoadBalanced", ("SingleInstance", "LoadBalanced")),
    Option(ENVIRONMENT, "ServiceRole"),
    Option(ENVIRONMENT, "LoadBalancerType", "classic", ("classic", "application", "network")),
    Option(ENVIRONMENT, "LoadBalancerIsShared", "false", _BOOLEAN),
    Option(ENVIRONMENT, "ExternalExtensionsS3Bucket"),
    Option(ENVIRONMENT, "ExternalExtensionsS3Key"),
    Option(_PROCESS, "DeregistrationDelay", "20", (), 0, 3600),
    Option(_PROCESS, "HealthCheckInterval", "15", (), 5, 300),
    Option(_PROCESS, "HealthCheckPath", "/"),
    Option(_PROCESS, "HealthCheckTimeout", "5", (), 1, 60),
    Option(_PROCESS, "HealthyThresholdCount", "3", (), 2, 10),
    Option(_PROCESS, "MatcherHTTPCode", "200"),
    Option(_PROCESS, "Port", "80", (), 1, 65535),
    Option(_PROCESS, "Protocol", "HTTP", ("TCP", "HTTP", "HTTPS")),
    Option(_PROCESS, "StickinessEnabled", "false", _BOOLEAN),
    Option(_PROCESS, "StickinessLBCookieDuration", "86400", (), 1, 604800),
    Option(_PROCESS, "StickinessType", "lb_cookie", ("lb_cookie",)),
    Option(_PROCESS, "UnhealthyThresholdCount", "5", (), 2, 10),
    Option(f"{ENVIRONMENT}:proxy", "ProxyServer", "nginx", ("nginx", "apache", "none")),
    Option(HEALTH, "SystemType", "basic", ("basic", "enhanced")),
    Option(HEALTH, "EnhancedHealthAuthEnabled", "true", _BOOLEAN),
    Option(HEALTH, "HealthCheckSuccessThreshold", "Ok", ("Ok", "Warning", "Degraded", "Severe")),
    Option(HEALTH, "ConfigDocument"),
    Option("aws:elasticbeanstalk:hostmanager", "LogPublicationControl", "false", _BOOLEAN),
    Option(MANAGED, "ManagedActionsEnabled", "false", _BOOLEAN),
    Option(MANAGED, "PreferredStartTime"),
    Option(MANAGED, "ServiceRoleForManagedUpdates"),
    Option(MANAGED_UPDATE, "UpdateLevel", None, ("patch", "minor")),
    Option(MANAGED_UPDATE, "InstanceRefreshEnabled", "false", _BOOLEAN),
    Option("aws:elasticbeanstalk:monitoring", "Automatically Terminate Unhealthy Instances"),
    Option(_SNS, "Notification Endpoint"),
    Option(_SNS, "Notification Protocol", "email"),
    Option(_SNS, "Notification Topic ARN"),
    Option(_SNS, "Notification Topic Name"),
    Option(SPLITTING, "NewVersionPercent", "10", (), 1, 100),
    Option(SPLITTING, "EvaluationTime", "5", (), 3, 600),
    Option("aws:elasticbeanstalk:xray", "XRayEnabled", "false", _BOOLEAN, None, None, _RESTART),
    Option(_PYTHON, "WSGIPath", "application", (), None, None, _RESTART),
    Option(_PYTHON, "NumProcesses", "1", (), None, None, _RESTART),
    Option(_PYTHON, "NumThreads", "15", (), None, None, _RESTART),
    Option(_LISTENER2, "DefaultProcess", "default"),
    Option(_LISTENER2, "ListenerEnabled", "true", _BOOLEAN),
    Option(_LISTENER2, "Protocol", "HTTP", ("HTTP", "HTTPS", "TCP")),
    Option(_LISTENER2, "Rules"),
    Option(_LISTENER2, "SSLCertificateArns"),
    Option(_LISTENER2, "SSLPolicy"),
    Option(_RULE, "HostHeaders"),
    Option(_RULE, "PathPatterns"),
    Option(_RULE, "Priority", "1", (), 1, 1000),
    Option(_RULE, "Process", "default"),
    Option(_BALANCER2, "AccessLogsS3Bucket"),
    Option(_BALANCER2, "AccessLogsS3Enabled", "false", _BOOLEAN),
    Option(_BALANCER2, "AccessLogsS3Prefix"),
    Option(_BALANCER2, "IdleTimeout", None, (), 1, 3600),
    Option(_BALANCER2, "IpAddressType"),
    Option(_BALANCER2, "ManagedSecurityGroup"),
    Option(_BALANCER2, "SecurityGroups"),
    Option(_BALANCER2, "SharedLoadBalancer"),
    Option(_ELB_CHECK, "HealthyThreshold", "3", (), 2, 10),
    Option(_ELB_CHECK, "Interval", "10", (), 5, 300),
    Option(_ELB_CHECK, "Timeout", "5", (), 2, 60),
    Option(_ELB_CHECK, "UnhealthyThreshold", "5", (), 2, 10),
    Option(_BALANCER, "CrossZone", "false", _BOOLEAN),
    Option(_BALANCER, "ManagedSecurityGroup"),
    Option(_BALANCER, "SecurityGroups"),
    Option(_LISTENER, "InstancePort"),
    Option(_LISTENER, "InstanceProtocol"),
    Option(_LISTENER, "ListenerEnabled", "true", _BOOLEAN),
    Option(_LISTENER, "ListenerProtocol"),
    Option(_LISTENER, "PolicyNames"),
    Option(_LISTENER, "SSLCertificateId"),
    Option(_POLICY, "ConnectionDrainingEnabled", "false", _BOOLEAN),
    Option(_POLICY, "ConnectionDrainingTimeout", "20", (), 1, 3600),
    Option(_POLICY, "ConnectionSettingIdleTimeout", "60", (), 1, 3600),
    Option(_POLICY, "LoadBalancerPorts"),
    Option(_POLICY, "Stickiness Cookie Expiration", "0"),
    Option(_POLICY, "Stickiness Policy", "false", _BOOLEAN),
)


@cache
def find(key: Key) -> Option | None:
    """The catalogue's option for a namespace and name; a free one for a customer's own name.

    None when AWS has none such.
    """
    namespace, name = key
    if namespace in _FREE_NAMESPACES:
        return Option(namespace, name, change=Change.RESTART)
    for option in CATALOGUE:
        if option.name == name and fnmatch.fnmatchcase(namespace, option.namespace):
            return Option(
                namespace,
                name,
                option.default,
                option.values,
                option.low,
                option.high,
                option.change,
            )
    return None


def problems(values: Mapping[Key, str]) -> list[tuple[Key, str]]:
    """What is wrong with each setting by itself, in AWS's words."""
    found: list[tuple[Key, str]] = []
    for key, value in values.items():
        option = find(key)
        where = f"(Namespace: '{key[0]}', OptionName: '{key[1]}')"
        if option is None:
            found.append(
                (key, f"Invalid option specification {where}: Unknown configuration setting.")
            )
        elif trouble := _trouble(option, value):
            found.append((key, f"Invalid option value: '{value}' {where}: {trouble}"))
    return found


def _trouble(option: Option, value: str) -> str | None:
    if option.values and value not in option.values:
        return f"Value is not one of the allowed values: [{', '.join(option.values)}]"
    if option.low is None and option.high is None:
        return None
    if not re.fullmatch(r"-?\d+", value):
        return "Value is not a valid number"
    if option.low is not None and int(value) < option.low:
        return f"Value is less than minimum allowed value: {option.low}"
    if option.high is not None and int(value) > option.high:
        return f"Value exceeds the maximum allowed value: {option.high}"
    return None


@dataclass(frozen=True, slots=True)
class Settings:
    """The option settings of an environment: what was set, and the catalogue's defaults."""

    values: Mapping[Key, str] = field(default_factory=dict)

    def get(self, namespace: str, name: str) -> str:
        """A setting or its default; the empty string where the option has neither."""
        if (namespace, name) in self.values:
            return self.values[namespace, name]
        option = find((namespace, name))
        return (option.default if option else None) or ""

    def changed(self, given: Mapping[Key, str], removed: Iterable[Key] = ()) -> Settings:
        """These settings with some set and some back at their default."""
        gone = set(removed)
        kept = {key: value for key, value in self.values.items() if key not in gone}
        return Settings({**kept, **given})

    def check(self) -> None:
        """Raise OptionError for what is wrong with any value or with their combination."""
        for _, problem in problems(self.values):
            raise OptionError(f"Configuration validation exception: {problem}")
        for contradiction in self._contradictions():
            raise OptionError(f"Configuration validation exception: {contradiction}")

    def _contradictions(self) -> Iterable[str]:
        # AWS documents these rules, not the words it refuses them in.
        policy = self.policy
        if int(self.get(ASG, "MinSize")) > int(self.get(ASG, "MaxSize")):
            yield (
                f"Invalid option value: '{self.get(ASG, 'MinSize')}' (Namespace: '{ASG}', "
                "OptionName: 'MinSize'): MinSize is greater than MaxSize"
            )
        if self.is_single and policy not in ("AllAtOnce", "Immutable"):
            yield f"DeploymentPolicy {policy} needs a load-balanced environment"
        if policy == "TrafficSplitting" and self.balancer != "application":
            yield "DeploymentPolicy TrafficSplitting needs an application load balancer"
        if policy in ("Immutable", "TrafficSplitting") and not self.is_enhanced:
            yield f"DeploymentPolicy {policy} needs enhanced health reporting"
        if self.get(MANAGED, "ManagedActionsEnabled") == "true":
            if not self.is_enhanced:
                yield "ManagedActionsEnabled needs enhanced health reporting"
            if not self.get(MANAGED, "PreferredStartTime"):
                yield "ManagedActionsEnabled needs a PreferredStartTime"
            if not self.get(MANAGED_UPDATE, "UpdateLevel"):
                yield "ManagedActionsEnabled needs an UpdateLevel"

    @property
    def is_single(self) -> bool:
        """One instance and no load balancer."""
        return self.get(ENVIRONMENT, "EnvironmentType") == "SingleInstance"

    @property
    def balancer(self) -> str:
        """`classic`, `application` or `network`; empty for a single instance."""
        return "" if self.is_single else self.get(ENVIRONMENT, "LoadBalancerType")

    @property
    def is_enhanced(self) -> bool:
        """Whether health reporting is enhanced; instances' health is known only then."""
        return self.get(HEALTH, "SystemType") == "enhanced"

    @property
    def policy(self) -> str:
        """The deployment policy of application versions."""
        return self.get(COMMAND, "DeploymentPolicy")

    @property
    def size(self) -> int:
        """How many instances the environment has when nothing scales it."""
        return 1 if self.is_single else int(self.get(ASG, "MinSize"))

    @property
    def largest_size(self) -> int:
        """How many instances it may be scaled to."""
        return 1 if self.is_single else int(self.get(ASG, "MaxSize"))

    def batch(self, fleet: int) -> int:
        """How many of a fleet's instances one batch of a rolling deployment takes, at least one."""
        size = int(self.get(COMMAND, "BatchSize"))
        if self.get(COMMAND, "BatchSizeType") == "Percentage":
            size = fleet * size // 100
        return max(1, min(size, fleet))

    @property
    def command_timeout(self) -> int:
        """Seconds that an instance has to become healthy: the option and the 240 s AWS adds."""
        return int(self.get(COMMAND, "Timeout")) + 240

    @property
    def ignores_health(self) -> bool:
        """Whether a deployment goes on although a batch does not become healthy."""
        return self.get(COMMAND, "IgnoreHealthCheck") == "true"

    @property
    def health_path(self) -> str:
        """The path that is probed.

        The process's own path comes first; the older `Application Healthcheck URL` may carry a
        protocol and a port (`HTTPS:443/health`).
        """
        if path := self.values.get((PROCESS, "HealthCheckPath")):
            return path
        older = self.get(APPLICATION, "Application Healthcheck URL")
        return older[older.index("/") :] if "/" in older else "/"

    def is_healthy_status(self, status: int) -> bool:
        """Whether an HTTP status passes the health check (`200`, `200,302`, `200-299`)."""
        for part in self.get(PROCESS, "MatcherHTTPCode").split(","):
            low, _, high = part.strip().partition("-")
            if low.isdigit() and int(low) <= status <= int(high or low):
                return True
        return False

    @property
    def variables(self) -> dict[str, str]:
        """The environment properties, which become the application's variables."""
        return {name: value for (space, name), value in self.values.items() if space == VARIABLES}

    @property
    def service_role(self) -> str:
        """The service role's name, path and name, or ARN; empty when AWS takes its own."""
        return self.get(ENVIRONMENT, "ServiceRole")

    @property
    def instance_profile(self) -> str:
        """The instance profile's name, taken out of an ARN; empty when none was given."""
        return self.get(LAUNCH, "IamInstanceProfile").rsplit("/", 1)[-1]

    @property
    def instance_type(self) -> str:
        """The first of the wanted instance types."""
        wanted = self.get(INSTANCES, "InstanceTypes") or self.get(LAUNCH, "InstanceType")
        return wanted.split(",")[0].strip() or "t3.micro"


def effect(old: Settings, new: Settings) -> Change:
    """The strongest thing that a change of settings does to the instances."""
    strongest = Change.NOTHING
    for key in {*old.values, *new.values}:
        if old.values.get(key) == new.values.get(key):
            continue
        option = find(key)
        change = option.change if option else Change.NOTHING
        if change is Change.REPLACE:
            return change
        if change is Change.RESTART:
            strongest = change
    return strongest
