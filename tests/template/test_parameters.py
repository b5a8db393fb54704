"""Parameters: enough of them, each explained, each refusing what would fail later."""

from __future__ import annotations

import json
import re

import pytest

from notify.route import PATTERN
from operations.template import Node
from tests.template.faults import turns_red_when
from tests.template.rendered import CERTIFICATE, CHAT_SECRET, CONNECTION, FORMS, IN_A_VPC, Template

WANTED = {
    "ProjectName",
    "EnvironmentSuffix",
    "Owner",
    "CostCenter",
    "NotificationEmail",
    "SourceRepository",
    "SourceBranch",
    "SourceConnectionArn",
    "PlatformVersion",
}

GOOD_AND_BAD: dict[str, tuple[list[str], list[str]]] = {
    "ProjectName": (
        ["storefront", "abc", "a1-b2", "p" * 15],
        [
            "",
            "ab",
            "Storefront",
            "1shop",
            "shop-",
            "-shop",
            "a--b",
            "shop_front",
            "p" * 16,
            "shop\n",
            "awsome",
            "ssmith",
            "amzn-shop",
            "sthree",
        ],
    ),
    "EnvironmentSuffix": (["main", "a", "pr42"], ["", "Main", "pr-42", "ninechars", "ä"]),
    "Owner": (["team-storefront", "Jane Doe", "a@b.example"], ["", "x", " team", "team;drop"]),
    "CostCenter": (["CC-1000", "FIN-12345678"], ["", "1000", "cc-1000", "CC1000", "CC-12"]),
    "NotificationEmail": (
        ["releases@example.com", "a.b+c@mail.example.co.uk"],
        ["", "releases", "a@b", "a@b.example, c@d.example", "a b@c.example", "<a@b.example>"],
    ),
    "SourceRepository": (
        ["acme/storefront", "group/sub/repo.git"],
        ["", "storefront", "/storefront", "acme/", "acme//shop", "acme/shop front"],
    ),
    "SourceBranch": (["main", "release/2.1"], ["", "/main", "main/", "a..b/ c", "feature x"]),
    "SourceConnectionArn": (
        ["", CONNECTION, CONNECTION.replace("codeconnections", "codestar-connections")],
        ["arn:aws:iam::111122223333:role/x", CONNECTION[:-1], f"{CONNECTION}0", "github"],
    ),
    "ChatSecretArn": (["", CHAT_SECRET], ["chat", CHAT_SECRET[:-7], "xoxb-token"]),
    "BuildImage": (
        ["aws/codebuild/amazonlinux-x86_64-standard:5.0"],
        ["", "aws/codebuild/standard", "image: latest"],
    ),
    "ChecksBuildspec": (["", "buildspec-checks.yml", "ci/checks.yaml"], ["checks.sh", "a b.yml"]),
    "PlatformVersion": (
        [
            "Python 3.13 running on 64bit Amazon Linux 2023/4.5.2",
            "Node.js 24 running on 64bit Amazon Linux 2023/6.11.6",
            "Docker running on 64bit Amazon Linux 2023/4.13.5",
            "Tomcat 10 with Corretto 17 running on 64bit Amazon Linux 2023/5.1.1",
            ".NET 9 running on 64bit Amazon Linux 2023/3.4.1",
        ],
        ["", "Python 3.13", "64bit Amazon Linux 2023 v4.5.2 running Python 3.13", "4.5.2"],
    ),
    "HealthCheckPath": (["/", "/health", "/a-b/c_d~e.f"], ["", "health", "/a b", "/?q=1"]),
    "VpcId": (["", "vpc-0123456789abcdef0", "vpc-01234567"], ["vpc", "vpc-XYZ", "subnet-01234567"]),
    "InstanceSubnetIds": (
        ["", "subnet-0a1b2c3d,subnet-4e5f6a7b"],
        ["subnet-0a1b2c3d", "subnet-0a1b2c3d, subnet-4e5f6a7b", "vpc-01234567,vpc-76543210"],
    ),
    "LoadBalancerSubnetIds": (
        ["", "subnet-0a1b2c3d,subnet-4e5f6a7b,subnet-01234567"],
        ["subnet-0a1b2c3d", "subnet-0a1b2c3d,", "two"],
    ),
    "CertificateArn": (["", CERTIFICATE], ["example.com", CERTIFICATE.replace("acm", "iam")]),
    "ApprovalTimeoutMinutes": (["5", "10080", "86400"], ["4", "86401", "soon"]),
    "ApprovalAlarmHours": (["0.1", "24", "1440"], ["0", "0.05", "1441", "a day"]),
    "RollbackHorizonDays": (["7", "90", "730"], ["0", "6", "731"]),
    "LogRetentionDays": (["1", "365"], ["0", "10", "2"]),
    "NotificationRoutes": (
        ["", "critical=all", "critical=all error@prod=email+slack progress=none"],
        ["all", "critical = all", "critical=sms", "loud=all", "critical=all  error=all"],
    ),
    "BuildTimeoutMinutes": (["5", "30", "480"], ["4", "481"]),
    "DevRollbackMode": (["auto", "approve", "observe"], ["", "off"]),
    "TestRollbackMode": (["auto", "approve", "observe"], ["", "Auto"]),
    "ProdRollbackMode": (["auto", "approve", "observe"], ["", "manual"]),
    "BakeMinutes": (["0.1", "15", "1440"], ["0", "1441", "quarter"]),
    "RollbackCap": (["0", "2", "100"], ["-1", "101"]),
    "RollbackAnswerHours": (["0.01", "12", "168"], ["0", "169"]),
    "RequiredTags": (
        ["Owner", "Project,Owner,CostCenter", "cost:center,Team Name"],
        ["", "Owner,", ",Owner", "Owner, Team", "Owner;Team"],
    ),
    "AuditScope": (["stack", "account"], ["", "arns", "region"]),
    "AuditSchedule": (
        ["rate(1 day)", "rate(12 hours)", "cron(0 6 ? * MON-FRI *)"],
        ["", "1 day", "rate(1)", "daily", "cron(0 6)", "at(2026-11-24T06:00:00)"],
    ),
    "AuditGlobalResources": (["true", "false"], ["", "yes"]),
    "AuditGraceMinutes": (["0", "0.1", "15"], ["-1", "16", "soon"]),
    "AuditRemedy": (["off", "dry-run", "on"], ["", "true", "dry"]),
    "RecordRetentionDays": (["30", "400", "3650"], ["29", "3651"]),
    "LogLevel": (["INFO", "DEBUG"], ["", "info"]),
    "FunctionArchitecture": (["arm64", "x86_64"], ["", "x86"]),
    "BuildComputeType": (["BUILD_GENERAL1_SMALL"], ["", "small"]),
    "ParallelBuildActions": (["true", "false"], ["", "yes"]),
    "DevEnvironmentType": (["LoadBalanced", "SingleInstance"], ["", "none"]),
    "LoadBalancerScheme": (["public", "internal"], ["", "private"]),
    "InstancePublicAddresses": (["true", "false"], ["", "no"]),
    "PlainHttp": (["redirect", "closed"], ["", "open"]),
    "DataRetention": (["retain", "delete"], ["", "keep"]),
}
"""For every parameter, values to take and values to refuse."""


def takes(parameter: Node, value: str) -> bool:
    """Whether CloudFormation would take a value, before it creates anything."""
    if "AllowedValues" in parameter:
        return value in {str(allowed) for allowed in parameter["AllowedValues"]}
    if parameter["Type"] == "Number":
        if not re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", value):
            return False
        return bool(parameter["MinValue"] <= float(value) <= parameter["MaxValue"])
    longest = parameter.get("MaxLength", 4096)
    if not parameter.get("MinLength", 0) <= len(value) <= longest:
        return False
    return re.fullmatch(parameter["AllowedPattern"], value) is not None


@turns_red_when("no cost center", lambda source: source["Parameters"].pop("CostCenter"))
def test_at_least_the_nine_are_there(template: Template) -> None:
    assert set(template.source["Parameters"]) >= WANTED


@turns_red_when("unexplained", lambda source: source["Parameters"]["Owner"].pop("Description"))
@turns_red_when(
    "an error in CloudFormation's words",
    lambda source: source["Parameters"]["VpcId"].pop("ConstraintDescription"),
)
@turns_red_when(
    "anything goes", lambda source: source["Parameters"]["SourceBranch"].pop("AllowedPattern")
)
def test_each_is_explained_and_constrained(template: Template) -> None:
    for name, parameter in template.source["Parameters"].items():
        assert len(parameter["Description"]) > 15, name
        assert parameter["Description"].endswith((".", ")")), name
        assert len(parameter["ConstraintDescription"]) > 8, name
        assert parameter["ConstraintDescription"].endswith("."), name
        bounds = {"AllowedPattern", "AllowedValues", "MinValue"} & parameter.keys()
        assert bounds, f"{name} takes anything"


@turns_red_when(
    "a pattern that a part of the value meets",
    lambda source: source["Parameters"]["VpcId"].update(AllowedPattern="vpc-[0-9a-f]{8,17}"),
)
def test_patterns_hold_for_the_whole_value(template: Template) -> None:
    for name, parameter in template.source["Parameters"].items():
        pattern = parameter.get("AllowedPattern", "^$")
        assert pattern.startswith("^"), name
        assert pattern.endswith("$"), name


@turns_red_when(
    "capital letters in bucket names",
    lambda source: source["Parameters"]["ProjectName"].update(AllowedPattern="^[A-Za-z0-9-]+$"),
)
@turns_red_when(
    "two addresses",
    lambda source: source["Parameters"]["NotificationEmail"].update(AllowedPattern="^.+@.+$"),
)
@turns_red_when(
    "no other platform",
    lambda source: source["Parameters"]["PlatformVersion"].update(
        AllowedPattern="^Python .* running on .*$"
    ),
)
def test_each_takes_good_values_and_refuses_bad_ones(template: Template) -> None:
    assert set(GOOD_AND_BAD) == set(template.source["Parameters"])
    for name, (good, bad) in GOOD_AND_BAD.items():
        parameter = template.source["Parameters"][name]
        for value in good:
            assert takes(parameter, value), (name, value)
        for value in bad:
            assert not takes(parameter, value), (name, value)


@turns_red_when(
    "a channel that notify does not know",
    lambda source: source["Parameters"]["NotificationRoutes"].update(
        AllowedPattern="^(critical=sms)?$"
    ),
)
def test_routes_are_checked_by_notifys_own_pattern(template: Template) -> None:
    assert template.source["Parameters"]["NotificationRoutes"]["AllowedPattern"] == PATTERN


@turns_red_when(
    "a default that is refused",
    lambda source: source["Parameters"]["RollbackHorizonDays"].update(Default=0),
)
def test_defaults_are_values_that_are_taken(template: Template) -> None:
    for name, parameter in template.source["Parameters"].items():
        if "Default" in parameter:
            assert takes(parameter, str(parameter["Default"])), name


@turns_red_when(
    "a secret in the open",
    lambda source: source["Parameters"].update(
        SlackToken={"Type": "String", "Default": "xoxb-1", "AllowedPattern": "^.*$"}
    ),
)
def test_no_parameter_is_a_secret(template: Template) -> None:
    for name, parameter in template.source["Parameters"].items():
        assert not re.search(r"Token|Password|ApiKey|Webhook", name), name
        assert "xox" not in str(parameter.get("Default", "")), name


@turns_red_when(
    "a parameter for nothing",
    lambda source: source["Parameters"].update(Unused={**source["Parameters"]["VpcId"]}),
)
def test_every_parameter_is_used(template: Template) -> None:
    """In a resource, or in the condition of one: a rule alone would change nothing."""
    used = json.dumps(
        [template.source[section] for section in ("Globals", "Resources", "Conditions")]
    )
    for name in template.source["Parameters"]:
        assert f'{{"Ref": "{name}"}}' in used or f"${{{name}}}" in used, name


@turns_red_when(
    "a parameter at the end of the console's list",
    lambda source: source["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"][0][
        "Parameters"
    ].pop(),
)
@turns_red_when(
    "a parameter without a label",
    lambda source: source["Metadata"]["AWS::CloudFormation::Interface"]["ParameterLabels"].pop(
        "Owner"
    ),
)
def test_the_console_shows_every_parameter_once_with_a_label(template: Template) -> None:
    interface = template.source["Metadata"]["AWS::CloudFormation::Interface"]
    grouped = [name for group in interface["ParameterGroups"] for name in group["Parameters"]]
    assert sorted(grouped) == sorted(template.source["Parameters"])
    assert set(interface["ParameterLabels"]) == set(template.source["Parameters"])
    assert all(label["default"] for label in interface["ParameterLabels"].values())


@turns_red_when(
    "a VPC without subnets", lambda source: source["Rules"].pop("VpcComesWithItsSubnets")
)
@turns_red_when(
    "subnets of no VPC", lambda source: source["Rules"].pop("NetworkSettingsNeedTheirVpc")
)
@turns_red_when(
    "nothing answers", lambda source: source["Rules"].pop("PlainHttpIsClosedOnlyBesideHttps")
)
@turns_red_when(
    "one action beside itself",
    lambda source: source["Rules"].pop("ActionsAreParallelOnlyWhereThereAreTwo"),
)
def test_settings_that_do_not_fit_together_are_refused(template: Template) -> None:
    for parameters in (
        {"VpcId": IN_A_VPC["VpcId"]},
        {**IN_A_VPC, "LoadBalancerSubnetIds": ""},
        {**IN_A_VPC, "VpcId": ""},
        {"LoadBalancerScheme": "internal"},
        {"InstancePublicAddresses": "true"},
        {"PlainHttp": "closed"},
        {"ChecksBuildspec": "", "ParallelBuildActions": "true"},
    ):
        broken = template.resolved(**parameters).broken_rules()
        assert broken, parameters
        assert all(sentence.endswith(".") for sentence in broken)


@turns_red_when(
    "HTTPS is impossible",
    lambda source: source["Rules"].update(
        NoHttps={
            "Assertions": [
                {
                    "Assert": {"Fn::Equals": [{"Ref": "CertificateArn"}, ""]},
                    "AssertDescription": "No HTTPS.",
                }
            ]
        }
    ),
)
def test_settings_that_fit_together_are_taken(template: Template) -> None:
    for name, parameters in FORMS.items():
        assert template.resolved(**parameters).broken_rules() == [], name


@pytest.mark.parametrize(
    "section", ["us-east-1", "us-west-2", "sandbox-us-east-1", "sandbox-us-west-2"]
)
def test_samconfig_gives_values_that_are_taken(section: str, template: Template) -> None:
    import tomllib

    from operations.template import ROOT

    config = tomllib.loads((ROOT / "samconfig.toml").read_text(encoding="utf-8"))
    deploy = config[section]["deploy"]["parameters"]
    given = dict(pair.split("=", 1) for pair in deploy["parameter_overrides"])
    for name, value in given.items():
        assert takes(template.source["Parameters"][name], value), (name, value)
    needed = {
        name for name, written in template.source["Parameters"].items() if "Default" not in written
    }
    assert needed <= set(given)
    assert template.resolved(**given).broken_rules() == []
    assert section.endswith(deploy["region"])
    assert dict(tag.split("=", 1) for tag in deploy["tags"]) == {
        "Project": given["ProjectName"],
        "Owner": given["Owner"],
        "CostCenter": given["CostCenter"],
        "Environment": "shared",
        "ManagedBy": "trellis",
    }
