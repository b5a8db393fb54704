"""Three environments that differ only where the table says."""

from __future__ import annotations

import json
import re

from operations.template import Node
from tests.template.faults import option, properties, turns_red_when
from tests.template.rendered import CERTIFICATE, FORMS, IN_A_VPC, Template

NAMES = ("Dev", "Test", "Prod")
Settings = dict[tuple[str, str], str]


def settings(template: Template, environment: str, **parameters: str) -> Settings:
    """The option settings of an environment by namespace and name."""
    options = template.resolved(**parameters).properties(f"{environment}Environment")[
        "OptionSettings"
    ]
    found = {(option["Namespace"], option["OptionName"]): option["Value"] for option in options}
    assert len(found) == len(options), f"{environment} sets an option twice"
    return found


def table(source: Node) -> Node:
    found: Node = source["Mappings"]["Environment"]
    return found


def _as_if_it_were_any(environment: Node, name: str) -> str:
    """An environment's text with its own name taken out, and Dev's choice of a single instance.

    Dev alone may be a single instance, so what needs a load balancer stands in an `Fn::If` there.
    """
    text = json.dumps(environment, sort_keys=True)
    for condition, plain in (
        ("IsDevHttps", "HasCertificate"),
        ("IsDevLoadBalancedInVpc", "HasVpc"),
    ):
        text = text.replace(condition, plain)
    loaded = json.loads(text, object_hook=_with_a_load_balancer)
    return json.dumps(loaded, sort_keys=True).replace(name, "Any")


def _with_a_load_balancer(node: Node) -> object:
    if list(node) == ["Fn::If"] and node["Fn::If"][0] == "IsDevLoadBalanced":
        return node["Fn::If"][1]
    return node


@turns_red_when(
    "Prod has an option of its own",
    lambda source: properties(source, "ProdEnvironment")["OptionSettings"].append(
        {"Namespace": "aws:autoscaling:asg", "OptionName": "Cooldown", "Value": "60"}
    ),
)
@turns_red_when(
    "Test writes a value that the table should hold",
    lambda source: option(source, "TestEnvironment", "MinSize").update(Value="3"),
)
@turns_red_when(
    "Dev waits for other things",
    lambda source: source["Resources"]["DevEnvironment"].pop("DependsOn"),
)
def test_the_environments_differ_only_in_the_table(template: Template) -> None:
    dev, test, prod = (
        _as_if_it_were_any(template.source["Resources"][f"{name}Environment"], name)
        for name in NAMES
    )
    assert dev == test == prod


@turns_red_when(
    "a column that nothing uses",
    lambda source: [row.update(Extra="1") for row in table(source).values()],
)
@turns_red_when("a row without a value", lambda source: table(source)["Prod"].pop("MaxSize"))
def test_the_table_is_whole_and_used(template: Template) -> None:
    columns = [set(row) for row in table(template.source).values()]
    assert set(table(template.source)) == set(NAMES)
    assert columns[0] == columns[1] == columns[2]
    text = json.dumps(template.source["Resources"])
    for column in columns[0]:
        for name in NAMES:
            assert f'["Environment", "{name}", "{column}"]' in text, (name, column)


@turns_red_when(
    "basic health",
    lambda source: option(source, "TestEnvironment", "SystemType").update(Value="basic"),
)
@turns_red_when(
    "health is not kept",
    lambda source: option(source, "ProdEnvironment", "HealthStreamingEnabled").update(
        Value="false"
    ),
)
@turns_red_when(
    "failed health checks are overlooked",
    lambda source: option(source, "ProdEnvironment", "IgnoreHealthCheck").update(Value="true"),
)
def test_health_is_enhanced_streamed_and_obeyed(template: Template) -> None:
    reporting = "aws:elasticbeanstalk:healthreporting:system"
    for name in NAMES:
        found = settings(template, name)
        assert found[reporting, "SystemType"] == "enhanced"
        assert found[reporting, "EnhancedHealthAuthEnabled"] == "true"
        assert (
            found["aws:elasticbeanstalk:cloudwatch:logs:health", "HealthStreamingEnabled"] == "true"
        )
        assert found["aws:elasticbeanstalk:cloudwatch:logs", "StreamLogs"] == "true"
        assert found["aws:elasticbeanstalk:command", "IgnoreHealthCheck"] == "false"
        assert (
            found["aws:elasticbeanstalk:environment", "ServiceRole"] == "<BeanstalkServiceRole.Arn>"
        )


@turns_red_when(
    "the old metadata service",
    lambda source: option(source, "DevEnvironment", "DisableIMDSv1").update(Value="false"),
)
@turns_red_when(
    "an old disk",
    lambda source: option(source, "ProdEnvironment", "RootVolumeType").update(Value="gp2"),
)
@turns_red_when(
    "volumes without tags",
    lambda source: option(source, "TestEnvironment", "LaunchTemplateTagPropagationEnabled").update(
        Value="false"
    ),
)
def test_instances_are_hardened_and_tagged(template: Template) -> None:
    launch = "aws:autoscaling:launchconfiguration"
    for name in NAMES:
        found = settings(template, name)
        assert found[launch, "DisableIMDSv1"] == "true"
        assert found[launch, "RootVolumeType"] == "gp3"
        assert found[launch, "LaunchTemplateTagPropagationEnabled"] == "true"
        assert found[launch, "IamInstanceProfile"] == "<InstanceProfile>"
        assert (launch, "EC2KeyName") not in found


@turns_red_when(
    "Prod is replaced in place",
    lambda source: table(source)["Prod"].update(DeploymentPolicy="AllAtOnce"),
)
@turns_red_when(
    "Test goes down while it is updated",
    lambda source: table(source)["Test"].update(DeploymentPolicy="AllAtOnce"),
)
def test_releases_are_the_safer_the_later_the_environment(template: Template) -> None:
    policies = [
        settings(template, name)["aws:elasticbeanstalk:command", "DeploymentPolicy"]
        for name in NAMES
    ]
    assert policies == ["AllAtOnce", "RollingWithAdditionalBatch", "Immutable"]


@turns_red_when("Prod of one instance", lambda source: table(source)["Prod"].update(MinSize="1"))
@turns_red_when(
    "smaller at most than at least", lambda source: table(source)["Test"].update(MaxSize="0")
)
@turns_red_when(
    "the same machines everywhere",
    lambda source: table(source)["Prod"].update(InstanceTypes="t3.micro"),
)
def test_sizes_and_machines_grow_towards_production(template: Template) -> None:
    sizes = []
    for name in NAMES:
        found = settings(template, name)
        least = int(found["aws:autoscaling:asg", "MinSize"])
        most = int(found["aws:autoscaling:asg", "MaxSize"])
        assert 1 <= least <= most
        sizes.append((least, most))
    assert sizes == sorted(sizes)
    assert sizes[-1][0] >= 2
    machines = {settings(template, name)["aws:ec2:instances", "InstanceTypes"] for name in NAMES}
    assert len(machines) == len(NAMES)


@turns_red_when("it never shrinks", lambda source: table(source)["Prod"].update(ScalingLower="60"))
@turns_red_when(
    "nothing makes it grow",
    lambda source: option(source, "ProdEnvironment", "MeasureName").update(OptionName="Statistic"),
)
def test_each_environment_scales_by_one_measure(template: Template) -> None:
    trigger = "aws:autoscaling:trigger"
    for name in NAMES:
        found = settings(template, name)
        assert found[trigger, "MeasureName"] == "CPUUtilization"
        assert found[trigger, "Unit"] == "Percent"
        assert int(found[trigger, "LowerThreshold"]) + 20 <= int(found[trigger, "UpperThreshold"])


@turns_red_when(
    "a classic load balancer",
    lambda source: option(source, "ProdEnvironment", "LoadBalancerType").update(Value="classic"),
)
@turns_red_when(
    "any answer is healthy",
    lambda source: option(source, "ProdEnvironment", "MatcherHTTPCode").update(Value="200-499"),
)
def test_an_application_load_balancer_asks_the_health_path(template: Template) -> None:
    process = "aws:elasticbeanstalk:environment:process:default"
    for name in NAMES:
        found = settings(template, name, HealthCheckPath="/healthy")
        assert found["aws:elasticbeanstalk:environment", "EnvironmentType"] == "LoadBalanced"
        assert found["aws:elasticbeanstalk:environment", "LoadBalancerType"] == "application"
        assert found[process, "HealthCheckPath"] == "/healthy"
        assert found[process, "MatcherHTTPCode"] == "200"


@turns_red_when(
    "a trigger without a load balancer",
    lambda source: properties(source, "DevEnvironment")["OptionSettings"].append(
        {"Namespace": "aws:autoscaling:trigger", "OptionName": "Period", "Value": "5"}
    ),
)
@turns_red_when(
    "more than one instance",
    lambda source: option(source, "DevEnvironment", "MaxSize").update(Value="2"),
)
def test_a_single_instance_dev_has_nothing_of_a_load_balancer(template: Template) -> None:
    for form in ({}, {"CertificateArn": CERTIFICATE}, IN_A_VPC):
        found = settings(template, "Dev", **{**form, "DevEnvironmentType": "SingleInstance"})
        assert found["aws:elasticbeanstalk:environment", "EnvironmentType"] == "SingleInstance"
        assert found["aws:autoscaling:asg", "MaxSize"] == "1"
        for namespace, name in found:
            assert not namespace.startswith(("aws:elbv2", "aws:autoscaling:trigger"))
            assert namespace != "aws:elasticbeanstalk:environment:process:default"
            assert not name.startswith(("LoadBalancer", "ELB"))


@turns_red_when(
    "an old cipher",
    lambda source: source["Mappings"]["Trellis"]["Tls"].update(Policy="ELBSecurityPolicy-2016-08"),
)
@turns_red_when(
    "the application is not told",
    lambda source: option(source, "ProdEnvironment", "TRANSPORT").update(Value="http"),
)
@turns_red_when(
    "port 80 stays open",
    lambda source: properties(source, "TestEnvironment")["OptionSettings"].pop(
        next(
            index
            for index, setting in enumerate(properties(source, "TestEnvironment")["OptionSettings"])
            if "aws:elbv2:listener:default" in json.dumps(setting)
        )
    ),
)
def test_a_certificate_brings_https(template: Template) -> None:
    secure, plain = "aws:elbv2:listener:443", "aws:elbv2:listener:default"
    told = ("aws:elasticbeanstalk:application:environment", "TRANSPORT")
    for name in NAMES:
        found = settings(template, name, CertificateArn=CERTIFICATE)
        assert found[secure, "ListenerEnabled"] == "true"
        assert found[secure, "Protocol"] == "HTTPS"
        assert found[secure, "SSLCertificateArns"] == CERTIFICATE
        assert re.match(r"ELBSecurityPolicy-TLS13-1-2-", found[secure, "SSLPolicy"])
        assert found[plain, "ListenerEnabled"] == "true"
        assert found[told] == "https"
        closed = settings(template, name, CertificateArn=CERTIFICATE, PlainHttp="closed")
        assert closed[plain, "ListenerEnabled"] == "false"
        without = settings(template, name)
        assert without[told] == "http"
        assert not [namespace for namespace, _ in without if namespace.startswith("aws:elbv2")]


@turns_red_when(
    "subnets are forgotten",
    lambda source: option(source, "ProdEnvironment", "Subnets").update(OptionName="Subnet"),
)
@turns_red_when(
    "public addresses anyway",
    lambda source: option(source, "DevEnvironment", "AssociatePublicIpAddress").update(
        Value="true"
    ),
)
def test_a_vpc_takes_the_environments_in(template: Template) -> None:
    for name in NAMES:
        found = settings(template, name, **IN_A_VPC)
        assert {key: value for (space, key), value in found.items() if space == "aws:ec2:vpc"} == {
            "VPCId": IN_A_VPC["VpcId"],
            "Subnets": IN_A_VPC["InstanceSubnetIds"],
            "ELBSubnets": IN_A_VPC["LoadBalancerSubnetIds"],
            "ELBScheme": "public",
            "AssociatePublicIpAddress": "false",
        }
        assert "aws:ec2:vpc" not in {space for space, _ in settings(template, name)}


@turns_red_when(
    "all on one day", lambda source: table(source)["Prod"].update(ManagedUpdateTime="Tue:09:00")
)
@turns_red_when(
    "platforms grow old",
    lambda source: option(source, "ProdEnvironment", "ManagedActionsEnabled").update(Value="false"),
)
def test_platforms_are_updated_production_last(template: Template) -> None:
    actions = "aws:elasticbeanstalk:managedactions"
    days = []
    for name in NAMES:
        found = settings(template, name)
        assert found[actions, "ManagedActionsEnabled"] == "true"
        assert found[f"{actions}:platformupdate", "UpdateLevel"] in {"patch", "minor"}
        assert (
            found[actions, "ServiceRoleForManagedUpdates"]
            == "AWSServiceRoleForElasticBeanstalkManagedUpdates"
        )
        days.append(found[actions, "PreferredStartTime"].split(":")[0])
    week = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
    assert [week.index(day) for day in days] == sorted({week.index(day) for day in days})


@turns_red_when(
    "a platform that cannot be upgraded in place",
    lambda source: properties(source, "DevEnvironment").update(
        SolutionStackName="64bit Amazon Linux 2023 v4.5.2 running Python 3.13"
    ),
)
@turns_red_when(
    "every stack update deploys an old version",
    lambda source: properties(source, "ProdEnvironment").update(VersionLabel="v1"),
)
def test_the_template_sets_the_platform_and_never_the_version(template: Template) -> None:
    for name in NAMES:
        environment = template.resolved().properties(f"{name}Environment")
        assert (
            "platform/Python 3.13 running on 64bit Amazon Linux 2023/" in environment["PlatformArn"]
        )
        assert not {"SolutionStackName", "VersionLabel", "TemplateName", "CNAMEPrefix"} & set(
            environment
        )


@turns_red_when(
    "versions go before the horizon",
    lambda source: properties(source, "BeanstalkApplication")["ResourceLifecycleConfig"][
        "VersionLifecycleConfig"
    ]["MaxAgeRule"].update(MaxAgeInDays=1),
)
@turns_red_when(
    "versions pile up",
    lambda source: properties(source, "BeanstalkApplication").pop("ResourceLifecycleConfig"),
)
def test_application_versions_live_for_the_rollback_horizon(template: Template) -> None:
    for days in (30, 365):
        application = template.resolved(RollbackHorizonDays=str(days)).properties(
            "BeanstalkApplication"
        )
        lifecycle = application["ResourceLifecycleConfig"]
        assert lifecycle["ServiceRole"] == "<BeanstalkServiceRole.Arn>"
        assert lifecycle["VersionLifecycleConfig"]["MaxAgeRule"] == {
            "Enabled": True,
            "MaxAgeInDays": str(days),
            "DeleteSourceFromS3": True,
        }


@turns_red_when(
    "a retention that CloudWatch does not know",
    lambda source: table(source)["Dev"].update(LogRetentionDays="10"),
)
def test_the_logs_of_environments_end_some_day(template: Template) -> None:
    """The values that Elastic Beanstalk takes, in days.

    https://docs.aws.amazon.com/elasticbeanstalk/latest/dg/command-options-general.html
    """
    known = {1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1827, 3653}
    kept = []
    for name in NAMES:
        for namespace in (
            "aws:elasticbeanstalk:cloudwatch:logs",
            "aws:elasticbeanstalk:cloudwatch:logs:health",
        ):
            assert int(settings(template, name)[namespace, "RetentionInDays"]) in known
        kept.append(
            int(settings(template, name)["aws:elasticbeanstalk:cloudwatch:logs", "RetentionInDays"])
        )
    assert kept == sorted(kept)


@turns_red_when(
    "logs of a trial stay",
    lambda source: option(source, "TestEnvironment", "DeleteOnTerminate").update(Value="false"),
)
def test_logs_go_with_a_deletable_stack_and_stay_otherwise(template: Template) -> None:
    for form in FORMS.values():
        wanted = "true" if form.get("DataRetention") == "delete" else "false"
        for name in NAMES:
            for (namespace, option_name), value in settings(template, name, **form).items():
                if option_name == "DeleteOnTerminate":
                    assert value == wanted, namespace
