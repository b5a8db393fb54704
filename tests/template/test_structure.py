"""The template's own form: order, deletion, functions, literals, and nothing written down twice."""

from __future__ import annotations

import json
import re
import tomllib
from fnmatch import fnmatch
from typing import Any

from operations.template import ROOT, Node
from tests.template.faults import properties, turns_red_when, turns_red_when_written
from tests.template.rendered import FORMS, Template, as_list, walk

KEEPS_DATA = {
    "AccessLogBucket",
    "ArtifactBucket",
    "EncryptionKey",
    "LedgerTable",
    "ReportsBucket",
}


@turns_red_when(
    "a section that CloudFormation does not need",
    lambda source: source.update(Outputs=source.pop("Outputs"), Metadata=source.pop("Metadata")),
)
def test_sections_come_in_the_order_of_the_house(template: Template) -> None:
    assert list(template.source) == [
        "AWSTemplateFormatVersion",
        "Transform",
        "Description",
        "Metadata",
        "Parameters",
        "Rules",
        "Mappings",
        "Conditions",
        "Globals",
        "Resources",
        "Outputs",
    ]


@turns_red_when(
    "a loop",
    lambda source: source["Resources"].update(
        {"Fn::ForEach::More": ["Name", ["A"], {"${Name}": {"Type": "AWS::SNS::Topic"}}]}
    ),
)
@turns_red_when(
    "a nested stack",
    lambda source: source["Resources"].update(
        Child={"Type": "AWS::Serverless::Application", "Properties": {"Location": "child.yaml"}}
    ),
)
def test_one_template_without_loops_or_children(template: Template) -> None:
    """`sam build` stops at a loop, and `sam validate` does not look into a child."""
    assert not [name for name in template.source["Resources"] if name.startswith("Fn::ForEach")]
    types = {resource["Type"] for resource in template.source["Resources"].values()}
    assert not types & {"AWS::CloudFormation::Stack", "AWS::Serverless::Application"}
    assert not [kind for kind in types if kind.startswith("Custom::")]


@turns_red_when_written(
    "one Region", "Value: !If [HasCertificate, HTTPS, HTTP only]", "Value: us-east-1 only"
)
@turns_red_when_written("one partition", "!Sub arn:${AWS::Partition}:iam", "!Sub arn:aws:iam")
@turns_red_when_written("one account", "${AWS::AccountId}:root", "123456789012:root")
def test_no_region_account_or_partition_is_written_down(template: Template) -> None:
    parameters = template.text.index("\nParameters:\n")
    rules = template.text.index("\nRules:\n")
    written = template.text[:parameters] + template.text[rules:]
    assert not re.findall(r"\b(?:us|eu|ap|sa|ca|me|af|il|mx)-[a-z]+-[0-9]\b", written)
    assert not re.findall(r"\b[0-9]{12}\b", written)
    assert not re.findall(r"arn:aws[:-]", written)


@turns_red_when_written("a long form", "!Ref NotificationEmail", "{Ref: NotificationEmail}")
@turns_red_when_written(
    "a substitution of nothing",
    "DisplayName: !Sub ${ProjectName} releases",
    "DisplayName: !Sub releases",
)
def test_intrinsics_are_in_their_short_form_and_substitute_something(template: Template) -> None:
    assert not re.findall(r"\bFn::\w+:|\{Ref:|^\s*Ref:", template.text, re.MULTILINE)
    for path, value in walk(template.source["Resources"]):
        if path and path[-1] == "Fn::Sub":
            text = value[0] if isinstance(value, list) else value
            assert "${" in text, (".".join(path), text)


@turns_red_when(
    "a condition that says nothing",
    lambda source: source["Conditions"].update(Production={"Fn::Equals": ["a", "b"]}),
)
def test_conditions_are_named_as_questions_and_used(template: Template) -> None:
    text = json.dumps([template.source[part] for part in ("Conditions", "Resources", "Outputs")])
    for name in template.source["Conditions"]:
        assert re.match(r"(Is|Has)[A-Z]", name), name
        assert f'["{name}",' in text or f'"Condition": "{name}"' in text, name


@turns_red_when(
    "a table that nothing keeps",
    lambda source: source["Resources"]["LedgerTable"].pop("DeletionPolicy"),
)
@turns_red_when(
    "a bucket that a failed first deployment leaves behind",
    lambda source: source["Resources"]["ReportsBucket"].update(
        DeletionPolicy={"Fn::If": ["IsDataRetained", "Retain", "Delete"]}
    ),
)
@turns_red_when(
    "a key that always goes",
    lambda source: source["Resources"]["EncryptionKey"].update(UpdateReplacePolicy="Delete"),
)
@turns_red_when(
    "a table that the rollback of a first deployment cannot delete",
    lambda source: properties(source, "LedgerTable").update(
        DeletionProtectionEnabled={"Fn::If": ["IsDataRetained", True, False]}
    ),
)
def test_one_switch_keeps_or_deletes_the_data(template: Template) -> None:
    """RetainExceptOnCreate: a first deployment that fails leaves nothing that blocks the second.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-attribute-deletionpolicy.html
    """
    for form in FORMS.values():
        resolved = template.resolved(**form)
        is_kept = form.get("DataRetention") != "delete"
        for name in KEEPS_DATA:
            resource = resolved.resources[name]
            assert resource["DeletionPolicy"] == ("RetainExceptOnCreate" if is_kept else "Delete")
            assert resource["UpdateReplacePolicy"] == ("Retain" if is_kept else "Delete")
        kept = {
            name
            for name, resource in resolved.resources.items()
            if resource.get("DeletionPolicy", "Delete") != "Delete"
            # A published version must outlive its alias: watches that began on it end on it.
            and resource["Type"] != "AWS::Lambda::Version"
        }
        assert kept == (KEEPS_DATA if is_kept else set())
        table = resolved.properties("LedgerTable")
        assert "DeletionProtectionEnabled" not in table  # the rollback of a creation would fail
        assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}


@turns_red_when(
    "a transform that does not know RetainExceptOnCreate",
    lambda source: source.update(
        Transform=["AWS::LanguageExtensions", "AWS::Serverless-2016-10-31"]
    ),
)
def test_sams_transform_is_the_only_one(template: Template) -> None:
    """https://github.com/aws-cloudformation/cfn-language-discussion/issues/139."""
    assert template.source["Transform"] == "AWS::Serverless-2016-10-31"


@turns_red_when(
    "sweeps that fail for the ten minutes of a first deployment",
    lambda source: source["Resources"]["SweepRule"].pop("DependsOn"),
)
def test_no_sweep_begins_before_its_settings_are_there(template: Template) -> None:
    assert "RollbackSettings" in as_list(template.resources["SweepRule"].get("DependsOn", []))


@turns_red_when(
    "layers pile up",
    lambda source: properties(source, "SharedLayer").pop("RetentionPolicy"),
)
def test_old_versions_of_the_layer_do_not_pile_up(template: Template) -> None:
    for layer in template.source["Resources"].values():
        if layer["Type"] == "AWS::Serverless::LayerVersion":
            assert layer["Properties"]["RetentionPolicy"] == "Delete"


@turns_red_when(
    "a log group that Lambda makes",
    lambda source: properties(source, "NotifyFunction").pop("LoggingConfig"),
)
@turns_red_when(
    "a log for ever",
    lambda source: properties(source, "NotifyFunctionLogGroup").pop("RetentionInDays"),
)
def test_every_function_and_build_has_a_log_group_with_an_end(template: Template) -> None:
    form = template.resolved()
    groups = form.of_type("AWS::Logs::LogGroup")
    for name, group in groups.items():
        assert group["RetentionInDays"] == 365, name
    for name, function in form.of_type("AWS::Lambda::Function").items():
        group = groups[function["LoggingConfig"]["LogGroup"].strip("<>")]
        assert group["LogGroupName"] == f"/aws/lambda/{function['FunctionName']}", name
    for name, project in form.of_type("AWS::CodeBuild::Project").items():
        group = groups[project["LogsConfig"]["CloudWatchLogs"]["GroupName"].strip("<>")]
        assert group["LogGroupName"] == f"/aws/codebuild/{project['Name']}", name


@turns_red_when(
    "events that vanish",
    lambda source: properties(source, "NotifyFunction").pop("DeadLetterQueue"),
)
@turns_red_when(
    "concurrency that a new account does not have",
    lambda source: properties(source, "NotifyFunction").update(ReservedConcurrentExecutions=2),
)
@turns_red_when(
    "instances that are kept warm out of ten",
    lambda source: properties(source, "RollbackFunction").update(
        ProvisionedConcurrencyConfig={"ProvisionedConcurrentExecutions": 2}
    ),
)
@turns_red_when(
    "queues that leave nothing of ten",
    lambda source: properties(source, "NotifyQueueMapping")["ScalingConfig"].update(
        MaximumConcurrency=9
    ),
)
@turns_red_when("no traces", lambda source: source["Globals"]["Function"].pop("Tracing"))
@turns_red_when(
    "an event that is tried for six hours",
    lambda source: properties(source, "NotifyFunction").pop("EventInvokeConfig"),
)
def test_functions_lose_nothing_and_fit_a_new_account(template: Template) -> None:
    form = template.resolved()
    bounded = {
        config["FunctionName"]: config
        for config in form.of_type("AWS::Lambda::EventInvokeConfig").values()
    }
    assert set(bounded) == {f"<{name}>" for name in form.of_type("AWS::Lambda::Function")}
    for name, alias in form.of_type("AWS::Lambda::Alias").items():
        assert "ProvisionedConcurrencyConfig" not in alias, name
    # A new account may have ten executions at a time, and the watches of rollback need some:
    # https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
    mappings = form.of_type("AWS::Lambda::EventSourceMapping").values()
    assert sum(one["ScalingConfig"]["MaximumConcurrency"] for one in mappings) <= 5
    for name, function in form.of_type("AWS::Lambda::Function").items():
        assert function["DeadLetterConfig"]["TargetArn"].endswith("DeadLetterQueue.Arn>"), name
        assert "ReservedConcurrentExecutions" not in function, name
        assert function["TracingConfig"] == {"Mode": "Active"}, name
        assert function["Runtime"] == "python3.13", name
        assert bounded[f"<{name}>"]["MaximumEventAgeInSeconds"] <= 3600, name


@turns_red_when(
    "a public function",
    lambda source: properties(source, "NotifyFunction").update(
        FunctionUrlConfig={"AuthType": "NONE"}
    ),
)
@turns_red_when(
    "a function that every rule of the account invokes",
    lambda source: properties(source, "DeployRulePermission").pop("SourceArn"),
)
def test_nothing_is_reachable_from_outside_but_the_application(template: Template) -> None:
    kinds = {resource["Type"] for resource in template.resources.values()}
    assert not kinds & {
        "AWS::ApiGateway::RestApi",
        "AWS::ApiGatewayV2::Api",
        "AWS::EC2::SecurityGroup",
        "AWS::Lambda::Url",
    }
    for name, permission in template.resolved().of_type("AWS::Lambda::Permission").items():
        assert permission["Principal"] == "events.amazonaws.com", name
        assert re.fullmatch(r"<\w+Rule\.Arn>", permission["SourceArn"]), name


@turns_red_when(
    "a broken dashboard",
    lambda source: properties(source, "Dashboard")["DashboardBody"]["Fn::Sub"].__setitem__(
        0, '{"widgets": [}'
    ),
)
def test_the_dashboard_is_whole_in_every_form(template: Template) -> None:
    for form in FORMS.values():
        resolved = template.resolved(**form)
        body = json.loads(resolved.properties("Dashboard")["DashboardBody"])
        titles = [widget["properties"].get("title") for widget in body["widgets"]]
        assert len(set(titles)) == len(titles) >= 9
        [alarms] = [widget for widget in body["widgets"] if widget["type"] == "alarm"]
        assert {
            arn.strip("<>").removesuffix(".Arn") for arn in alarms["properties"]["alarms"]
        } == set(resolved.of_type("AWS::CloudWatch::Alarm"))


def _another_version(source: Node) -> None:
    source["Mappings"]["Trellis"]["Release"]["Version"] = "9.9.9"


@turns_red_when("a version of its own", _another_version)
def test_the_version_is_the_projects(template: Template) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert template.resolved().outputs["Version"]["Value"] == project["version"]


FIXED = {
    "CloudWatch::Alarm.DatapointsToAlarm": "three of five minutes: one bad minute is no outage",
    "CloudWatch::Alarm.EvaluationPeriods": "the first dead letter, error or late message counts",
    "CloudWatch::Alarm.*Period": "as fine as the metric is published",
    "CloudWatch::Alarm.Threshold": "the first one; 20 is Beanstalk's own number for Degraded",
    "CodeBuild::Project.Environment.Type": "the images of BuildImage are Linux containers",
    "CodeBuild::Project.QueuedTimeoutInMinutes": "room for the build before it where one may run",
    "CodePipeline::Pipeline.*.ActionTypeId.Version": "the only version of these actions",
    "CodePipeline::Pipeline.*.DetectChanges": "a push starts a release, as an upload does",
    "CodePipeline::Pipeline.*.PollForSourceChanges": "the start rule starts the pipeline",
    "CodePipeline::Pipeline.*RunOrder*": "the order of the actions is the design",
    "CodePipeline::Pipeline.*.ExternalEntityLink.*": "where Test answers, by either transport",
    "ElasticBeanstalk::Environment.OptionSettings.*": "switches of the design, 200 for healthy; "
    "numbers that differ, or that a team may want otherwise, stand in the Mapping",
    "Events::Rule.ScheduleExpression": "lost events are rare, and a bad release may not stay up",
    "Events::Rule.Targets.RetryPolicy.*": "an event older than an hour helps nobody",
    "KMS::Key.PendingWindowInDays*": "the longest that KMS allows, and the shortest for a trial",
    "Lambda::EventSourceMapping.BatchSize": "the most that SQS gives without a longer window",
    "Lambda::EventSourceMapping.MaximumBatchingWindowInSeconds": "long enough to join an incident, "
    "short enough for a person who waits",
    "Lambda::EventSourceMapping.ScalingConfig.MaximumConcurrency": "the least that Lambda allows; "
    "more would exceed what SNS mails a second",
    "S3::Bucket.LifecycleConfiguration.*": "clearing away; what must last has a parameter",
    "SQS::Queue.MessageRetentionPeriod": "dead letters as long as SQS can, the queue four days",
    "SQS::Queue.RedrivePolicy.maxReceiveCount": "the least that Lambda recommends",
    "SQS::Queue.VisibilityTimeout": "six times the function's timeout, as Lambda asks",
    "*.PolicyDocument.*.aws:SecureTransport": "refuses plain HTTP",
    "Serverless::Function.Environment.Variables.DRY_RUN": "a deployed function sends",
    "Serverless::Function.Environment.Variables.NOTIFY_MAX_RECEIVES": "the queue's maxReceiveCount",
    "Serverless::Function.DurableConfig.*": "the longest that its settings can add up to; a month "
    "to look at what happened",
    "Serverless::Function.MemorySize": "an audit of ten thousand resources peaks at 100 MB; more "
    "memory is more processor",
    "Serverless::Function.Environment.Variables.MALLOC_ARENA_MAX": "one heap for all threads",
    "Serverless::Function.Timeout": "one piece of work between two waits, or one round of an audit",
    "Serverless::Function.EventInvokeConfig.*": "an event older than an hour helps nobody",
    "Serverless::LayerVersion.CompatibleRuntimes": "the byte code inside is of this version",
}
"""Values that stand in Resources and are no parameter, each with the reason."""

VALUE = re.compile(
    r"\d+(\.\d+)?|python3\.\d+|BUILD_\w+|\w+_CONTAINER|\w{3}:\d\d:\d\d|true|false"
    r"|t\d\w?\.\w+|m\d\w?\.\w+|rate\(.*\)|cron\(.*\)|https?://.*|.*@.*\..*|TRACE|DEBUG|INFO|ERROR"
)
"""What a user might want to change: numbers, sizes, versions, times, switches, addresses."""


def _values(source: Node) -> dict[str, set[Any]]:
    found: dict[str, set[Any]] = {}
    for resource in source["Resources"].values():
        kind = resource["Type"].removeprefix("AWS::")
        for path, value in walk(resource.get("Properties", {})):
            if isinstance(value, bool) or not isinstance(value, int | float | str):
                continue
            if isinstance(value, str) and not VALUE.fullmatch(value):
                continue
            where = ".".join(part for part in path if not part.isdigit())
            found.setdefault(f"{kind}.{where}", set()).add(value)
    return found


@turns_red_when(
    "a machine in the middle of the template",
    lambda source: properties(source, "BuildProject")["Environment"].update(
        ComputeType="BUILD_GENERAL1_LARGE"
    ),
)
@turns_red_when(
    "an address in the middle of the template",
    lambda source: properties(source, "EmailSubscription").update(Endpoint="me@example.com"),
)
@turns_red_when(
    "a reason for nothing",
    lambda source: properties(source, "NotifyFunction")["Environment"]["Variables"].pop(
        "NOTIFY_MAX_RECEIVES"
    ),
)
def test_what_a_user_may_want_to_change_is_a_parameter_or_has_a_reason(template: Template) -> None:
    values = _values(template.source)
    for where, found in values.items():
        assert any(fnmatch(where, pattern) for pattern in FIXED), (where, found)
    for pattern in FIXED:
        assert any(fnmatch(where, pattern) for where in values), f"nothing is fixed by {pattern}"
