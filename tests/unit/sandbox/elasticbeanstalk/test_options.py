"""Option settings: what is refused, and what an environment makes of what is set."""

from __future__ import annotations

import pytest

from sandbox.elasticbeanstalk import options
from sandbox.elasticbeanstalk.options import Change, Key, OptionError, Settings

ENHANCED = {(options.HEALTH, "SystemType"): "enhanced"}
ALB = {(options.ENVIRONMENT, "LoadBalancerType"): "application"}


def policy(name: str, **more: str) -> dict[Key, str]:
    return {
        (options.COMMAND, "DeploymentPolicy"): name,
        **{(options.COMMAND, key): value for key, value in more.items()},
    }


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (
            {("aws:nothing", "Such"): "1"},
            "Invalid option specification (Namespace: 'aws:nothing', OptionName: 'Such'): "
            "Unknown configuration setting.",
        ),
        (
            {(options.COMMAND, "DeploymentPolicy"): "Sometimes"},
            "Invalid option value: 'Sometimes' (Namespace: 'aws:elasticbeanstalk:command', "
            "OptionName: 'DeploymentPolicy'): Value is not one of the allowed values: "
            "[AllAtOnce, Rolling, RollingWithAdditionalBatch, Immutable, TrafficSplitting]",
        ),
        (
            {(options.ROLLING, "MaxBatchSize"): "0"},
            "Invalid option value: '0' (Namespace: 'aws:autoscaling:updatepolicy:rollingupdate', "
            "OptionName: 'MaxBatchSize'): Value is less than minimum allowed value: 1",
        ),
        (
            {(options.ASG, "MinSize"): "many"},
            "Invalid option value: 'many' (Namespace: 'aws:autoscaling:asg', OptionName: "
            "'MinSize'): Value is not a valid number",
        ),
        ({(options.ASG, "MinSize"): "9"}, "MinSize is greater than MaxSize"),
        (
            policy("Rolling") | {(options.ENVIRONMENT, "EnvironmentType"): "SingleInstance"},
            "DeploymentPolicy Rolling needs a load-balanced environment",
        ),
        (policy("Immutable"), "DeploymentPolicy Immutable needs enhanced health reporting"),
        (
            policy("TrafficSplitting") | ENHANCED,
            "DeploymentPolicy TrafficSplitting needs an application load balancer",
        ),
        (
            {(options.MANAGED, "ManagedActionsEnabled"): "true"} | ENHANCED,
            "ManagedActionsEnabled needs a PreferredStartTime",
        ),
    ],
)
def test_refuses(values: dict[Key, str], told: str) -> None:
    with pytest.raises(OptionError) as refused:
        Settings(values).check()
    assert str(refused.value).startswith("Configuration validation exception: ")
    assert told in str(refused.value)


@pytest.mark.parametrize(
    "values",
    [
        {},
        policy("Immutable") | ENHANCED,
        policy("TrafficSplitting") | ENHANCED | ALB,
        {(options.VARIABLES, "any.name at all"): "any value"},
        {("aws:elbv2:listener:443", "Protocol"): "HTTPS"},
        {("aws:elasticbeanstalk:environment:process:admin", "Port"): "8080"},
    ],
)
def test_takes(values: dict[Key, str]) -> None:
    Settings(values).check()


def test_every_default_is_an_allowed_value() -> None:
    defaults = {(one.namespace, one.name): one.default for one in options.CATALOGUE if one.default}
    assert options.problems(defaults) == []


@pytest.mark.parametrize(
    ("values", "fleet", "batch"),
    [
        ({}, 3, 3),
        (policy("Rolling", BatchSize="50"), 4, 2),
        (policy("Rolling", BatchSize="30"), 3, 1),
        (policy("Rolling", BatchSize="1"), 3, 1),
        (policy("Rolling", BatchSizeType="Fixed", BatchSize="2"), 5, 2),
        (policy("Rolling", BatchSizeType="Fixed", BatchSize="9"), 5, 5),
    ],
)
def test_batch_size(values: dict[Key, str], fleet: int, batch: int) -> None:
    assert Settings(values).batch(fleet) == batch


@pytest.mark.parametrize(
    ("values", "path"),
    [
        ({}, "/"),
        ({(options.APPLICATION, "Application Healthcheck URL"): "/health"}, "/health"),
        ({(options.APPLICATION, "Application Healthcheck URL"): "HTTPS:443/up"}, "/up"),
        ({(options.APPLICATION, "Application Healthcheck URL"): "TCP:80"}, "/"),
        (
            {
                (options.APPLICATION, "Application Healthcheck URL"): "/old",
                (options.PROCESS, "HealthCheckPath"): "/new",
            },
            "/new",
        ),
    ],
)
def test_health_path(values: dict[Key, str], path: str) -> None:
    assert Settings(values).health_path == path


@pytest.mark.parametrize(
    ("matcher", "good", "bad"),
    [("200", [200], [201, 302, 500]), ("200,302", [200, 302], [301]), ("200-299", [204], [300])],
)
def test_matcher(matcher: str, good: list[int], bad: list[int]) -> None:
    settings = Settings({(options.PROCESS, "MatcherHTTPCode"): matcher})
    assert all(map(settings.is_healthy_status, good))
    assert not any(map(settings.is_healthy_status, bad))


def test_the_command_timeout_has_the_four_minutes_that_aws_adds() -> None:
    assert Settings().command_timeout == 840


def test_an_instance_profile_is_named_or_given_by_arn() -> None:
    key = (options.LAUNCH, "IamInstanceProfile")
    assert Settings({key: "web"}).instance_profile == "web"
    arn = "arn:aws:iam::123456789012:instance-profile/web"
    assert Settings({key: arn}).instance_profile == "web"


@pytest.mark.parametrize(
    ("key", "change"),
    [
        ((options.ASG, "MinSize"), Change.NOTHING),
        ((options.VARIABLES, "GREETING"), Change.RESTART),
        ((options.INSTANCES, "InstanceTypes"), Change.REPLACE),
    ],
)
def test_what_a_change_does_to_instances(key: Key, change: Change) -> None:
    assert options.effect(Settings(), Settings({key: "2"})) is change
    assert options.effect(Settings({key: "2"}), Settings({key: "2"})) is Change.NOTHING


def test_settings_are_changed_and_removed() -> None:
    minimum, variable = (options.ASG, "MinSize"), (options.VARIABLES, "A")
    before = Settings({minimum: "2", variable: "1"})
    after = before.changed({variable: "2"}, [minimum])
    assert after.size == 1
    assert after.variables == {"A": "2"}
